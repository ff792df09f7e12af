//! The configuration of the simulated shop: the product's own shape, in minutes instead of days.

use std::collections::BTreeMap;

use holdfast::gateway::{Account, AccountConfig, Deadlines};
use holdfast::payment::{
    AccountFacts, AccountName, Advice, BeforeExpiry, DeclineTable, Ladder, Policy, Private,
    UnknownPolicy,
};
use holdfast::queue;
use holdfast::worker::Policies;
use uuid::Uuid;

use crate::plan::Plan;

/// An account of the shop, which is a company of its own at the gateway.
pub(crate) struct Company {
    pub(crate) name: &'static str,
    pub(crate) key: &'static str,
    pub(crate) brand: Uuid,
    unknown: UnknownPolicy,
}

/// One parks what is unknown, one sends it again.
pub(crate) const COMPANIES: [Company; 2] = [
    Company {
        name: "parks",
        key: "simulated-key-of-parks",
        brand: Uuid::from_u128(0x5a4d_b000_0000_4000_8000_0000_0000_0011),
        unknown: UnknownPolicy::Park,
    },
    Company {
        name: "resends",
        key: "simulated-key-of-resends",
        brand: Uuid::from_u128(0x5a4d_b000_0000_4000_8000_0000_0000_0022),
        unknown: UnknownPolicy::ResendSame,
    },
];

/// The key of an account.
pub(crate) fn key_of(account: &AccountName) -> &'static str {
    let known = COMPANIES
        .iter()
        .find(|company| company.name == account.as_str());
    known.map_or("", |company| company.key)
}
/// The quiet period: longer than the longest deadline.
pub(crate) const QUIET_MS: u64 = 180_000;
pub(crate) const LEASE_MS: u64 = 30_000;
const MINUTE: u64 = 60_000;
/// By then all is finished or parked: the longest way there is up the business ladder, a charge
/// whose outcome is unknown, and a hold that lapses.
pub(crate) const SETTLED_AFTER_MS: u64 = 180 * MINUTE;
/// The longest that a hold lasts at the acquirer.
pub(crate) const HOLD_MS: u64 = 25 * MINUTE;
/// After so long nothing that was sent is on its way any more.
pub(crate) const DRAINED_AFTER_MS: u64 = 4 * QUIET_MS;

pub(crate) const DEADLINES: Deadlines = Deadlines {
    create_ms: 20_000,
    look_up_ms: 15_000,
    charge_ms: 60_000,
    capture_ms: 60_000,
    release_ms: 60_000,
    cancel_ms: 20_000,
};

fn ladder(delays_ms: &[u64], give_up_after_ms: u64) -> Ladder {
    Ladder {
        delays_ms: delays_ms.to_vec(),
        jitter_percent: 20,
        give_up_after_ms,
    }
}

fn policy(brand: Uuid, unknown: UnknownPolicy) -> Policy {
    use Advice::{InDoubt, Later, Never};
    let codes = [
        ("insufficient_funds", Later),
        ("do_not_honour", Never),
        ("invalid_recurring_token", Never),
        ("timeout", InDoubt),
    ];
    Policy {
        account: AccountFacts {
            brand: brand.to_string(),
            test: true,
            hold_lifetime_ms: HOLD_MS,
            largest_amount_minor: None,
        },
        quiet_ms: QUIET_MS,
        unknown,
        lookup: ladder(&[2_000, 5_000, 15_000, MINUTE, 5 * MINUTE], 30 * MINUTE),
        technical: ladder(&[1_000, 5_000, 30_000, 2 * MINUTE], 30 * MINUTE),
        business: ladder(&[3 * MINUTE, 5 * MINUTE], 20 * MINUTE),
        payer: ladder(&[15_000, 30_000, MINUTE, 3 * MINUTE], 30 * MINUTE),
        parked_look_every_ms: 20 * MINUTE,
        link_lifetime_ms: 8 * MINUTE,
        link_grace_ms: 2 * MINUTE,
        purchase_lifetime_ms: 60 * MINUTE,
        expiry_margin_ms: 4 * MINUTE,
        before_expiry: BeforeExpiry::Release,
        retry_after_cap_ms: MINUTE,
        poison_claims: 12,
        declines: DeclineTable {
            as_of: "2026-11-23".into(),
            default: Never,
            codes: codes.map(|(code, advice)| (code.to_owned(), advice)).into(),
        },
    }
}

pub(crate) fn policies(plan: &Plan) -> Policies {
    let named = |company: &Company| {
        let unknown = plan.unknown.unwrap_or(company.unknown);
        let name = AccountName::new(company.name).ok()?;
        Some((name, policy(company.brand, unknown)))
    };
    COMPANIES.iter().filter_map(named).collect()
}

/// The accounts as the client needs them, by name.
pub(crate) fn accounts() -> anyhow::Result<BTreeMap<AccountName, Account>> {
    let account = |company: &Company| {
        let config = AccountConfig {
            secret_key: Private::new(company.key.to_owned()),
            brand_id: company.brand.to_string(),
            base_url: "http://gateway.simulated/api/v1/".to_owned(),
            test: true,
            success_callback: None,
            card_whitelist: None,
            webhook_keys: Vec::new(),
        };
        Ok((AccountName::new(company.name)?, Account::new(config)?))
    };
    COMPANIES.iter().map(account).collect()
}

pub(crate) const fn queue_settings(identity: u64) -> queue::Settings {
    queue::Settings {
        concurrency: 8,
        batch: 4,
        lease_ms: LEASE_MS,
        renew_ms: 10_000,
        poll_ms: 15_000,
        shutdown_ms: 25_000,
        identity,
    }
}
