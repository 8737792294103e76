//! A crowd that logs in, all at once and all the time.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::future::{try_join, try_join_all};
use infra::data_folder::DataFolder;
use infra::passwords::{Passwords, THREADS};
use serde_json::json;

use crate::cpu;
use crate::desk::{Desk, DeskError};
use crate::load::{Connection, ExchangeError};

const PASSWORD: &str = "correct horse battery";
/// People who have an account and know their password; as many who do not know theirs.
const PEOPLE: usize = 8;
/// How long a mail may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why there was no storm.
#[derive(Debug, thiserror::Error)]
pub enum StormError {
    /// There are no accounts.
    #[error("no accounts can be made")]
    Desk(#[from] DeskError),
    /// The mail with the code did not come.
    #[error("the mail to {0} did not come")]
    NoMail(String),
    /// The mails cannot be read, there is no connection, or no thread for them.
    #[error("a file, connection or thread cannot be had")]
    Io(#[from] io::Error),
    /// No answer.
    #[error("the product did not answer")]
    Exchange(#[from] ExchangeError),
    /// An answer that no log-in has.
    #[error("a log-in was answered with {status}: {body}")]
    Unexpected {
        /// The answer's status.
        status: u16,
        /// The answer's body, or its beginning.
        body: String,
    },
}

/// What came of it within the measured time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    /// Right passwords.
    pub let_in: u64,
    /// Wrong ones, and those of nobody.
    pub refused: u64,
    /// Nobody had time to look.
    pub sent_away: u64,
    /// The same, told after all the time that a request has.
    pub timed_out: u64,
    /// Processor time of the threads that look at passwords.
    pub hashing: Option<Duration>,
}

/// Who logs in: twice as many as the product takes at once, so that its queue is always full. A third
/// knows the password, a third tries wrong ones until the account is locked and goes on, and a third has
/// no account.
pub struct Storm {
    address: SocketAddr,
    requests: Vec<Vec<u8>>,
}

impl Storm {
    /// Makes accounts in the product at `address`, whose data folder is `folder`, over HTTP. `token` is
    /// anybody's.
    ///
    /// # Errors
    /// See [`StormError`].
    pub async fn make(address: SocketAddr, folder: &Path, token: &str) -> Result<Self, StormError> {
        let mails = DataFolder::mail(folder);
        let people = (0..2 * PEOPLE).map(async |person| {
            let mut desk = Desk::open(address, token).await?;
            register(&mut desk, &mails, &email(person)).await
        });
        try_join_all(people).await?;
        let requests = (0..2 * Passwords::places()).map(|number| {
            let person = number / 3 % PEOPLE;
            match number % 3 {
                0 => request(&email(person), PASSWORD),
                1 => request(&email(PEOPLE + person), "a wrong password"),
                _ => request(&format!("nobody-{number}@example.org"), PASSWORD),
            }
        });
        Ok(Self { address, requests: requests.collect() })
    }

    /// Logs in until `delay` and then `duration` are over; what came of it after `delay`.
    ///
    /// # Errors
    /// See [`StormError`].
    pub fn rage(&self, delay: Duration, duration: Duration) -> Result<Seen, StormError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let begin = Instant::now() + delay;
        let window = (begin, begin + duration);
        let crowd = try_join_all(self.requests.iter().map(|request| self.log_in(request, window)));
        let hashing = async {
            tokio::time::sleep_until(window.0.into()).await;
            let before = cpu::threads_named(THREADS);
            tokio::time::sleep_until(window.1.into()).await;
            let after = cpu::threads_named(THREADS);
            Ok(before.zip(after).map(|(before, after)| after.saturating_sub(before)))
        };
        let (crowd, hashing) = runtime.block_on(try_join(crowd, hashing))?;
        let sum = |count: fn(&Seen) -> u64| crowd.iter().map(count).sum();
        Ok(Seen {
            let_in: sum(|seen| seen.let_in),
            refused: sum(|seen| seen.refused),
            sent_away: sum(|seen| seen.sent_away),
            timed_out: sum(|seen| seen.timed_out),
            hashing,
        })
    }

    /// One of them, who tries again as soon as there is an answer. Nobody waits for the last.
    async fn log_in(&self, request: &[u8], window: (Instant, Instant)) -> Result<Seen, StormError> {
        let mut connection = Connection::open(self.address).await?;
        let mut seen = Seen::default();
        loop {
            request.clone_into(&mut connection.request);
            let answer = tokio::time::timeout_at(window.1.into(), connection.exchange()).await;
            let Ok(answer) = answer else { return Ok(seen) };
            let answer = answer?;
            let body = String::from_utf8_lossy(answer.body);
            let count = match answer.status {
                200 => &mut seen.let_in,
                401 => &mut seen.refused,
                503 if body.contains("TIMED_OUT") => &mut seen.timed_out,
                429 | 503 => &mut seen.sent_away,
                status => {
                    let body = body.chars().take(300).collect();
                    return Err(StormError::Unexpected { status, body });
                }
            };
            *count += u64::from(Instant::now() >= window.0);
        }
    }
}

fn email(person: usize) -> String {
    format!("person-{person}@example.org")
}

fn request(email: &str, password: &str) -> Vec<u8> {
    let body = json!({"email": email, "password": password}).to_string();
    let head = "POST /api/v1/auth/login HTTP/1.1\r\nhost: localhost\r\n\
                content-type: application/json\r\ncontent-length: ";
    format!("{head}{}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Somebody new, who shows the code that was sent to their address.
async fn register(desk: &mut Desk, mails: &Path, email: &str) -> Result<(), StormError> {
    let body = json!({"email": email, "name": "Measured", "password": PASSWORD});
    desk.post("/api/v1/auth/register", &body).await?;
    let waited = async {
        loop {
            if let Some(code) = code(mails, email)? {
                return Ok::<_, io::Error>(code);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let code = tokio::time::timeout(PATIENCE, waited).await;
    let code = code.map_err(|_| StormError::NoMail(email.to_owned()))??;
    let body = json!({"code": code, "password": PASSWORD});
    desk.post("/api/v1/auth/email/verify", &body).await?;
    Ok(())
}

/// What follows `Code: ` in the mail to `email`, once it is there: `MAILS/usr_.../NUMBER.eml`.
fn code(mails: &Path, email: &str) -> io::Result<Option<String>> {
    for person in entries(mails)? {
        for mail in entries(&person)? {
            if mail.extension().is_none_or(|kind| kind != "eml") {
                continue;
            }
            let text = fs::read_to_string(mail)?;
            let is_mine = text.lines().any(|line| line.trim_end() == format!("To: {email}"));
            if let (true, Some((_, code))) = (is_mine, text.split_once("Code: ")) {
                return Ok(Some(code.trim().to_owned()));
            }
        }
    }
    Ok(None)
}

/// What is in a folder; nothing while there is none.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(vec![]),
        entries => entries?.map(|entry| Ok(entry?.path())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_in_the_mail_of_whom_it_is_for() {
        let folder = tempfile::tempdir().unwrap();
        let mails = folder.path().join("mail");
        assert_eq!(code(&mails, "a@b.c").unwrap(), None);
        for (user, name, text) in [
            ("usr_1", "1.eml", "To: x@b.c\r\n\r\nCode: of x\r\n"),
            ("usr_2", "1.part", "To: a@b.c\r\n\r\nCode: hal"),
            ("usr_2", "2.eml", "To: a@b.c\r\n\r\nCode: of a\r\n"),
        ] {
            fs::create_dir_all(mails.join(user)).unwrap();
            fs::write(mails.join(user).join(name), text).unwrap();
        }
        assert_eq!(code(&mails, "a@b.c").unwrap().as_deref(), Some("of a"));
        assert_eq!(code(&mails, "nobody@b.c").unwrap(), None);
    }
}
