//! What is wrong with an installation, and how to put it right: asked by whoever wonders, and safe to ask
//! while workers run.
//!
//! | file | what |
//! |---|---|
//! | `check` | one thing that was looked at, and what was found |
//! | `database` | Redis: whether it keeps what it is told, its room, its clock, our rights |
//! | `gateway` | keys, brands, webhooks, clock |
//! | `index` | whether records and indexes agree, and making them agree |
//! | `settings` | what the settings lack for what is there |
//! | `work` | whether anybody works, what people have stopped, and what is overdue |

mod check;
mod database;
mod gateway;
mod index;
mod settings;
mod work;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;

pub use self::check::{Check, Found, Group, Report};
use crate::clock::Clock;
use crate::config::{Config, Mode};
use crate::gateway::{ChipGateway, Gateway};
use crate::payment::{AccountName, Timestamp};
use crate::store::audit::Mandate;
pub use crate::store::redis::MOST_SUSPECTS;
use crate::store::redis::{Newest, RedisStore};

/// From here on a clock is worth a look.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::seconds(5);
/// From here on payments are captured and released at a wrong time.
const CLOCKS_ARE_WRONG: TimeDelta = TimeDelta::minutes(1);

/// What is done about what is wrong with indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair<'a> {
    /// It is told.
    Tell,
    /// It is told what would be done.
    Plan,
    /// What is safe is done, on somebody's word: the audit log has each repair before it is done.
    Mend(&'a Mandate),
}

/// Whoever examines an installation.
#[derive(Clone, Copy)]
pub struct Doctor<'a> {
    /// Its settings.
    pub config: &'a Config,
    /// The way to the gateway.
    pub gateway: &'a ChipGateway,
    /// Where payments are kept; or why nobody can look there.
    pub store: Result<&'a RedisStore, &'a str>,
    /// The clock that payments live by.
    pub clock: &'a Clock,
    /// This machine's own clock.
    pub machine: &'a Clock,
    /// How long what looks wrong has to stay so, with its record unchanged, to be told.
    pub between: Duration,
    /// How many payments with which something looks wrong are kept in mind; [`MOST_SUSPECTS`] mostly.
    pub most: usize,
}

impl Doctor<'_> {
    /// Looks at everything that can be looked at. `seen` is told how many records and entries of
    /// indexes were looked at so far.
    pub async fn examine(&self, repair: Repair<'_>, seen: &mut (dyn FnMut(u64) + Send)) -> Report {
        let mut report = Report::default();
        let heard = match self.store {
            Err(why) => {
                report.add(Group::Redis, [database::unreached(why)]);
                None
            }
            Ok(store) => {
                let told = database::checks(store, self.machine).await;
                report.add(Group::Redis, told);
                report.add(Group::Work, work::checks(store, self.clock).await);
                store.heard().await.ok()
            }
        };
        // What the records say is held against what the gateway says.
        let found = match self.store {
            Ok(store) => index::examine(self, store, repair, seen).await,
            Err(_) => Err("Redis cannot be asked".to_owned()),
        };
        let newest = found.as_ref().map(|found| &found.newest).ok();
        for (account, settings) in &self.config.accounts {
            let newest = newest.and_then(|newest| newest.get(account));
            let checks = self.account((account, settings.mode), heard.as_ref(), newest);
            let checks = checks.await.into_iter();
            report.add(Group::Gateway, checks.map(|check| check.about(account)));
        }
        let accounts = match found {
            Ok(found) => {
                report.add(Group::Index, found.checks);
                Some(found.accounts)
            }
            Err(why) => {
                report.add(Group::Index, [Check::not_checked("records", why)]);
                None
            }
        };
        report.add(
            Group::Settings,
            settings::checks(self.config, accounts.as_ref()),
        );
        report
    }

    async fn account(
        &self,
        (account, mode): (&AccountName, Mode),
        heard: Option<&BTreeMap<AccountName, Timestamp>>,
        newest: Option<&Newest>,
    ) -> Vec<Check> {
        let asked_at = self.clock.now();
        let Some(knock) = self.gateway.knock(account).await else {
            return vec![gateway::mode(mode, None)];
        };
        let half_way = asked_at + (self.clock.now() - asked_at) / 2;
        let mut checks = vec![gateway::key(account, &knock.entrance)];
        checks.push(match knock.date {
            Some(date) => clocks(date - half_way, "the gateway"),
            None => Check::not_checked("clock", "the gateway did not say what time it is"),
        });
        if !gateway::is_open(&knock.entrance) {
            let why = "the gateway did not let the account in";
            let skipped = ["brand", "webhook", "heard", "mode"];
            checks.extend(skipped.map(|name| Check::not_checked(name, why)));
            return checks;
        }
        if let Some(brand) = self.gateway.brand(account).await {
            checks.push(gateway::brand(account, &brand));
        }
        let listens = self.config.listen.is_some();
        let (webhook, registered) = gateway::webhook(self.gateway, account, listens).await;
        checks.push(webhook);
        let expected = registered && listens;
        checks.push(match heard {
            None => Check::not_checked("heard", "Redis cannot be asked"),
            Some(heard) => {
                let happened = newest.and_then(|newest| newest.told_at);
                let times = (heard.get(account).copied(), happened);
                gateway::heard(times, self.clock.now(), expected)
            }
        });
        let shown = match newest {
            Some(newest) => Some(self.gateway.look_up(account, &newest.purchase).await),
            None => None,
        };
        checks.push(gateway::mode(mode, shown.as_ref()));
        checks
    }
}

/// How far a clock is ahead of ours.
fn clocks(ahead: TimeDelta, whose: &str) -> Check {
    let seconds = ahead.num_seconds();
    let off = ahead.abs();
    let what = match seconds {
        _ if off < CLOCKS_DIFFER => format!("{whose} and we agree on the time"),
        ..0 => format!("{whose} is {} s behind us", -seconds),
        _ => format!("{whose} is {seconds} s ahead of us"),
    };
    let fix = "let NTP set the clocks of this machine and of the one that Redis runs on: plans are \
               carried out by the time of Redis";
    match off {
        _ if off < CLOCKS_DIFFER => Check::fine("clock", what),
        _ if off < CLOCKS_ARE_WRONG => Check::warning("clock", what, fix),
        _ => Check::wrong("clock", what, fix),
    }
}
