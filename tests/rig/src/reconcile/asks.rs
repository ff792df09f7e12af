//! What is asked for, and by whom it is paid.

use chip_sandbox::{DEFAULT_BRAND_ID, DEFAULT_SECRET_KEY, Sandbox, TestCard};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use holdfast::clock::Clock;
use holdfast::gateway::{Account, AccountConfig, Accounts, ChipGateway, Deadlines, Settings};
use holdfast::payment::{AccountName, Private, StateName};
use holdfast::store::Store;

use crate::works::{PARKS, RESENDS, Works};

const EMAIL: &str = "payer@test.example";
const CUSTOMER: &str = r#""customer":{"email":"payer@test.example"}"#;

/// What is needed to ask.
pub(super) struct Asks {
    token: String,
}

impl Asks {
    pub(super) fn prepare(sandbox: &Sandbox) -> Self {
        let token = sandbox.save_card(EMAIL).to_string();
        Self { token }
    }

    /// Payment number so and so: half of them charges, the others holds that end in each way.
    pub(super) fn request(&self, number: u64, now: DateTime<Utc>) -> String {
        let account = if number.is_multiple_of(2) {
            PARKS
        } else {
            RESENDS
        };
        let amount = 1_000 + number % 5_000;
        let money = format!(r#""money":{{"amount":{amount},"currency":"MYR"}}"#);
        let seconds = i64::try_from(2 + number % 5).unwrap_or(2);
        let at = (now + TimeDelta::seconds(seconds)).to_rfc3339_opts(SecondsFormat::Millis, true);
        let plan = match number % 3 {
            0 => format!(r#"{{"capture_at":"{at}"}}"#),
            1 => format!(r#"{{"capture_at":"{at}","capture_amount":{}}}"#, amount / 2),
            _ => format!(r#"{{"release_at":"{at}"}}"#),
        };
        let token = &self.token;
        let body = match number / 2 % 10 {
            0..5 => format!(r#""type":"charge",{money},"token":"{token}",{CUSTOMER}"#),
            5..9 => format!(
                r#""type":"authorize",{money},"source":{{"token":"{token}"}},"plan":{plan},{CUSTOMER}"#
            ),
            _ => format!(
                r#""type":"authorize",{money},"source":{{"checkout":{{}}}},"plan":{plan},{CUSTOMER}"#
            ),
        };
        format!(r#"{{"v":1,"account":"{account}","idempotency_key":"book-{number}",{body}}}"#)
    }
}

/// Every payer who has a link pays.
pub(super) async fn pay_all(works: &Works) -> anyhow::Result<()> {
    let by = StateName::AwaitingPayer.into();
    for waiting in works.store.list(&by, None, 500).await?.payments {
        let purchase = waiting.payment.purchase().map(|known| known.id.as_str());
        if let Some(Ok(purchase)) = purchase.map(str::parse) {
            works.sandbox.pay(purchase, TestCard::Plain, false);
        }
    }
    Ok(())
}

/// The gateway's client, for both accounts.
pub(super) fn gateway(base_url: &str, clock: &Clock) -> anyhow::Result<ChipGateway> {
    let account = || {
        Account::new(AccountConfig {
            secret_key: Private::new(DEFAULT_SECRET_KEY.to_owned()),
            brand_id: DEFAULT_BRAND_ID.to_string(),
            base_url: base_url.to_owned(),
            test: true,
            success_callback: None,
            card_whitelist: None,
            webhook_keys: Vec::new(),
        })
    };
    let named = [
        (AccountName::new(PARKS)?, account()?),
        (AccountName::new(RESENDS)?, account()?),
    ];
    let settings = Settings {
        deadlines: Deadlines {
            create_ms: 10_000,
            look_up_ms: 10_000,
            charge_ms: 10_000,
            capture_ms: 10_000,
            release_ms: 10_000,
            cancel_ms: 10_000,
        },
        connect_timeout_ms: 5_000,
        largest_answer_bytes: 1 << 20,
        idle_connections: 8,
        idle_timeout_ms: 10_000,
        company_key_every_ms: 60_000,
    };
    Ok(ChipGateway::new(
        Accounts::from_iter(named),
        settings,
        clock.clone(),
    )?)
}
