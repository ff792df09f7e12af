//! Times and amounts that cannot be kept: a plan for a hold that has lapsed by then, an end before
//! the beginning. Errors carry both times.

use chrono::SecondsFormat;

use super::Timestamp;
use super::money::Amount;
use super::request::{Ask, Charge, InvalidRequest, Plan, Request, Source};

impl Plan {
    /// Checks the times against each other and the amount against the hold of `held`.
    pub fn check(&self, held: Amount) -> Result<(), InvalidRequest> {
        if let (Some(capture), Some(release)) = (self.capture_at, self.release_at)
            && release <= capture
        {
            return Err(InvalidRequest::new(
                "plan.release_at",
                format!(
                    "{} must be after plan.capture_at, {}: it is the fallback for a capture that \
                     could not be sent in time. Give a later release_at, or leave one of the two \
                     out",
                    written(release),
                    written(capture)
                ),
            ));
        }
        self.check_expiry()?;
        if let Some(amount) = self.capture_amount
            && amount > held
        {
            return Err(InvalidRequest::new(
                "plan.capture_amount",
                format!(
                    "{} is above the hold of {}; capture at most what is held",
                    amount.minor(),
                    held.minor()
                ),
            ));
        }
        Ok(())
    }

    /// Nothing can be done with a hold that has lapsed.
    fn check_expiry(&self) -> Result<(), InvalidRequest> {
        let Some(expires) = self.expires_at else {
            return Ok(());
        };
        for (field, time) in [
            ("plan.capture_at", self.capture_at),
            ("plan.release_at", self.release_at),
        ] {
            if let Some(time) = time.filter(|time| *time >= expires) {
                let problem = format!(
                    "{} must be before plan.expires_at, {}: after it there is no hold. Give an \
                     earlier time",
                    written(time),
                    written(expires)
                );
                return Err(InvalidRequest::new(field, problem));
            }
        }
        Ok(())
    }
}

/// A time as it is told in an error.
fn written(time: Timestamp) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

impl Request {
    /// Checks that what has an end does not end before it begins. Only for what is recorded anew:
    /// whoever repeats a request that was in time is answered as before.
    pub fn check_in_time(&self, now: Timestamp) -> Result<(), InvalidRequest> {
        let (field, end) = match &self.ask {
            Ask::Authorize(ask) => {
                if let Source::Checkout(checkout) = &ask.source {
                    in_time("source.checkout.pay_by", checkout.pay_by, now)?;
                }
                ("plan.expires_at", ask.plan.expires_at)
            }
            Ask::SaveCard(ask) => ("checkout.pay_by", ask.checkout.pay_by),
            Ask::Charge(ask) => ("not_after", ask.not_after),
            Ask::Adopt(ask) => ("plan.expires_at", ask.plan.expires_at),
        };
        in_time(field, end, now)
    }
}

fn in_time(field: &str, end: Option<Timestamp>, now: Timestamp) -> Result<(), InvalidRequest> {
    match end {
        Some(end) if end <= now => Err(InvalidRequest::new(
            field,
            format!(
                "{} is past: it is {} now. Give a later time, or leave it out",
                written(end),
                written(now)
            ),
        )),
        _ => Ok(()),
    }
}

impl Charge {
    /// Checks the times against each other.
    pub(super) fn check_times(&self) -> Result<(), InvalidRequest> {
        match (self.not_before, self.not_after) {
            (Some(before), Some(after)) if after <= before => Err(InvalidRequest::new(
                "not_after",
                format!(
                    "{} must be after not_before, {}; give a later time or leave it out",
                    written(after),
                    written(before)
                ),
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::scenes::{TOKEN, start};
    use super::{InvalidRequest, Request};

    fn ask(body: &str) -> Result<Request, InvalidRequest> {
        let json = format!(r#"{{"v":1,"account":"hotel","idempotency_key":"k1",{body}}}"#);
        Request::from_json(json.as_bytes())
    }

    fn planned(plan: &str) -> String {
        format!(
            r#""type":"authorize","money":{{"amount":1500,"currency":"MYR"}},
            "source":{{"checkout":{{}}}},"plan":{plan},"customer":{{"email":"a@b.example"}}"#
        )
    }

    #[test]
    fn a_plan_that_cannot_be_kept_is_refused_with_both_times() {
        let (early, late) = ("2027-02-01T06:00:00Z", "2027-02-02T06:00:00Z");
        for (first, end, field) in [
            ("capture_at", "expires_at", "plan.capture_at"),
            ("release_at", "expires_at", "plan.release_at"),
            ("capture_at", "release_at", "plan.release_at"),
        ] {
            let plan = |one: &str, other: &str| {
                ask(&planned(&format!(
                    r#"{{"{first}":"{one}","{end}":"{other}"}}"#
                )))
            };
            assert!(plan(early, late).is_ok(), "{first} before {end}");
            for (one, other) in [(late, early), (early, early)] {
                let error = plan(one, other).unwrap_err();
                assert_eq!(error.field, field);
                assert!(
                    error.problem.contains(one) && error.problem.contains(other),
                    "{error}"
                );
            }
        }
    }

    #[test]
    fn no_more_is_captured_than_is_held() {
        for (amount, fits) in [(1, true), (1500, true), (1501, false)] {
            let asked = ask(&planned(&format!(r#"{{"capture_amount":{amount}}}"#)));
            assert_eq!(asked.is_ok(), fits, "{amount}");
            let Err(error) = asked else { continue };
            assert_eq!(error.field, "plan.capture_amount");
            assert!(error.problem.contains("1501"), "{error}");
            assert!(error.problem.contains("1500"), "{error}");
        }
    }

    #[test]
    fn a_charge_must_not_end_before_it_begins_or_in_that_moment() {
        let (early, late) = ("2027-02-01T06:00:00Z", "2027-02-01T06:00:00.001Z");
        let charge = |before: &str, after: &str| {
            ask(&format!(
                r#""type":"charge","money":{{"amount":1500,"currency":"MYR"}},
                "token":"{TOKEN}","customer":{{"email":"a@b.example"}},
                "not_before":"{before}","not_after":"{after}""#
            ))
        };
        assert!(charge(early, late).is_ok());
        for (before, after) in [(early, early), (late, early)] {
            let error = charge(before, after).unwrap_err();
            assert_eq!(error.field, "not_after");
            assert!(
                error.problem.contains(before) && error.problem.contains(after),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_over_before_it_begins_is_refused_with_both_times() {
        let (past, now, later) = (
            "2027-01-31T05:59:59Z",
            "2027-01-31T06:00:00Z",
            "2027-01-31T06:00:01Z",
        );
        let money = r#""money":{"amount":1500,"currency":"MYR"}"#;
        let customer = r#""customer":{"email":"a@b.example"}"#;
        for (field, body) in [
            ("plan.expires_at", planned(r#"{"expires_at":"TIME"}"#)),
            (
                "plan.expires_at",
                format!(
                    r#""type":"adopt","purchase":"{TOKEN}",{money},"plan":{{"expires_at":"TIME"}}"#
                ),
            ),
            (
                "source.checkout.pay_by",
                planned("{}").replace(r#""checkout":{}"#, r#""checkout":{"pay_by":"TIME"}"#),
            ),
            (
                "checkout.pay_by",
                format!(r#""type":"save_card","checkout":{{"pay_by":"TIME"}},{customer}"#),
            ),
            (
                "not_after",
                format!(
                    r#""type":"charge",{money},"token":"{TOKEN}",{customer},"not_after":"TIME""#
                ),
            ),
        ] {
            let check = |time: &str| {
                let request = ask(&body.replace("TIME", time)).unwrap();
                request.check_in_time(start())
            };
            assert_eq!(check(later), Ok(()), "{field}");
            for time in [past, now] {
                let error = check(time).unwrap_err();
                assert_eq!(error.field, field);
                assert!(
                    error.problem.contains(time) && error.problem.contains(now),
                    "{error}"
                );
            }
        }
    }

    #[test]
    fn however_the_purchase_is_spelled_it_is_the_same_request() {
        let adopt = |purchase: &str| {
            ask(&format!(
                r#""type":"adopt","purchase":"{purchase}","money":{{"amount":1,"currency":"MYR"}}"#
            ))
        };
        let asked = adopt(TOKEN).unwrap();
        for spelling in [TOKEN.to_uppercase(), TOKEN.replace('-', "")] {
            let repeat = adopt(&spelling).unwrap();
            assert_eq!(repeat.fingerprint(), asked.fingerprint());
            assert_eq!(repeat.payment_id(), asked.payment_id());
        }
    }
}
