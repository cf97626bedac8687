//! Requests and answers, printed as they go by; and what the demo expects of them.

use crate::http_client::{Answer, Http};
use anyhow::{Context as _, ensure};
use http::Method;
use serde_json::Value;

/// Headers worth seeing.
const HEADERS: &[&str] = &["etag", "deprecation", "sunset", "link", "www-authenticate"];

/// Calls that are printed.
pub(super) trait Shown {
    async fn get(&mut self, path: &str) -> anyhow::Result<Answer>;
    async fn post(&mut self, path: &str, body: Value) -> anyhow::Result<Answer>;
}

impl Shown for Http {
    async fn get(&mut self, path: &str) -> anyhow::Result<Answer> {
        shown(self, Method::GET, path, None).await
    }

    async fn post(&mut self, path: &str, body: Value) -> anyhow::Result<Answer> {
        shown(self, Method::POST, path, Some(body)).await
    }
}

async fn shown(http: &mut Http, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Answer> {
    println!("\n{method} {path}{}", if http.has_token() { "" } else { "   (no token)" });
    if let Some(body) = &body {
        println!("{body}");
    }
    let answer = http.call(method, path, &[], body).await?;
    println!("-> {}", answer.status);
    for name in HEADERS {
        if let Some(value) = answer.headers.get(*name).and_then(|value| value.to_str().ok()) {
            println!("   {name}: {value}");
        }
    }
    println!("{:#}", answer.body);
    Ok(answer)
}

impl Answer {
    /// The answer, if it has this status.
    pub(super) fn expect(self, status: u16) -> anyhow::Result<Self> {
        ensure!(self.status == status, "expected status {status}, got {}", self.status);
        Ok(self)
    }

    /// The text at a JSON pointer.
    pub(super) fn at(&self, pointer: &str) -> anyhow::Result<String> {
        let text = self.body.pointer(pointer).and_then(Value::as_str);
        text.map(str::to_owned).with_context(|| format!("the answer has no {pointer}"))
    }
}
