//! What an HTTP answer means for the money: by the gateway's code first, then by the number.
//! Pure. In doubt it is `Unknown`, which costs a look-up; a wrong certainty costs money.

use chrono::DateTime;

use super::refusal::Refusal;
use super::wire::read_sighting;
use crate::payment::{Answer, LookUp, PurchaseId, Sighting, Timestamp};

/// An HTTP answer, read to its end.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP number.
    pub status: u16,
    /// The header of that name.
    pub retry_after: Option<String>,
    /// When it came.
    pub at: Timestamp,
    /// The body.
    pub body: Vec<u8>,
}

/// What the answer to a call on `purchase` means; `None` for the call that makes one.
#[must_use]
pub fn answer(reply: &Reply, purchase: Option<&PurchaseId>) -> Answer {
    match reply.status {
        200..=299 => match shown(reply, purchase) {
            Ok(seen) => Answer::Shown(Box::new(seen)),
            Err(why) => Answer::Unknown { why },
        },
        400..=499 => refused(reply),
        _ => unknown(reply),
    }
}

/// What the answer to a look-up of `purchase` means.
#[must_use]
pub fn look_up(reply: &Reply, purchase: &PurchaseId) -> LookUp {
    let failed = |why: String, denied| LookUp::Failed {
        why,
        denied,
        retry_after_ms: None,
    };
    if (200..=299).contains(&reply.status) {
        return match shown(reply, Some(purchase)) {
            Ok(seen) => LookUp::Shown(Box::new(seen)),
            Err(why) => failed(why, false),
        };
    }
    let denied = matches!(reply.status, 401 | 403);
    match answer(reply, Some(purchase)) {
        Answer::NoEffect {
            code,
            denied: false,
        } if code == NOT_FOUND => LookUp::NotFound,
        Answer::NoEffect {
            code,
            denied: by_code,
        } => failed(code, denied || by_code),
        Answer::RateLimited { retry_after_ms } => LookUp::Failed {
            why: "rate_limited".to_owned(),
            denied: false,
            retry_after_ms,
        },
        Answer::Declined { code } | Answer::Conflict { code } => failed(code, denied),
        Answer::Unknown { why } | Answer::NotSent { why } => failed(why, denied),
        Answer::Shown(_) => failed("an answer that contradicts itself".to_owned(), denied),
    }
}

const NOT_FOUND: &str = "not_found";

/// The purchase in a 2xx, if it is one and the one that was asked about.
fn shown(reply: &Reply, purchase: Option<&PurchaseId>) -> Result<Sighting, String> {
    let mut seen = read_sighting(&reply.body)
        .map_err(|error| format!("the answer {} is {error}", reply.status))?;
    if let Some(asked) = purchase {
        if !seen.purchase.as_str().eq_ignore_ascii_case(asked.as_str()) {
            return Err(format!(
                "the answer {} is about another purchase",
                reply.status
            ));
        }
        seen.purchase = asked.clone();
    }
    Ok(seen)
}

fn unknown(reply: &Reply) -> Answer {
    Answer::Unknown {
        why: format!("the gateway answered {}", reply.status),
    }
}

fn refused(reply: &Reply) -> Answer {
    let refusal = Refusal::read(&reply.body);
    let codes = match &refusal {
        Refusal::Codes { codes, .. } => codes.as_slice(),
        Refusal::Empty | Refusal::Illegible => &[],
    };
    if let Some(answer) = by_code(codes, reply, &refusal) {
        return answer;
    }
    let code = || {
        codes
            .first()
            .cloned()
            .unwrap_or_else(|| format!("http_{}", reply.status))
    };
    match (reply.status, &refusal) {
        (409, _) => Answer::Conflict { code: code() },
        (429, _) => rate_limited(reply, &refusal),
        // 408: the gateway, or what stands before it, waited in vain: it may have acted.
        (408, _) => unknown(reply),
        // A page of something in between: it may stand before the gateway or behind it.
        (_, Refusal::Illegible) => Answer::Unknown {
            why: format!(
                "the gateway answered {} with an unreadable body",
                reply.status
            ),
        },
        (401 | 403, _) => Answer::NoEffect {
            code: code(),
            denied: true,
        },
        (404, _) => Answer::NoEffect {
            code: NOT_FOUND.to_owned(),
            denied: false,
        },
        (_, Refusal::Empty) => unknown(reply),
        (_, Refusal::Codes { .. }) => Answer::NoEffect {
            code: code(),
            denied: false,
        },
    }
}

/// What the codes alone decide, the one that demands most care first.
fn by_code(codes: &[String], reply: &Reply, refusal: &Refusal) -> Option<Answer> {
    let find = |is: fn(&str) -> bool| codes.iter().find(|code| is(code)).cloned();
    if let Some(code) = find(|code| code.ends_with("_wrong_status") || code == "conflict") {
        return Some(Answer::Conflict { code });
    }
    if let Some(code) = find(|code| code.starts_with("purchase_") && code.ends_with("_error")) {
        return Some(Answer::Declined { code });
    }
    // The gateway's own failure, whatever number it travels under.
    if find(|code| matches!(code, "internal_error" | "bad_gateway")).is_some() {
        return Some(unknown(reply));
    }
    if find(|code| code == "rate_limited").is_some() {
        return Some(rate_limited(reply, refusal));
    }
    if let Some(code) = find(|code| code == "invalid_recurring_token") {
        return Some(Answer::NoEffect {
            code,
            denied: false,
        });
    }
    find(|code| matches!(code, "authentication_failed" | "unauthorized" | "forbidden"))
        .map(|code| Answer::NoEffect { code, denied: true })
}

fn rate_limited(reply: &Reply, refusal: &Refusal) -> Answer {
    let in_body = match refusal {
        Refusal::Codes { retry_after_s, .. } => *retry_after_s,
        Refusal::Empty | Refusal::Illegible => None,
    };
    let header = reply
        .retry_after
        .as_deref()
        .and_then(|text| retry_after_ms(text, reply.at));
    let retry_after_ms = header.or_else(|| in_body.map(|seconds| seconds.saturating_mul(1000)));
    Answer::RateLimited { retry_after_ms }
}

/// Seconds, or a date as HTTP writes it.
fn retry_after_ms(text: &str, now: Timestamp) -> Option<u64> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(seconds.saturating_mul(1000));
    }
    let date = DateTime::parse_from_rfc2822(text).ok()?;
    Some(u64::try_from((date.to_utc() - now).num_milliseconds()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_millis;
    use crate::payment::Standing;

    const ID: &str = "5a9e3c1c-0000-4000-8000-000000000002";

    fn reply(status: u16, body: &str) -> Reply {
        let at = from_millis(1_800_000_000_000).unwrap();
        Reply {
            status,
            retry_after: None,
            at,
            body: body.as_bytes().to_vec(),
        }
    }

    fn said(status: u16, body: &str) -> Answer {
        answer(&reply(status, body), Some(&PurchaseId::new(ID).unwrap()))
    }

    fn asked(status: u16, body: &str) -> LookUp {
        look_up(&reply(status, body), &PurchaseId::new(ID).unwrap())
    }

    fn all(code: &str) -> String {
        format!(r#"{{"__all__":[{{"message":"…","code":"{code}"}}]}}"#)
    }

    fn purchase(id: &str, status: &str) -> String {
        format!(
            r#"{{"id":"{id}","type":"purchase","status":"{status}","brand_id":"b","is_test":true,
                "purchase":{{"total":100,"currency":"MYR"}}}}"#
        )
    }

    fn word(answer: &Answer) -> String {
        match answer {
            Answer::Shown(_) => "shown".to_owned(),
            Answer::NotSent { .. } => "not_sent".to_owned(),
            Answer::NoEffect { code, denied: true } => format!("denied {code}"),
            Answer::NoEffect {
                code,
                denied: false,
            } => format!("no_effect {code}"),
            Answer::Declined { code } => format!("declined {code}"),
            Answer::Conflict { code } => format!("conflict {code}"),
            Answer::RateLimited { retry_after_ms } => format!("rate_limited {retry_after_ms:?}"),
            Answer::Unknown { .. } => "unknown".to_owned(),
        }
    }

    #[test]
    #[allow(clippy::too_many_lines, reason = "one table")]
    fn a_refusal_is_classified_by_its_code_and_then_by_its_number() {
        let html = "<html><body>Forbidden</body></html>";
        let table: &[(u16, &str, &str)] = &[
            // State conflicts, as observed and as documented.
            (
                400,
                &all("purchase_charge_wrong_status"),
                "conflict purchase_charge_wrong_status",
            ),
            (
                400,
                &all("purchase_cancel_wrong_status"),
                "conflict purchase_cancel_wrong_status",
            ),
            (
                409,
                &all("purchase_capture_wrong_status"),
                "conflict purchase_capture_wrong_status",
            ),
            (409, &all("conflict"), "conflict conflict"),
            (409, "", "conflict http_409"),
            (409, html, "conflict http_409"),
            // The acquirer.
            (
                400,
                &all("purchase_charge_error"),
                "declined purchase_charge_error",
            ),
            (
                400,
                &all("purchase_capture_error"),
                "declined purchase_capture_error",
            ),
            (
                422,
                &all("purchase_release_error"),
                "declined purchase_release_error",
            ),
            // A dead card.
            (
                400,
                &all("invalid_recurring_token"),
                "no_effect invalid_recurring_token",
            ),
            (
                404,
                &all("invalid_recurring_token"),
                "no_effect invalid_recurring_token",
            ),
            // The key.
            (
                401,
                &all("authentication_failed"),
                "denied authentication_failed",
            ),
            (401, r#"{"detail":"?"}"#, "denied http_401"),
            (403, &all("forbidden"), "denied forbidden"),
            (403, "", "denied http_403"),
            (400, &all("unauthorized"), "denied unauthorized"),
            // The request.
            (404, &all("not_found"), "no_effect not_found"),
            (404, "", "no_effect not_found"),
            (404, r#"{"detail":"Not found."}"#, "no_effect not_found"),
            (
                400,
                r#"{"amount":[{"message":"m","code":"max_value"}]}"#,
                "no_effect max_value",
            ),
            (
                400,
                r#"{"__all__":{"message":"m","code":"error_code"}}"#,
                "no_effect error_code",
            ),
            (
                400,
                r#"{"code":"invalid_request","message":"m"}"#,
                "no_effect invalid_request",
            ),
            (
                400,
                r#"{"errors":[{"code":"required"}]}"#,
                "no_effect required",
            ),
            (
                400,
                r#"{"purchase":{"products":[{},{"quantity":[{"code":"max_digits"}]}]}}"#,
                "no_effect max_digits",
            ),
            (
                422,
                &all("unprocessable_entity"),
                "no_effect unprocessable_entity",
            ),
            (
                405,
                &all("method_not_allowed"),
                "no_effect method_not_allowed",
            ),
            (400, "{}", "no_effect http_400"),
            // Too much.
            (429, &all("rate_limited"), "rate_limited None"),
            (429, html, "rate_limited None"),
            (
                429,
                r#"{"code":"rate_limited","retry_after":7}"#,
                "rate_limited Some(7000)",
            ),
            (429, r#"{"retry_after":"7"}"#, "rate_limited Some(7000)"),
            // What leaves open whether the gateway acted.
            (400, "", "unknown"),
            (400, html, "unknown"),
            (403, html, "unknown"),
            (404, html, "unknown"),
            (400, "[1,2]", "unknown"),
            (400, r#"{"__all__":[{"code":"not_f"#, "unknown"),
            (408, &all("timeout"), "unknown"),
            (400, &all("internal_error"), "unknown"),
            (500, &all("internal_error"), "unknown"),
            (500, &all("purchase_charge_error"), "unknown"),
            (502, html, "unknown"),
            (503, "", "unknown"),
            (599, "", "unknown"),
            (302, "", "unknown"),
            (304, "", "unknown"),
            (101, "", "unknown"),
            (999, "", "unknown"),
        ];
        for (status, body, expected) in table {
            assert_eq!(&word(&said(*status, body)), expected, "{status} {body}");
        }
    }

    #[test]
    fn among_several_codes_the_one_that_demands_most_care_counts() {
        let body = r#"{"amount":[{"code":"max_value"}],
            "__all__":[{"code":"rate_limited"},{"code":"purchase_capture_wrong_status"}]}"#;
        assert_eq!(
            word(&said(400, body)),
            "conflict purchase_capture_wrong_status"
        );
        let whole_purchase = r#"{"__all__":[{"code":"purchase_charge_error"}],
            "transaction_data":{"attempts":[{"error":{"code":"insufficient_funds"}}]}}"#;
        assert_eq!(
            word(&said(400, whole_purchase)),
            "declined purchase_charge_error"
        );
        let field_first = r#"{"a":[{"code":"required"}],"__all__":[{"code":"invalid_request"}]}"#;
        assert_eq!(word(&said(400, field_first)), "no_effect invalid_request");
    }

    #[test]
    fn a_success_counts_only_if_it_shows_the_purchase_that_was_asked_about() {
        let Answer::Shown(seen) = said(200, &purchase(&ID.to_uppercase(), "paid")) else {
            panic!("the same id in capitals is the same id");
        };
        assert_eq!(
            (seen.purchase.as_str(), &seen.standing),
            (ID, &Standing::Paid)
        );
        let other = "5a9e3c1c-0000-4000-8000-00000000000f";
        for body in [
            "",
            "{}",
            "OK",
            "null",
            &purchase(other, "paid"),
            &purchase("", "paid"),
            &all("x"),
        ] {
            for status in [200, 201, 202, 204] {
                assert_eq!(word(&said(status, body)), "unknown", "{status} {body}");
            }
        }
    }

    #[test]
    fn a_create_takes_the_id_it_is_given_but_needs_one() {
        let made = answer(&reply(201, &purchase(ID, "created")), None);
        assert!(matches!(made, Answer::Shown(seen) if seen.purchase.as_str() == ID));
        assert_eq!(
            word(&answer(&reply(201, &purchase("", "created")), None)),
            "unknown"
        );
        assert_eq!(
            word(&answer(&reply(201, r#"{"status":"created"}"#), None)),
            "unknown"
        );
    }

    #[test]
    fn a_look_up_learns_nothing_from_what_it_cannot_read() {
        let failed = |status, body: &str| match asked(status, body) {
            LookUp::Failed { denied, .. } => denied,
            other => panic!("{other:?}"),
        };
        for (status, body) in [
            (200, "{}"),
            (500, ""),
            (404, "<html>"),
            (302, ""),
            (400, "{}"),
        ] {
            assert!(!failed(status, body), "{status} {body}");
        }
        for (status, body) in [
            (401, ""),
            (401, "<html>"),
            (403, "<html>"),
            (400, &all("forbidden")),
        ] {
            assert!(failed(status, body), "{status} {body}");
        }
        assert_eq!(asked(404, &all("not_found")), LookUp::NotFound);
        assert_eq!(asked(404, ""), LookUp::NotFound);
        assert!(matches!(
            asked(200, &purchase(ID, "hold")),
            LookUp::Shown(_)
        ));
        let slow_down = LookUp::Failed {
            why: "rate_limited".to_owned(),
            denied: false,
            retry_after_ms: Some(3000),
        };
        assert_eq!(asked(429, r#"{"retry_after":3}"#), slow_down);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let wait = |header: &str| {
            let mut reply = reply(429, r#"{"retry_after":9}"#);
            reply.retry_after = Some(header.to_owned());
            match answer(&reply, None) {
                Answer::RateLimited { retry_after_ms } => retry_after_ms,
                other => panic!("{other:?}"),
            }
        };
        // 1,800,000,000 s is Fri, 15 Jan 2027 08:00:00 GMT.
        assert_eq!(wait("120"), Some(120_000));
        assert_eq!(wait("Fri, 15 Jan 2027 08:00:30 GMT"), Some(30_000));
        assert_eq!(wait("Fri, 15 Jan 2027 07:00:00 GMT"), Some(0));
        assert_eq!(
            wait("99999999999999999999"),
            Some(9000),
            "unreadable: the body counts"
        );
        assert_eq!(wait("soon"), Some(9000));
    }

    #[test]
    fn what_is_not_written_like_a_code_is_not_repeated() {
        let body = r#"{"__all__":[{"code":"card 4444333322221111 of a@b.example was refused"}]}"#;
        assert_eq!(word(&said(400, body)), "no_effect illegible_code");
        let id = all("5a9e3c1c-0000-4000-8000-000000000002");
        assert_eq!(word(&said(400, &id)), "no_effect illegible_code");
        assert_eq!(
            word(&said(400, &all("4444333322221111"))),
            "no_effect illegible_code"
        );
        assert_eq!(
            word(&said(400, &all("3ds_authentication_failed"))),
            "no_effect 3ds_authentication_failed"
        );
    }
}
