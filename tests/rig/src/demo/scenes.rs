//! The scenes: what is asked for, what goes wrong, and what must come of it.

use chip_sandbox::{Effect, Operation, Rule};
use chrono::{SecondsFormat, SubsecRound, TimeDelta};
use holdfast::payment::{Request, State, StateName, Timestamp};

use super::Demo;
use super::expected::{Expected, LookUps};
use crate::works::{PARKS, RESENDS};

/// The code that the bank declines with; final, by `config/declines.toml`.
const DECLINE: &str = "do_not_honour";
/// The one of which nobody knew at first what it did.
pub(super) const LOST: &str = "charge, paid, its answer is lost";
const CUSTOMER: &str = r#""customer":{"email":"guest@test.example","full_name":"Test Guest"}"#;
const CHECKOUT: &str = r#"{"checkout":{"success_redirect":"https://hotel.test.example/ok","failure_redirect":"https://hotel.test.example/no"}}"#;

impl Demo {
    /// Everything that is shown.
    pub(super) async fn scenes(&mut self) -> anyhow::Result<()> {
        self.say("a card is saved by checkout");
        let token = self.save_a_card().await?;
        self.say("three holds: one by checkout, two by the saved card");
        self.holds(&token).await?;
        self.say("three charges of the saved card, one click each");
        self.charges(&token).await?;
        self.say("three charges that go wrong: declined, its answer lost, the call itself lost");
        self.charges_that_go_wrong(&token).await?;
        self.kill_a_worker(&token).await
    }

    async fn save_a_card(&mut self) -> anyhow::Result<String> {
        let link = CHECKOUT.trim_start_matches('{').trim_end_matches('}');
        let body = format!(r#""type":"save_card",{link}}},{CUSTOMER}"#);
        let scene = ("save a card by checkout", Expected::saved());
        let id = self.ask(PARKS, "card", &body, scene).await?;
        self.payer_posts_card(&id).await?;
        self.rests(&id, &[StateName::Saved]).await?;
        match self.works.load(&id).await?.payment.state() {
            State::Saved(token) => Ok(token.as_str().to_owned()),
            state => anyhow::bail!("the card was not saved: {}", state.name()),
        }
    }

    async fn holds(&mut self, token: &str) -> anyhow::Result<()> {
        let card = format!(r#"{{"token":"{token}"}}"#);
        let (soon, later) = (self.at(8), self.at(10));
        let room = hold(
            CHECKOUT,
            45_000,
            &format!(r#"{{"capture_at":"{}"}}"#, text(soon)),
        );
        let scene = (
            "hold by checkout, capture on schedule",
            Expected::captured(45_000, 45_000, soon),
        );
        let room = self.ask(PARKS, "room", &room, scene).await?;
        let part = format!(
            r#"{{"capture_at":"{}","capture_amount":12500}}"#,
            text(soon)
        );
        let scene = (
            "hold by card, capture a part",
            Expected::captured(30_000, 12_500, soon).with_charges(1),
        );
        let part = self
            .ask(PARKS, "part", &hold(&card, 30_000, &part), scene)
            .await?;
        let deposit = format!(r#"{{"release_at":"{}"}}"#, text(later));
        let scene = (
            "hold by card, release on schedule",
            Expected::released(20_000, later).with_charges(1),
        );
        let deposit = self
            .ask(RESENDS, "deposit", &hold(&card, 20_000, &deposit), scene)
            .await?;
        self.payer_posts_card(&room).await?;
        // On a slow machine the time of the capture may have come already.
        let reserved = [StateName::Held, StateName::Paid, StateName::Released];
        for id in [&room, &part, &deposit] {
            self.rests(id, &reserved).await?;
        }
        self.say("  the gateway has reserved all three; capture and release wait for their time");
        Ok(())
    }

    async fn charges(&mut self, token: &str) -> anyhow::Result<()> {
        for (key, amount) in [("minibar", 1_500), ("laundry", 2_400), ("breakfast", 5_800)] {
            let scene = ("one-click charge", Expected::paid(amount));
            let id = self.ask(PARKS, key, &charge(token, amount), scene).await?;
            self.rests(&id, &[StateName::Paid]).await?;
        }
        Ok(())
    }

    async fn charges_that_go_wrong(&mut self, token: &str) -> anyhow::Result<()> {
        let before = self.charged();
        self.fault(PARKS, "refused", Effect::decline(DECLINE))?;
        let scene = ("charge, declined by the bank", Expected::declined(DECLINE));
        let refused = charge(token, 9_900);
        let refused = self.ask(PARKS, "refused", &refused, scene).await?;

        self.fault(PARKS, "lost", Effect::timeout_after_commit())?;
        let found = Expected::paid(7_700).with_look_ups(LookUps::FoundPaid);
        let scene = (LOST, found);
        self.ask(PARKS, "lost", &charge(token, 7_700), scene)
            .await?;

        self.fault(RESENDS, "never", Effect::timeout_before_commit())?;
        let again = Expected::paid(3_300)
            .with_charges(2)
            .with_look_ups(LookUps::FoundUnpaid);
        let scene = ("charge, the call is lost on its way", again);
        self.ask(RESENDS, "never", &charge(token, 3_300), scene)
            .await?;

        // What the worker is killed amid afterwards is the next scene's, and none of this.
        self.rests(&refused, &[StateName::Failed]).await?;
        self.until_charged(before + 3).await
    }

    /// What happens to the first call that charges this payment.
    pub(super) fn fault(&self, account: &str, key: &str, effect: Effect) -> anyhow::Result<()> {
        let any = charge("5a9e3c1c-0000-4000-8000-000000000001", 1);
        let request = Request::from_json(request(account, key, &any).as_bytes())?;
        let rule = Rule::on(Operation::Charge, effect)
            .reference(request.payment_id().as_str())
            .times(1);
        self.works.sandbox.add_fault(rule);
        Ok(())
    }

    /// So many seconds from now, as exactly as a request says it.
    fn at(&self, seconds: i64) -> Timestamp {
        (self.works.clock.now() + TimeDelta::seconds(seconds)).trunc_subsecs(3)
    }
}

/// A whole request.
pub(super) fn request(account: &str, key: &str, body: &str) -> String {
    format!(r#"{{"v":1,"account":"{account}","idempotency_key":"{key}",{body}}}"#)
}

/// A hold of so many sen.
pub(super) fn hold(source: &str, amount: u64, plan: &str) -> String {
    format!(
        r#""type":"authorize","money":{{"amount":{amount},"currency":"MYR"}},"source":{source},"plan":{plan},{CUSTOMER}"#
    )
}

/// A charge of so many sen.
pub(super) fn charge(token: &str, amount: u64) -> String {
    format!(
        r#""type":"charge","money":{{"amount":{amount},"currency":"MYR"}},"token":"{token}",{CUSTOMER}"#
    )
}

fn text(time: Timestamp) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}
