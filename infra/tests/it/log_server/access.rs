//! Who may ask, and who is asked.

use infra::log::eventstore::{EventStoreLog, EventStoreOptions};
use infra::log::server::{self, ServeError, ServerOptions, TlsIdentity};
use infra::log::{AppendError, Expected, Log};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Served, soon};
use crate::log::record;

fn open(url: &str) -> EventStoreLog {
    EventStoreLog::open(url, EventStoreOptions::default()).unwrap()
}

#[tokio::test]
async fn with_credentials_only_who_has_them_is_answered() {
    let credentials = Some("ops:s3cret".parse().unwrap());
    let served = Served::start_with(ServerOptions { credentials, ..Default::default() }).await;
    let address = served.address();
    let ours = open(&format!("kurrentdb://ops:s3cret@{address}?tls=false"));
    ours.append("s", Expected::NoStream, vec![record(0)]).await.unwrap();
    assert_eq!(ours.read_stream("s", 0, 10).await.unwrap().len(), 1);
    let cluster = open(&format!("esdb://ops:s3cret@{address},{address}?tls=false"));
    assert_eq!(cluster.read_stream("s", 0, 10).await.unwrap().len(), 1);
    for user in ["", "ops:guessed@", "root:s3cret@"] {
        let theirs = open(&format!("esdb://{user}{address}?tls=false"));
        let refused = theirs.append("s", Expected::Any, vec![record(1)]).await;
        assert!(matches!(refused, Err(AppendError::Unavailable(_))), "{user}: {refused:?}");
        assert!(theirs.read_stream("s", 0, 10).await.is_err(), "{user}");
        assert!(theirs.head().await.is_err(), "{user}");
    }
    assert_eq!(ours.read_stream("s", 0, 10).await.unwrap().len(), 1);
}

fn identity() -> TlsIdentity {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    TlsIdentity { certificate: certificate.into_bytes(), key: key.into_bytes() }
}

/// What is said of an error and of its causes.
fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[tokio::test]
async fn with_tls_the_server_proves_who_it_is() {
    let identity = identity();
    let folder = tempfile::tempdir().unwrap();
    let trusted = folder.path().join("trusted.pem");
    std::fs::write(&trusted, &identity.certificate).unwrap();
    let options = ServerOptions { tls: Some(identity), ..Default::default() };
    let served = Served::start_with(options).await;
    let port = served.address().port();
    let trusting = format!("esdb://localhost:{port}?tlsCaFile={}", trusted.display());
    let log = open(&trusting);
    log.append("s", Expected::NoStream, vec![record(0)]).await.unwrap();
    assert_eq!(log.read_stream("s", 0, 10).await.unwrap().len(), 1);
    let web = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let other = web.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(web, axum::Router::new()).await });
    // An unknown certificate, a certificate of another name, TLS and none, and another server.
    let impatient = EventStoreOptions {
        attempt: std::time::Duration::from_secs(1),
        patience: std::time::Duration::from_millis(100),
    };
    for (url, why) in [
        (format!("esdb://localhost:{port}"), "invalid peer certificate"),
        (trusting.replace("localhost", "127.0.0.1"), "invalid peer certificate"),
        (
            format!("esdb://localhost:{port}?tls=false"),
            "speaks TLS, and the address says tls=false",
        ),
        (format!("esdb://{other}?tls=false"), "answers, but not as a log server"),
        (format!("esdb://{other}"), "say tls=false"),
        // The port of nobody.
        (trusting.replace(&port.to_string(), "1"), "cannot be reached over the network"),
    ] {
        let log = EventStoreLog::open(&url, impatient).unwrap();
        // Who looks into it is impatient too.
        soon(async {
            while !told(&log.read_stream("s", 0, 10).await.unwrap_err()).contains(why) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    let blind = open(&format!("esdb://localhost:{port}?tlsVerifyCert=false"));
    assert_eq!(blind.read_stream("s", 0, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_certificate_that_is_none_is_told_at_the_start() {
    let served = Served::start().await;
    let (one, other) = (identity(), identity());
    let mixed = TlsIdentity { certificate: one.certificate.clone(), key: other.key };
    let empty = TlsIdentity { certificate: b"hello".to_vec(), key: one.key };
    for tls in [mixed, empty] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let options = ServerOptions { tls: Some(tls), ..Default::default() };
        let clock = std::sync::Arc::new(infra::clock::SystemClock);
        let log = served.embedded().clone();
        let outcome = server::serve(listener, log, clock, options, CancellationToken::new()).await;
        assert!(matches!(outcome, Err(ServeError::Tls(_))), "{outcome:?}");
    }
}
