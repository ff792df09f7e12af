//! What the workers hear of the gateway: webhooks and success callbacks.

use std::net::TcpListener;

use anyhow::Context;
use chip_sandbox::{DEFAULT_SECRET_KEY, Request, Sandbox};
use serde_json::{Value, json};

use crate::works::{PARKS, RESENDS, Works};

/// Settings of one worker process.
pub(super) type OwnSettings = Vec<(String, String)>;

/// Registers a webhook for each account and asks for success callbacks. Answers what lets one
/// worker listen: all of them run on one machine, so at one time only one of them can.
pub(super) fn prepare(works: &mut Works) -> anyhow::Result<OwnSettings> {
    // Nobody listens there yet; one worker after another will.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    for account in [PARKS, RESENDS] {
        let url = format!("http://{address}/webhooks/chip/{account}");
        let key = register_webhook(&works.sandbox, &url)?;
        let file = works.folder().join(format!("{account}.pem"));
        std::fs::write(&file, key)?;
        let setting = format!("HOLDFAST__ACCOUNTS__{}", account.to_uppercase());
        works.set(
            &format!("{setting}__WEBHOOK_PUBLIC_KEY_FILES"),
            file.display().to_string(),
        );
        works.set(
            &format!("{setting}__SUCCESS_CALLBACK"),
            format!("http://{address}/callbacks/chip/{account}"),
        );
    }
    Ok(vec![("HOLDFAST__HTTP__LISTEN".to_owned(), address)])
}

/// Registers a webhook that hears everything; answers the key that its deliveries are signed with.
fn register_webhook(sandbox: &Sandbox, url: &str) -> anyhow::Result<String> {
    let wish = json!({ "title": "holdfast", "callback": url, "all_events": true }).to_string();
    let request = Request::api("POST", "webhooks/", DEFAULT_SECRET_KEY, wish);
    let answer = sandbox.with(|engine, now_ms| engine.answer(now_ms, request));
    let answer: Value = serde_json::from_str(&answer.body)?;
    let key = answer["public_key"].as_str();
    Ok(key.context("the webhook's public key")?.to_owned())
}
