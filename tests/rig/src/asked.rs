//! What may become of a hold by what people asked for: the request, and the commands that were
//! accepted. What the worker decided is not asked.

use chip_sandbox::{Movement, MovementKind};
use holdfast::payment::{
    Adopt, Amount, Ask, Authorize, BeforeExpiry, Command, Payment, Plan, Policy, Timestamp,
};

/// What an account does without being asked, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct House {
    /// How long a hold lasts, unless the plan says so.
    pub hold_ms: i64,
    /// How long before it lapses it is taken care of.
    pub margin_ms: i64,
    /// How long after the payment was recorded a hold of its payer comes too late.
    pub link_ms: i64,
    /// What is done then, unless the plan says so; `None` where that is not known here.
    pub guard: Option<BeforeExpiry>,
    /// So far clocks may be apart.
    pub skew_ms: i64,
}

impl House {
    /// Where nothing is known of the account, and clocks jump: what was asked counts, not when.
    pub const WHENEVER: Self = Self {
        hold_ms: 0,
        margin_ms: 0,
        link_ms: 0,
        guard: None,
        skew_ms: i64::MAX / 4,
    };

    /// By an account's policy.
    #[must_use]
    pub fn of(policy: &Policy, skew_ms: i64) -> Self {
        let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        Self {
            hold_ms: signed(policy.account.hold_lifetime_ms),
            margin_ms: signed(policy.expiry_margin_ms),
            link_ms: signed(policy.link_lifetime_ms),
            guard: Some(policy.before_expiry),
            skew_ms,
        }
    }
}

/// All plans that were in force, the newest last, and what was commanded.
struct Wishes {
    plans: Vec<Plan>,
    captures: Vec<Amount>,
    released: bool,
    cancelled: bool,
}

/// What is wrong with a capture or a release of a hold that was made at `held_ms`.
#[must_use]
pub fn otherwise(
    payment: &Payment,
    movement: &Movement,
    held_ms: i64,
    house: House,
) -> Option<String> {
    let wishes = Wishes::of(payment)?;
    let by_ms = movement.at_ms + house.skew_ms;
    // What the guard may do by then.
    let guards = |plan: &Plan, what: MovementKind| {
        let lapses = plan.expires_at.map(|time| time.timestamp_millis());
        let acts = by_ms >= lapses.unwrap_or(held_ms + house.hold_ms) - house.margin_ms;
        acts && match plan.before_expiry.or(house.guard) {
            None => true,
            Some(BeforeExpiry::Capture) => what == MovementKind::Capture,
            Some(BeforeExpiry::Release) => what == MovementKind::Release,
            Some(BeforeExpiry::Park) => false,
        }
    };
    let fine = match movement.kind {
        MovementKind::Capture => wishes.allow_capture(movement, by_ms, guards),
        MovementKind::Release => {
            let created_ms = payment.created_at().timestamp_millis();
            let comes_late =
                payment.is_checkout() && held_ms + house.skew_ms - created_ms >= house.link_ms;
            comes_late || wishes.allow_release(by_ms, guards)
        }
        MovementKind::Charge | MovementKind::Hold | MovementKind::Lapse | MovementKind::Refund => {
            true
        }
    };
    let (kind, amount) = (movement.kind, movement.amount);
    (!fine).then(|| format!("{kind:?} of {amount} is not what was asked at that time"))
}

impl Wishes {
    fn of(payment: &Payment) -> Option<Self> {
        let (Ask::Authorize(Authorize { plan, .. }) | Ask::Adopt(Adopt { plan, .. })) =
            &payment.request().ask
        else {
            return None;
        };
        let whole = payment.request().money()?.amount;
        let mut wishes = Self {
            plans: vec![plan.clone()],
            captures: Vec::new(),
            released: false,
            cancelled: false,
        };
        let accepted = payment.commands().iter().filter(|c| c.answer.is_accepted());
        for entry in accepted {
            wishes.hear(&entry.command, whole);
        }
        for plan in &mut wishes.plans {
            plan.capture_amount.get_or_insert(whole);
        }
        Some(wishes)
    }

    fn hear(&mut self, command: &Command, whole: Amount) {
        let Some(plan) = self.plans.last() else {
            return;
        };
        match command {
            Command::Capture { amount } => {
                let planned = plan.capture_amount.unwrap_or(whole);
                self.captures.push(amount.unwrap_or(planned));
            }
            Command::Release => self.released = true,
            Command::Cancel => self.cancelled = true,
            Command::Reschedule {
                capture_at,
                capture_amount,
                release_at,
            } => {
                let mut plan = plan.clone();
                plan.capture_at = capture_at.or(plan.capture_at);
                plan.capture_amount = capture_amount.or(plan.capture_amount);
                plan.release_at = release_at.or(plan.release_at);
                self.plans.push(plan);
            }
            Command::Rerun { .. }
            | Command::ResolveAsShown { .. }
            | Command::ProposeByHand { .. }
            | Command::ApproveByHand { .. } => {}
        }
    }

    /// A command decides; without one, a plan does, or who guards the hold.
    fn allow_capture(
        &self,
        movement: &Movement,
        by_ms: i64,
        guards: impl Fn(&Plan, MovementKind) -> bool,
    ) -> bool {
        let of_that = |amount: Amount| i64::try_from(amount.minor()) == Ok(movement.amount);
        if !self.captures.is_empty() || self.released {
            return self.captures.iter().any(|amount| of_that(*amount));
        }
        self.plans.iter().any(|plan| {
            let guarded = guards(plan, MovementKind::Capture);
            let due = is_past(plan.capture_at, by_ms);
            (due || guarded) && plan.capture_amount.is_some_and(of_that)
        })
    }

    fn allow_release(&self, by_ms: i64, guards: impl Fn(&Plan, MovementKind) -> bool) -> bool {
        if self.released || self.cancelled || !self.captures.is_empty() {
            return self.released || self.cancelled;
        }
        self.plans
            .iter()
            .any(|plan| guards(plan, MovementKind::Release) || is_past(plan.release_at, by_ms))
    }
}

fn is_past(time: Option<Timestamp>, now_ms: i64) -> bool {
    time.is_some_and(|time| time.timestamp_millis() <= now_ms)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use holdfast::payment::{IdempotencyKey, Request};
    use uuid::Uuid;

    use super::*;

    const MADE_MS: i64 = 1_800_000_000_000;
    const HOUR_MS: i64 = 3_600_000;
    const HOUSE: House = House {
        hold_ms: 100 * HOUR_MS,
        margin_ms: HOUR_MS,
        link_ms: 10 * HOUR_MS,
        guard: Some(BeforeExpiry::Release),
        skew_ms: 1_000,
    };

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_timestamp_millis(MADE_MS + hours * HOUR_MS).unwrap()
    }

    fn held(plan: &str) -> Payment {
        let body = format!(
            r#"{{"v":1,"account":"hotel","idempotency_key":"k","type":"authorize",
            "money":{{"amount":1500,"currency":"MYR"}},"customer":{{"email":"a@test.example"}},
            "source":{{"token":"5a9e3c1c-0000-4000-8000-00000000cafe"}},"plan":{{{plan}}}}}"#
        );
        Payment::new(Request::from_json(body.as_bytes()).unwrap(), at(0)).unwrap()
    }

    fn moved(kind: MovementKind, amount: i64, hours: i64) -> Movement {
        Movement {
            seq: 1,
            at_ms: MADE_MS + hours * HOUR_MS,
            kind,
            purchase_id: Uuid::from_u128(1),
            reference: Arc::from("r"),
            amount,
            currency: Arc::from("MYR"),
            token: None,
            is_test: true,
        }
    }

    fn is_fine(payment: &Payment, kind: MovementKind, amount: i64, hours: i64) -> bool {
        otherwise(payment, &moved(kind, amount, hours), MADE_MS, HOUSE).is_none()
    }

    #[test]
    fn a_planned_capture_is_right_in_its_amount_from_its_time_on_and_no_release_is() {
        use MovementKind::{Capture, Release};
        let time = at(5).to_rfc3339();
        let part = held(&format!(r#""capture_at":"{time}","capture_amount":600"#));
        assert!(is_fine(&part, Capture, 600, 5));
        assert!(!is_fine(&part, Capture, 600, 4), "too early");
        assert!(!is_fine(&part, Capture, 1500, 5), "all of it");
        assert!(!is_fine(&part, Release, 1500, 5), "given back instead");
        assert!(is_fine(&part, Release, 1500, 99), "before it lapses");
    }

    #[test]
    fn a_planned_release_is_right_from_its_time_on_and_no_capture_is() {
        use MovementKind::{Capture, Release};
        let free = held(&format!(r#""release_at":"{}""#, at(5).to_rfc3339()));
        assert!(is_fine(&free, Release, 1500, 5));
        assert!(!is_fine(&free, Release, 1500, 4), "too early");
        assert!(!is_fine(&free, Capture, 1500, 6), "taken instead");
    }

    #[test]
    fn the_guard_does_what_the_plan_says_and_not_before_the_margin() {
        use MovementKind::{Capture, Release};
        let taken = held(r#""before_expiry":"capture""#);
        assert!(is_fine(&taken, Capture, 1500, 99));
        assert!(!is_fine(&taken, Capture, 1500, 98));
        assert!(!is_fine(&taken, Release, 1500, 99));
        let lapses = at(20).to_rfc3339();
        let free = held(&format!(r#""expires_at":"{lapses}""#));
        assert!(is_fine(&free, Release, 1500, 19));
        assert!(!is_fine(&free, Release, 1500, 18));
        assert!(!is_fine(&free, Capture, 1500, 19));
    }

    #[test]
    fn what_was_asked_last_holds_whatever_the_plan_was() {
        use MovementKind::{Capture, Release};
        let plan = format!(r#""capture_at":"{}""#, at(5).to_rfc3339());
        let mut known = serde_json::to_value(held(&plan)).unwrap();
        known["state"] = serde_json::json!({"name": "held", "with": {
            "money": {"amount": 1500, "currency": "MYR"}, "since": at(0), "expires_at": at(100),
        }});
        let mut payment: Payment = serde_json::from_value(known).unwrap();
        let release = Command::Release;
        let key = IdempotencyKey::new("release").unwrap();
        assert!(payment.command(key, release, at(1)).unwrap().is_accepted());
        assert!(is_fine(&payment, Release, 1500, 1));
        assert!(!is_fine(&payment, Capture, 1500, 6), "taken as planned");
    }
}
