//! What reaches the gateway from elsewhere than a worker: the payer, and the shop's set-up.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, ensure};
use chip_sandbox::{Request, Sandbox, TestCard};
use holdfast::payment::{PaymentId, StateName};

use super::{Demo, table};

impl Demo {
    /// The payer types a card into the shop's own form, which posts it straight to the gateway
    /// (Direct Post).
    pub(super) async fn payer_posts_card(&self, id: &PaymentId) -> anyhow::Result<()> {
        self.rests(id, &[StateName::AwaitingPayer]).await?;
        let payment = self.works.load(id).await?.payment;
        let url = payment
            .purchase()
            .and_then(|purchase| purchase.direct_post_url.as_ref())
            .context("the gateway gave no direct post URL")?
            .reveal()
            .clone();
        let form = TestCard::Plain.form(false);
        tokio::task::spawn_blocking(move || post(&url, &form)).await??;
        self.say(&format!(
            "  {} the payer has posted a card",
            table::short(id)
        ));
        Ok(())
    }
}

/// One form, posted as a browser would.
fn post(url: &str, form: &str) -> anyhow::Result<()> {
    let rest = url
        .strip_prefix("http://")
        .context("the sandbox speaks http")?;
    let (host, path) = rest.split_once('/').context("a path")?;
    let mut stream = TcpStream::connect(host)?;
    write!(
        stream,
        "POST /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let is_taken = ["HTTP/1.1 2", "HTTP/1.1 3"]
        .iter()
        .any(|status| answer.starts_with(status));
    let status = answer.lines().next().unwrap_or_default();
    ensure!(is_taken, "the gateway did not take the card: {status}");
    Ok(())
}

/// Registers a webhook at the gateway and answers the key its deliveries are signed with.
pub(super) fn register_webhook(sandbox: &Sandbox, url: &str) -> anyhow::Result<String> {
    let body = format!(r#"{{"title":"holdfast","callback":"{url}","all_events":true}}"#);
    let key = chip_sandbox::DEFAULT_SECRET_KEY;
    let call = Request::api("POST", "webhooks/", key, body.into_bytes());
    let answer = sandbox.with(|engine, now| engine.answer(now, call));
    let answer: serde_json::Value = serde_json::from_str(&answer.body)?;
    let key = answer["public_key"].as_str();
    Ok(key.context("the webhook's public key")?.to_owned())
}
