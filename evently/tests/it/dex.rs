//! Logging in at a real provider: dex, whose form is filled in as a browser would.

use std::path::PathBuf;
use std::process::Stdio;

use reqwest::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, Response, redirect};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::server::Server;
use crate::serving::{free_port, until};

/// Where the provider sends browsers; here nobody listens, and the test asks the server itself.
const REDIRECT: &str = "http://127.0.0.1:1/api/v1/auth/oidc/callback";
const SECRET: &str = "a secret between the two";

struct Dex {
    _folder: TempDir,
    _process: Child,
    /// Without its path.
    origin: String,
    issuer: String,
    browser: Client,
}

/// The program, where there is one. `.ci/with-services` says where.
fn program() -> Option<PathBuf> {
    let found = std::env::var_os("EVENTLY_TEST_DEX").map(PathBuf::from);
    if found.is_none() {
        println!("left out: dex is not installed");
    }
    found
}

impl Dex {
    async fn start(program: PathBuf) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let origin = format!("http://127.0.0.1:{port}");
        let issuer = format!("{origin}/dex");
        // Of "password".
        let hash = "$2a$10$2b2cU8CPhOTaGrs1HRQuAueS7JTT5ZHsHSzYiFPm1leZck7Mc8T4W";
        let config = format!(
            "issuer: {issuer}
storage: {{type: memory}}
web: {{http: '127.0.0.1:{port}'}}
oauth2: {{skipApprovalScreen: true}}
staticClients:
- {{id: evently, name: Evently, secret: '{SECRET}', redirectURIs: ['{REDIRECT}']}}
enablePasswordDB: true
staticPasswords:
- {{email: ada@example.org, hash: '{hash}', username: Ada Lovelace, userID: ada-at-dex}}
"
        );
        let file = folder.path().join("dex.yaml");
        std::fs::write(&file, config).unwrap();
        let mut process = Command::new(program);
        process.arg("serve").arg(file).stdin(Stdio::null()).stdout(Stdio::null());
        let process = process.stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
        let browser = Client::builder().redirect(redirect::Policy::none()).build().unwrap();
        let well_known = format!("{issuer}/.well-known/openid-configuration");
        until("dex answers", async || browser.get(&well_known).send().await.is_ok()).await;
        Self { _folder: folder, _process: process, origin, issuer, browser }
    }

    fn settings(&self) -> [&str; 8] {
        [
            "--oidc-issuer",
            &self.issuer,
            "--oidc-client-id",
            "evently",
            "--oidc-client-secret",
            SECRET,
            "--oidc-redirect-url",
            REDIRECT,
        ]
    }

    fn whole(&self, location: &str) -> String {
        if location.starts_with('/') {
            format!("{}{location}", self.origin)
        } else {
            location.into()
        }
    }

    /// Follows redirects until there is a page, or the provider sends the browser back: to where.
    async fn follow(&self, mut answer: Response) -> Result<String, Response> {
        while let Some(location) = answer.headers().get(LOCATION) {
            let location = self.whole(location.to_str().unwrap());
            if location.starts_with(REDIRECT) {
                return Ok(location);
            }
            answer = self.browser.get(location).send().await.unwrap();
        }
        Err(answer)
    }

    /// Fills the form in: where the provider sends the browser then, or the page it shows.
    async fn log_in(&self, location: &str, password: &str) -> Result<String, Response> {
        let answer = self.browser.get(location).send().await.unwrap();
        let page = self.follow(answer).await.expect_err("a form");
        let (url, html) = (page.url().to_string(), page.text().await.unwrap());
        let form = html.split("<form").nth(1).unwrap_or_else(|| panic!("no form: {html}"));
        let action = form.split("action=\"").nth(1).and_then(|rest| rest.split('"').next());
        let action = action.map_or(url, |action| self.whole(&action.replace("&amp;", "&")));
        let filled = format!("login=ada%40example.org&password={password}");
        let sent =
            self.browser.post(action).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.follow(sent.body(filled).send().await.unwrap()).await
    }
}

/// Where the browser is sent, and the cookie it keeps.
async fn begin(server: &Server, browser: &Client) -> (String, String) {
    let answer = browser.get(server.url("/api/v1/auth/oidc/login")).send().await.unwrap();
    assert_eq!(answer.status(), 303);
    let text = |name| answer.headers()[name].to_str().unwrap().to_owned();
    (text(LOCATION), text(SET_COOKIE).split(';').next().unwrap().to_owned())
}

/// Status and body of what the server says when the browser comes back.
async fn come_back(server: &Server, browser: &Client, to: &str, cookie: &str) -> (u16, Value) {
    let query = to.split('?').nth(1).unwrap();
    let url = server.url(&format!("/api/v1/auth/oidc/callback?{query}"));
    let answer = browser.get(url).header(COOKIE, cookie).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn who_is_known_to_a_real_provider_gets_in_and_nobody_else() {
    let Some(program) = program() else { return };
    let dex = Dex::start(program).await;
    let server = Server::start_with(&dex.settings()).await;
    let browser = &dex.browser;
    let (location, cookie) = begin(&server, browser).await;
    let page = dex.log_in(&location, "wrong").await.expect_err("no code");
    assert!(page.text().await.unwrap().contains("<form"));

    let (_, another) = begin(&server, browser).await;
    let back = dex.log_in(&location, "password").await.expect("a code");
    for foreign in [another.as_str(), "evently-oidc=x", ""] {
        let (status, problem) = come_back(&server, browser, &back, foreign).await;
        assert_eq!((status, &problem["code"]), (401, &"OIDC_REFUSED".into()));
    }
    let (status, tokens) = come_back(&server, browser, &back, &cookie).await;
    assert_eq!(status, 200, "{tokens}");
    let me = browser.get(server.url("/api/v1/users/me"));
    let me = me.bearer_auth(tokens["access_token"].as_str().unwrap()).send().await.unwrap();
    let me: Value = me.json().await.unwrap();
    assert_eq!((&me["email"], &me["name"]), (&"ada@example.org".into(), &"Ada Lovelace".into()));
    // The code is spent.
    assert_eq!(come_back(&server, browser, &back, &cookie).await.0, 401);

    // A code is worth nothing in another browser that began a log-in of its own, as an answer to that.
    let (location, cookie) = begin(&server, browser).await;
    let (other_location, other_cookie) = begin(&server, browser).await;
    let back = dex.log_in(&location, "password").await.expect("a code");
    let state = |url: &str| {
        let state = url.split("state=").nth(1).unwrap();
        state.split('&').next().unwrap().to_owned()
    };
    let stolen = back.replace(&state(&location), &state(&other_location));
    assert_ne!(stolen, back);
    assert_eq!(come_back(&server, browser, &stolen, &other_cookie).await.0, 401);
    // Nor in its own any more: who tries a code that is not theirs spends it.
    assert!([200, 401].contains(&come_back(&server, browser, &back, &cookie).await.0));

    let (location, cookie) = begin(&server, browser).await;
    let back = dex.log_in(&location, "password").await.expect("a code");
    let (status, again) = come_back(&server, browser, &back, &cookie).await;
    assert_eq!((status, &again["user_id"]), (200, &tokens["user_id"]), "{again}");
}
