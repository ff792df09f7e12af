//! What is posted to the listener, by the gateway or by anybody.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use holdfast::api::{Api, Limits, router};
use holdfast::clock::Clock;
use holdfast::config::Config;
use holdfast::gateway::{Account, Accounts, ChipGateway, Notice, PublicKey, SIGNATURE_HEADER};
use holdfast::payment::{AccountName, Timestamp};
use holdfast::store::memory::MemoryStore;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

use crate::{ACCOUNT, KEY};

/// Nobody signed with its other half: that was not kept.
const WEBHOOK_KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA8NUJymmfkjtbyWg2p+xW\n\
C2rptQy7NsrDytY9HUG+Wb9eqyBqHWYmfgLZrQux1/k4cRINAiu9QzdxSFNaTxAj\n\
zEJ85LbWKqECB16eKnxHR50+m2Zs9QH3V2T2XLHNcHzUwbv+vy688kzZ3arbS5dy\n\
GJJfx6monCkl+0USpRt/jYGE5Ef8lpBdZgh3+5ZXdcmeZtZSjZr+6tD/SXdo3Uhc\n\
Fz2eIRSrTStwsSSvyrOpk6m6KfBt9QXg3YGDIgBYOJAMNfCI7VtbAA3ZaXRQxF4Z\n\
URHUuKLcBY9rDmvkhD82eHsYdVdSDXQ2ff9iQVJCNKNoFa+oe4KdAvOAECDDtPOs\n\
4wIDAQAB\n-----END PUBLIC KEY-----";

/// A post: a line with the account, a line with the signature, and the body. Nobody can have
/// signed it, so it is never accepted; what the body is about is read all the same.
pub fn webhook(bytes: &[u8]) {
    let mut parts = bytes.splitn(3, |byte| *byte == b'\n');
    let (account, signature) = (parts.next().unwrap_or_default(), parts.next());
    let body = parts.next().unwrap_or_default();
    is_about_payments(body);
    let _ = PublicKey::from_pem(&String::from_utf8_lossy(body));
    post(account, signature.unwrap_or_default(), body);
}

fn is_about_payments(body: &[u8]) {
    let hotel = AccountName::new("hotel").expect("a name");
    let notice = Notice::read(body);
    for payment in notice.payments(&hotel) {
        let digits = payment
            .as_str()
            .strip_prefix("pay_")
            .expect("a payment's id");
        assert!(digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
    // Its event goes to the log, so it must be a word and nothing else.
    if let Some(event) = notice.event() {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        assert!(
            event.len() <= 100 && event.bytes().all(fits),
            "{event:?} is no event"
        );
    }
}

fn post(account: &[u8], signature: &[u8], body: &[u8]) {
    // What is no path or no header does not get as far as the listener's own code.
    let path = format!("/webhooks/chip/{}", String::from_utf8_lossy(account));
    let request = Request::post(path)
        .header(SIGNATURE_HEADER, signature)
        .body(Body::from(body.to_vec()));
    let Ok(request) = request else {
        return;
    };
    let (runtime, listener) = listener();
    let answer = runtime.block_on(listener.clone().oneshot(request));
    let status = answer.map(|answer| answer.status());
    let refused = [
        StatusCode::UNAUTHORIZED,
        StatusCode::NOT_FOUND,
        StatusCode::BAD_REQUEST,
        StatusCode::PAYLOAD_TOO_LARGE,
        StatusCode::SERVICE_UNAVAILABLE,
    ];
    assert!(
        status.is_ok_and(|status| refused.contains(&status)),
        "an unsigned post is answered {status:?}"
    );
}

/// The listener of an account whose webhook key is known, so that nothing has to be fetched.
fn listener() -> &'static (Runtime, Router) {
    static LISTENER: OnceLock<(Runtime, Router)> = OnceLock::new();
    LISTENER.get_or_init(|| {
        let runtime = Builder::new_current_thread().enable_all().build();
        (runtime.expect("a runtime"), routes())
    })
}

fn routes() -> Router {
    let text = format!(
        "[gateway]\nbase_url = \"http://127.0.0.1:9/\"\n{ACCOUNT}webhook_public_keys = ['''{WEBHOOK_KEY}''']\n"
    );
    let key = (KEY.0.to_owned(), KEY.1.to_owned());
    let config = Config::read("fuzz.toml", &text, [key]).expect("a configuration");
    let accounts: Accounts = config
        .gateway_accounts()
        .into_iter()
        .map(|(name, account)| (name, Account::new(account).expect("an account")))
        .collect();
    let clock = Clock::manual(Timestamp::UNIX_EPOCH);
    let gateway = ChipGateway::new(accounts, config.gateway_settings(), clock.clone());
    let limits = Limits {
        connections: 8,
        header_timeout_ms: 1_000,
        request_timeout_ms: 1_000,
        store_timeout_ms: 500,
        drain_timeout_ms: 1_000,
    };
    let store = Arc::new(MemoryStore::new(clock, 30_000));
    router(Api::new(
        store,
        Arc::new(gateway.expect("a client")),
        limits,
    ))
}
