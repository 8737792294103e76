//! `evently log-server`

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use infra::log::server::Credentials;

use super::{Failure, Invocation, room};
use crate::log_server::{self, Conditions};
use crate::settings::{Origin, Secret};

/// Where clients of the protocol look first.
const LISTEN: &str = "127.0.0.1:2113";

const EXAMPLES: &str = "\
Examples:
  evently log-server --data /srv/evently-log
  EVENTLY_LOG_URL=esdb://127.0.0.1:2113?tls=false evently serve
  evently log-server --http 127.0.0.1:2114
  EVENTLY_LOG_SERVER_CREDENTIALS=ops:s3cret evently log-server --listen 0.0.0.0:2113 \\
      --tls-cert log.pem --tls-key log.key
  EVENTLY_LOG_URL=esdb://ops:s3cret@log.example:2113?tlsCaFile=ca.pem evently audit verify";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct LogServerArgs {
    /// Who may use it, as USER:PASSWORD; everybody if absent. Better given in the environment
    #[arg(
        long,
        value_name = "USER:PASSWORD",
        env = "EVENTLY_LOG_SERVER_CREDENTIALS",
        hide_env_values = true
    )]
    credentials: Option<Secret>,
    /// File with the server's certificate (PEM); without it nothing is encrypted
    #[arg(long, value_name = "FILE", env = "EVENTLY_LOG_SERVER_TLS_CERT", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// File with the certificate's key (PEM)
    #[arg(long, value_name = "FILE", env = "EVENTLY_LOG_SERVER_TLS_KEY", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Address to tell health (`/health/live`, `/health/ready`) and figures (`/metrics`) at over HTTP, to
    /// everybody who gets there; nowhere if absent
    #[arg(long, value_name = "ADDR", env = "EVENTLY_LOG_SERVER_HTTP")]
    http: Option<SocketAddr>,
}

/// Serves the log.
pub(super) fn run(args: &LogServerArgs, asked: &Invocation) -> Result<(), Failure> {
    let mut settings = asked.cli.settings.clone();
    if settings.origin("listen", &asked.matches, &asked.file) == Origin::Default {
        settings.listen = LISTEN.to_owned();
    }
    let settings = asked.check(&settings).map_err(Failure::Usage)?;
    if settings.log_url.is_some() {
        let wrong = "log_url (EVENTLY_LOG_URL) is for those who use a log server: unset it";
        return Err(Failure::Usage(vec![wrong.to_owned()]));
    }
    let credentials = args.credentials.as_ref().filter(|text| !text.is_empty());
    let credentials = credentials.map(|text| text.reveal().parse::<Credentials>()).transpose();
    let credentials = credentials.map_err(|error| {
        Failure::Usage(vec![format!("credentials (EVENTLY_LOG_SERVER_CREDENTIALS): {error}")])
    })?;
    let tls = args.tls_cert.clone().zip(args.tls_key.clone());
    let served = log_server::run(&settings, &Conditions { http: args.http, credentials, tls });
    served.map_err(|error| room::explained(error.into(), &settings))
}
