//! Accounts as people meet them, and what is left of them in the log and on the disk.

mod erasing;
mod guessing;
mod left_behind;
mod oidc;
mod orders;
mod passwords;
mod registering;
mod revoking;
mod roles;
mod sessions;
mod store;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use axum::body::Body;
use axum::http::Request;
use domain::UserId;
use infra::http::GENERIC_CODES;
use serde_json::{Value, json};

use crate::support::{Answer, Client, Node, World, eventually};

pub(crate) const PASSWORD: &str = "correct horse battery";

/// Anybody in front of the API, known or not.
pub(crate) struct Guest(Client);

/// Somebody who is logged in.
pub(crate) struct Member {
    pub(crate) user: UserId,
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl Guest {
    pub(crate) fn at(world: &World, node: &Node) -> Self {
        Self(world.buyer(node).with_token(None))
    }

    pub(crate) fn again(&self) -> Self {
        Self(self.0.clone())
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.ask_as(method, path, body, None, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask("POST", path, Some(body)).await
    }

    pub(crate) async fn ask_as(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        token: Option<&str>,
        key: Option<&str>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("/api/v1{path}"));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| body.to_string().into());
        let answer = self.0.clone().ask(request.body(body).unwrap()).await;
        check_form(&answer);
        answer
    }

    /// Asks without a body, and hangs up at once.
    pub(crate) fn ask_and_go(&self, method: &str, path: &str, token: &str) {
        let request = Request::builder().method(method).uri(format!("/api/v1{path}"));
        let request = request.header("authorization", format!("Bearer {token}"));
        self.0.ask_and_go(request.body(Body::empty()).unwrap());
    }

    /// An answer to a GET whose body waits to be read.
    pub(crate) async fn begin(&self, path: &str, token: &str) -> axum::response::Response {
        let request = Request::get(format!("/api/v1{path}"));
        let request = request.header("authorization", format!("Bearer {token}"));
        self.0.begin(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn verify(&self, code: &str, password: &str) -> Answer {
        self.post("/auth/email/verify", json!({"code": code, "password": password})).await
    }

    pub(crate) async fn register(&self, email: &str, name: &str, password: &str) -> Answer {
        let body = json!({"email": email, "name": name, "password": password});
        self.post("/auth/register", body).await
    }

    pub(crate) async fn log_in(&self, email: &str, password: &str) -> Answer {
        self.post("/auth/login", json!({"email": email, "password": password})).await
    }

    /// Somebody new, with the address verified.
    pub(crate) async fn join(&self, world: &World, email: &str, name: &str) -> Member {
        self.register(email, name, PASSWORD).await.expect(202);
        let code = code(world, email, "Your address").await;
        Member::of(&self.verify(&code, PASSWORD).await.expect(200))
    }

    pub(crate) async fn refresh(&self, token: &str) -> Answer {
        self.post("/auth/refresh", json!({"refresh_token": token})).await
    }

    pub(crate) async fn me(&self, member: &Member) -> Answer {
        self.ask_as("GET", "/users/me", None, Some(&member.access), None).await
    }
}

impl Member {
    pub(crate) fn of(answer: &Answer) -> Self {
        Self {
            user: answer.text("user_id").parse().unwrap(),
            access: answer.text("access_token"),
            refresh: answer.text("refresh_token"),
        }
    }
}

fn check_form(answer: &Answer) {
    if answer.status.is_success() {
        return;
    }
    let body = answer.json();
    let listed = command_api::CODES.iter().chain(GENERIC_CODES);
    let mut listed = listed.filter(|listed| body["code"] == listed.code);
    assert_eq!(listed.next().map(|it| it.status), Some(answer.status.as_u16()), "{body}");
    assert!(answer.status.as_u16() < 500 || answer.status == 503, "{body}");
}

/// Every mail that was written to this address, oldest first.
pub(crate) fn mails(world: &World, email: &str) -> Vec<String> {
    let mut all = vec![];
    for folder in fs::read_dir(world.mail()).into_iter().flatten() {
        for file in fs::read_dir(folder.unwrap().path()).into_iter().flatten() {
            let path = file.unwrap().path();
            // One that is being written is about to have another name.
            if path.extension().is_none_or(|kind| kind != "eml") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap_or_default();
            if text.contains(&format!("To: {email}\r\n")) {
                all.push((path.file_name().unwrap().to_owned(), text));
            }
        }
    }
    all.sort();
    all.into_iter().map(|(_, text)| text).collect()
}

/// The code in the last mail about this, once it is there.
pub(crate) async fn code(world: &World, email: &str, about: &str) -> String {
    let found = || {
        let mut mails = mails(world, email).into_iter().rev();
        mails.find(|mail| mail.contains(&format!("Subject: {about}")))
    };
    eventually(async || found().is_some()).await;
    let mail = found().unwrap();
    mail.split("Code: ").nth(1).unwrap().trim().to_owned()
}

/// How often facts of each kind are in the log.
pub(crate) async fn count(world: &World, kind: &str) -> usize {
    world.story().await.kind(kind)
}

/// Every file below a folder in which any of these texts is, in any case of letters.
pub(crate) fn grep(folder: &Path, texts: &[&str]) -> BTreeSet<String> {
    let texts: Vec<_> = texts.iter().map(|text| text.to_ascii_lowercase()).collect();
    files(folder, &|bytes| {
        let bytes = bytes.to_ascii_lowercase();
        texts.iter().any(|text| has(&bytes, text.as_bytes()))
    })
}

/// Every file below a folder in which these bytes are.
pub(crate) fn holding(folder: &Path, wanted: &[u8]) -> BTreeSet<String> {
    files(folder, &|bytes| has(bytes, wanted))
}

fn has(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

fn files(folder: &Path, is_wanted: &dyn Fn(&[u8]) -> bool) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, is_wanted));
        } else if is_wanted(&fs::read(&path).unwrap_or_default()) {
            found.insert(path.display().to_string());
        }
    }
    found
}
