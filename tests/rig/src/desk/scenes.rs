//! Payments of every kind, so that there is something on each page.

use std::time::Duration;

use anyhow::{Context, ensure};
use chip_sandbox::{Effect, Operation, Rule};
use chrono::{SecondsFormat, TimeDelta};
use holdfast::payment::{PaymentId, StateName};

use crate::works::{PARKS, RESENDS, Works};

const EMAIL: &str = "canary.guest@test.example";
const SOON: Duration = Duration::from_secs(60);

/// Which payment is which, and what nobody shall see.
pub(super) struct Scenes {
    pub(super) parked: PaymentId,
    pub(super) in_doubt: PaymentId,
    pub(super) held: PaymentId,
    pub(super) paid: PaymentId,
    pub(super) failed: PaymentId,
    /// What the acquirer declined because the shop is set up wrongly: a rerun charges it.
    pub(super) declined: Vec<PaymentId>,
    pub(super) secrets: Vec<String>,
}

struct Shop<'a> {
    works: &'a Works,
    token: String,
    asked: u32,
}

impl Shop<'_> {
    async fn asks(
        &mut self,
        account: &str,
        reference: &str,
        body: &str,
    ) -> anyhow::Result<PaymentId> {
        self.asked += 1;
        let json = format!(
            r#"{{"v":1,"account":"{account}","idempotency_key":"booking-{}","reference":"{reference}",
            {body},"customer":{{"email":"{EMAIL}"}}}}"#,
            self.asked
        );
        self.works.enqueue(&json).await
    }

    async fn charges(
        &mut self,
        account: &str,
        reference: &str,
        amount: u64,
    ) -> anyhow::Result<PaymentId> {
        let body = format!(
            r#""type":"charge","token":"{}","money":{{"amount":{amount},"currency":"MYR"}}"#,
            self.token
        );
        self.asks(account, reference, &body).await
    }

    async fn holds(
        &mut self,
        reference: &str,
        amount: u64,
        hours: i64,
    ) -> anyhow::Result<PaymentId> {
        let at = |hours: i64| {
            let at = self.works.clock.now() + TimeDelta::hours(hours);
            at.to_rfc3339_opts(SecondsFormat::Secs, true)
        };
        let body = format!(
            r#""type":"authorize","source":{{"token":"{}"}},
            "money":{{"amount":{amount},"currency":"MYR"}},
            "plan":{{"capture_at":"{}","expires_at":"{}"}}"#,
            self.token,
            at(hours - 2),
            at(hours)
        );
        self.asks(PARKS, reference, &body).await
    }

    async fn rests(&self, id: &PaymentId, state: StateName) -> anyhow::Result<()> {
        let there = self.works.until(id, SOON, |now| now == state).await?;
        ensure!(there, "{id} never became {state}");
        Ok(())
    }

    fn goes_wrong(&self, effect: Effect) {
        let rule = Rule::on(Operation::Charge, effect);
        self.works.sandbox.add_fault(rule.times(1));
    }
}

impl Scenes {
    /// Makes them, and waits until each rests where it shall.
    pub(super) async fn play(works: &Works) -> anyhow::Result<Self> {
        let mut shop = Shop {
            works,
            token: works.sandbox.save_card(EMAIL).to_string(),
            asked: 0,
        };
        let (parked, in_doubt) = goes_unknown(&mut shop).await?;
        shop.goes_wrong(Effect::decline("do_not_honour"));
        let failed = shop.charges(PARKS, "Minibar 118", 4_650).await?;
        shop.rests(&failed, StateName::Failed).await?;
        let declined = declined(&mut shop).await?;
        let mut held = None;
        let guests = ["Tan", "Lim", "Kumar", "Aminah", "Wong", "Ismail", "Lee"];
        for number in 0..30_u64 {
            let hours = i64::try_from(number * number / 5 + 7)?;
            let guest = guests[usize::try_from(number)? % guests.len()];
            let room = format!("Room {} · {guest}", 201 + number * 7);
            let amount = 18_900 + number * 2_750;
            held = Some(shop.holds(&room, amount, hours).await?);
        }
        let held = held.context("a hold")?;
        let mut paid = None;
        for number in 0..9 {
            let late_stay = format!("Late stay {}", 310 + number);
            let account = if number % 3 == 0 { RESENDS } else { PARKS };
            paid = Some(
                shop.charges(account, &late_stay, 6_500 + number * 480)
                    .await?,
            );
        }
        let paid = paid.context("a charge")?;
        for number in 0..3 {
            let body = r#""type":"authorize","source":{"checkout":{}},
                "money":{"amount":24000,"currency":"MYR"}"#;
            shop.asks(PARKS, &format!("Web booking {}", 8801 + number), body)
                .await?;
        }
        planned(&mut shop).await?;
        shop.rests(&held, StateName::Held).await?;
        shop.rests(&paid, StateName::Paid).await?;
        shop.rests(&parked, StateName::Parked).await?;
        let secrets = secrets(
            works,
            &shop.token,
            [&parked, &in_doubt, &held, &paid, &failed],
        )
        .await?;
        Ok(Self {
            parked,
            in_doubt,
            held,
            paid,
            failed,
            declined,
            secrets,
        })
    }
}

impl Scenes {
    /// Two more that were declined for the shop's set-up.
    pub(super) async fn two_declined(works: &Works) -> anyhow::Result<[PaymentId; 2]> {
        let mut shop = Shop {
            works,
            token: works.sandbox.save_card(EMAIL).to_string(),
            asked: 1_000,
        };
        let first = declined_once(&mut shop, ("Parking 12", 4_400)).await?;
        let second = declined_once(&mut shop, ("Parking 13", 4_600)).await?;
        Ok([first, second])
    }
}

/// Charges of which nobody knows what they did: some until a person is asked, one under way for long.
async fn goes_unknown(shop: &mut Shop<'_>) -> anyhow::Result<(PaymentId, PaymentId)> {
    let mut parked = None;
    for (reference, amount) in [
        ("Spa 27", 13_200),
        ("Deposit 9921", 88_000),
        ("Minibar 204", 3_150),
    ] {
        shop.goes_wrong(Effect::timeout_before_commit());
        let id = shop.charges(PARKS, reference, amount).await?;
        // Each meets its own fault.
        shop.works
            .until(&id, Duration::from_secs(3), |_| false)
            .await?;
        parked = Some(id);
    }
    shop.goes_wrong(Effect::pending(900_000));
    let in_doubt = shop.charges(PARKS, "Conference hall", 1_250_000).await?;
    shop.works
        .until(&in_doubt, Duration::from_secs(3), |_| false)
        .await?;
    Ok((parked.context("a charge")?, in_doubt))
}

/// Charges that a person is asked about, and that a rerun makes.
async fn declined(shop: &mut Shop<'_>) -> anyhow::Result<Vec<PaymentId>> {
    let mut declined = Vec::new();
    for (reference, amount) in [
        ("Deposit 9940", 125_000),
        ("Spa 31", 9_900),
        ("Late stay 402", 21_500),
        ("Minibar 330", 2_750),
    ] {
        declined.push(declined_once(shop, (reference, amount)).await?);
    }
    Ok(declined)
}

async fn declined_once(
    shop: &mut Shop<'_>,
    (reference, amount): (&str, u64),
) -> anyhow::Result<PaymentId> {
    shop.goes_wrong(Effect::decline("acquirer_configuration_error"));
    let id = shop.charges(PARKS, reference, amount).await?;
    shop.rests(&id, StateName::Parked).await?;
    Ok(id)
}

/// Charges for later.
async fn planned(shop: &mut Shop<'_>) -> anyhow::Result<()> {
    for hours in [3, 9, 20, 50] {
        let at = shop.works.clock.now() + TimeDelta::hours(hours);
        let body = format!(
            r#""type":"charge","token":"{}","money":{{"amount":15900,"currency":"MYR"}},
            "not_before":"{}""#,
            shop.token,
            at.to_rfc3339_opts(SecondsFormat::Secs, true)
        );
        shop.asks(RESENDS, &format!("Membership {hours}"), &body)
            .await?;
    }
    Ok(())
}

async fn secrets(works: &Works, token: &str, ids: [&PaymentId; 5]) -> anyhow::Result<Vec<String>> {
    let mut secrets = vec![
        EMAIL.to_owned(),
        token.to_owned(),
        chip_sandbox::DEFAULT_SECRET_KEY.to_owned(),
    ];
    for id in ids {
        let payment = works.load(id).await?.payment;
        let purchase = payment.purchase().context("no purchase")?;
        secrets.push(purchase.id.as_str().to_owned());
        let links = [&purchase.checkout_url, &purchase.direct_post_url];
        secrets.extend(
            links
                .into_iter()
                .flatten()
                .map(|link| link.reveal().clone()),
        );
    }
    Ok(secrets)
}
