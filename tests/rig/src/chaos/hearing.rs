//! What the workers hear of the gateway: webhooks and success callbacks.

use std::net::{SocketAddr, TcpListener};

use anyhow::Context;
use chip_sandbox::{Request, Sandbox};
use serde_json::{Value, json};

use super::canaries::KEY;
use crate::works::{PARKS, RESENDS, Works};

/// Settings of one worker process.
pub(super) type OwnSettings = Vec<(String, String)>;

/// What lets one worker listen, and where.
pub(super) struct Hearing {
    pub(super) settings: OwnSettings,
    pub(super) address: SocketAddr,
}

/// Registers a webhook for each account and asks for success callbacks. Answers what lets one
/// worker listen: all of them run on one machine, so at one time only one of them can.
pub(super) fn prepare(works: &mut Works) -> anyhow::Result<Hearing> {
    // Nobody listens there yet; one worker after another will.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
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
    let settings = vec![("HOLDFAST__HTTP__LISTEN".to_owned(), address.to_string())];
    Ok(Hearing { settings, address })
}

/// Registers a webhook that hears everything; answers the key that its deliveries are signed with.
fn register_webhook(sandbox: &Sandbox, url: &str) -> anyhow::Result<String> {
    let wish = json!({ "title": "holdfast", "callback": url, "all_events": true }).to_string();
    let request = Request::api("POST", "webhooks/", KEY, wish);
    let answer = sandbox.with(|engine, now_ms| engine.answer(now_ms, request));
    let answer: Value = serde_json::from_str(&answer.body)?;
    let key = answer["public_key"].as_str();
    Ok(key.context("the webhook's public key")?.to_owned())
}
