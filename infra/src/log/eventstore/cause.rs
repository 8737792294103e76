//! Why no connection to the log server comes about. The client keeps that to itself, so it is tried
//! without it: whoever reads the log has to know whether to look at the network or at certificates.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use eventstore::ClientSettings;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

/// How long each step may take.
const LIMIT: Duration = Duration::from_secs(2);

/// Why no connection comes about.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoConnection {
    #[error("{0} cannot be reached over the network")]
    Network(String, #[source] io::Error),
    #[error(
        "{0} is there, but no secure connection to it: see its certificate and tlsCaFile, or say tls=false \
         if it speaks without TLS"
    )]
    Tls(String, #[source] Box<dyn Error + Send + Sync>),
    #[error("{0} speaks TLS, and the address says tls=false")]
    Plain(String),
    #[error("{0} answers, but not as a log server: see host and port")]
    NoLogServer(String),
    #[error("{0} does not let this user in: see user and password in the log's address")]
    Denied(String),
}

/// The other end's first byte, if it answers what is no TLS with an alert (RFC 8446, 5.1).
const ALERT: u8 = 21;

/// And if it speaks HTTP/2: the length of its settings is below 65,536 (RFC 9113, 4.1).
const SETTINGS: u8 = 0;

/// How HTTP/2 begins without TLS (RFC 9113, 3.4), with settings that say nothing.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Tries to connect to the first of the hosts; nothing if that succeeds. It blocks.
pub(super) fn find(settings: &ClientSettings) -> Option<NoConnection> {
    let (host, address) = (settings.hosts().first()?, first(settings)?);
    let port = u16::try_from(host.port).unwrap_or_default();
    let mut tcp = match connect(&host.host, port) {
        Ok(tcp) => tcp,
        Err(error) => return Some(NoConnection::Network(address, error)),
    };
    if !settings.is_secure_mode_enabled() {
        return match first_byte(&mut tcp) {
            Ok(ALERT) => Some(NoConnection::Plain(address)),
            Ok(SETTINGS) => None,
            Ok(_) => Some(NoConnection::NoLogServer(address)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Some(NoConnection::NoLogServer(address))
            }
            Err(_) => None,
        };
    }
    // Without a check of certificates, there is nothing to be wrong with one.
    if !settings.is_tls_certificate_verification_enabled() {
        return None;
    }
    let secured = secure(settings, &host.host, tcp);
    secured.err().map(|error| NoConnection::Tls(address, error))
}

/// The first of the hosts, with its port.
fn first(settings: &ClientSettings) -> Option<String> {
    settings.hosts().first().map(|host| format!("{}:{}", host.host, host.port))
}

fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut outcome = Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    for address in (host, port).to_socket_addrs()? {
        outcome = TcpStream::connect_timeout(&address, LIMIT);
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// What comes first from whoever is spoken to without TLS.
fn first_byte(tcp: &mut TcpStream) -> io::Result<u8> {
    tcp.set_read_timeout(Some(LIMIT))?;
    tcp.set_write_timeout(Some(LIMIT))?;
    tcp.write_all(PREFACE)?;
    let mut first = [0];
    tcp.read_exact(&mut first)?;
    Ok(first[0])
}

/// What it means that the first of the hosts answered so, if that is about the address.
pub(super) fn of_answer(
    settings: &ClientSettings,
    answer: &eventstore::Error,
) -> Option<NoConnection> {
    let address = first(settings)?;
    match answer {
        // Every log server reads and appends.
        eventstore::Error::UnsupportedFeature => Some(NoConnection::NoLogServer(address)),
        eventstore::Error::AccessDenied => Some(NoConnection::Denied(address)),
        _ => None,
    }
}

/// As the client does it.
fn secure(
    settings: &ClientSettings,
    host: &str,
    mut tcp: TcpStream,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    tcp.set_read_timeout(Some(LIMIT))?;
    tcp.set_write_timeout(Some(LIMIT))?;
    let mut roots = RootCertStore::empty();
    match settings.tls_ca_file() {
        Some(file) => {
            for certificate in CertificateDer::pem_file_iter(file)? {
                roots.add(certificate?)?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(host.to_owned())?;
    let mut connection = ClientConnection::new(Arc::new(config), name)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut tcp)?;
    }
    Ok(())
}
