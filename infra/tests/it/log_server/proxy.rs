//! A network that fails when it is told to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the network does with what it is to carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weather {
    Fair,
    /// The connection breaks off before a request gets through.
    LoseRequest,
    /// The connection breaks off before an answer gets through.
    LoseAnswer,
    /// Nothing gets through, for as long as this lasts.
    Silence,
}

/// Between a client and a server.
pub(super) struct Network {
    pub(super) address: SocketAddr,
    weather: Arc<watch::Sender<Weather>>,
    lost: Arc<AtomicUsize>,
}

impl Network {
    pub(super) async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let weather = Arc::new(watch::Sender::new(Weather::Fair));
        let lost = Arc::new(AtomicUsize::default());
        let network = Self { address, weather: Arc::clone(&weather), lost: Arc::clone(&lost) };
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let Ok(server) = TcpStream::connect(server).await else { continue };
                for socket in [&client, &server] {
                    socket.set_nodelay(true).unwrap();
                }
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                let carrier = || Carrier { weather: Arc::clone(&weather), lost: Arc::clone(&lost) };
                let (out, back) = (carrier(), carrier());
                tokio::spawn(async move {
                    tokio::select! {
                        () = out.carry(from_client, to_server, Weather::LoseRequest) => {}
                        () = back.carry(from_server, to_client, Weather::LoseAnswer) => {}
                    }
                });
            }
        });
        network
    }

    pub(super) fn turns(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Connections that broke off.
    pub(super) fn lost(&self) -> usize {
        self.lost.load(Ordering::SeqCst)
    }
}

struct Carrier {
    weather: Arc<watch::Sender<Weather>>,
    lost: Arc<AtomicUsize>,
}

impl Carrier {
    /// Until either end is closed, or something is lost: after that the weather is fair again.
    async fn carry(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, loses: Weather) {
        let mut bytes = vec![0; 64 << 10];
        let mut weather = self.weather.subscribe();
        while let Ok(count @ 1..) = from.read(&mut bytes).await {
            let _ = weather.wait_for(|weather| *weather != Weather::Silence).await;
            let is_lost = self.weather.send_if_modified(|weather| {
                let is_lost = *weather == loses;
                if is_lost {
                    *weather = Weather::Fair;
                }
                is_lost
            });
            if is_lost {
                self.lost.fetch_add(1, Ordering::SeqCst);
                return;
            }
            if to.write_all(&bytes[..count]).await.is_err() {
                return;
            }
        }
    }
}
