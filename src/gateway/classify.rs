//! What an HTTP answer means for the money: by the gateway's code first, then by the number.
//! Pure. In doubt it is `Unknown`, which costs a look-up; a wrong certainty costs money.

use chrono::DateTime;

use super::refusal::{Code, Refusal};
use super::wire::read_sighting;
use crate::payment::{Answer, Denial, LookUp, PurchaseId, Sighting, Timestamp};

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
        400..=499 => refused(reply, purchase),
        // A create moves no money, so nothing is in doubt: it only has to wait.
        503 if purchase.is_none() && asked_to_wait_ms(reply).is_some() => {
            rate_limited(reply, &Refusal::Empty)
        }
        _ => unknown(reply),
    }
}

/// What the answer to a look-up of `purchase` means.
#[must_use]
pub fn look_up(reply: &Reply, purchase: &PurchaseId) -> LookUp {
    let failed = |why: String, denied: Denial| LookUp::Failed {
        why,
        denied,
        retry_after_ms: asked_to_wait_ms(reply),
    };
    match answer(reply, Some(purchase)) {
        Answer::Shown(seen) => LookUp::Shown(seen),
        Answer::NoEffect {
            code,
            denied: false,
        } if code == NOT_FOUND => LookUp::NotFound,
        Answer::NoEffect { code, denied: true } => failed(code, Denial::Said),
        Answer::RateLimited { retry_after_ms } => LookUp::Failed {
            why: RATE_LIMITED.to_owned(),
            denied: Denial::No,
            retry_after_ms,
        },
        Answer::NoEffect { code, .. } | Answer::Declined { code } | Answer::Conflict { code } => {
            failed(code, Denial::No)
        }
        // Whoever turned it away, the gateway or something before it: nothing is concluded, and the
        // account is left alone for a while.
        Answer::Unknown { why } | Answer::NotSent { why } => {
            let bare = matches!(reply.status, 401 | 403);
            failed(why, if bare { Denial::Bare } else { Denial::No })
        }
    }
}

const NOT_FOUND: &str = "not_found";
/// Why a look-up that came too fast said nothing.
pub(crate) const RATE_LIMITED: &str = "rate_limited";

/// The purchase in a 2xx, if it is one and the one that was asked about.
fn shown(reply: &Reply, purchase: Option<&PurchaseId>) -> Result<Sighting, String> {
    let seen = read_sighting(&reply.body)
        .map_err(|error| format!("the answer {} is {error}", reply.status))?;
    if purchase.is_some_and(|asked| *asked != seen.purchase) {
        return Err(format!(
            "the answer {} is about another purchase",
            reply.status
        ));
    }
    Ok(seen)
}

fn unknown(reply: &Reply) -> Answer {
    Answer::Unknown {
        why: format!("the gateway answered {}", reply.status),
    }
}

fn refused(reply: &Reply, purchase: Option<&PurchaseId>) -> Answer {
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
            .map_or_else(|| format!("http_{}", reply.status), Code::with_field)
    };
    match (reply.status, &refusal) {
        (409, _) => Answer::Conflict { code: code() },
        (429, _) => rate_limited(reply, &refusal),
        // 408: the gateway, or what stands before it, waited in vain: it may have acted.
        (408, _) => unknown(reply),
        // The gateway gives its code with these, so this is not its word. What stands before it may
        // have turned the call away, or spoilt the answer of a call that went through.
        (401 | 403 | 404, _) => Answer::Unknown {
            why: format!(
                "{} came without a code of the gateway; something before it may have answered",
                reply.status
            ),
        },
        // A page of something in between: it may stand before the gateway or behind it.
        (_, Refusal::Empty | Refusal::Illegible) => Answer::Unknown {
            why: format!(
                "the gateway answered {} without a readable body",
                reply.status
            ),
        },
        // The gateway gives a code with every refusal. Whatever writes JSON without one may have passed
        // the call on before; only of a call that makes a purchase nothing hangs on that.
        (_, Refusal::Codes { codes, .. }) if codes.is_empty() && purchase.is_some() => {
            Answer::Unknown {
                why: format!(
                    "{} came without a code; something before the gateway may have answered",
                    reply.status
                ),
            }
        }
        (_, Refusal::Codes { .. }) => Answer::NoEffect {
            code: code(),
            denied: false,
        },
    }
}

/// What the codes alone decide, the one that demands most care first.
fn by_code(codes: &[Code], reply: &Reply, refusal: &Refusal) -> Option<Answer> {
    let find = |is: fn(&str) -> bool| {
        let found = codes.iter().find(|code| is(&code.word))?;
        Some(found.word.clone())
    };
    // What concerns the key or the purchase as such is not said of a field.
    let of_whole = |is: fn(&str) -> bool| {
        let mut whole = codes.iter().filter(|code| code.field.is_none());
        let found = whole.find(|code| is(&code.word))?;
        Some(found.word.clone())
    };
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
    let denied =
        of_whole(|code| matches!(code, "authentication_failed" | "unauthorized" | "forbidden"));
    if let Some(code) = denied {
        return Some(Answer::NoEffect { code, denied: true });
    }
    of_whole(|code| code == NOT_FOUND).map(|code| Answer::NoEffect {
        code,
        denied: false,
    })
}

fn rate_limited(reply: &Reply, refusal: &Refusal) -> Answer {
    let in_body = match refusal {
        Refusal::Codes { retry_after_s, .. } => *retry_after_s,
        Refusal::Empty | Refusal::Illegible => None,
    };
    let in_body = in_body.map(|seconds| seconds.saturating_mul(1000));
    Answer::RateLimited {
        retry_after_ms: asked_to_wait_ms(reply).or(in_body),
    }
}

/// How long the header asks to wait: with 429, and with 503 during maintenance.
fn asked_to_wait_ms(reply: &Reply) -> Option<u64> {
    let text = reply.retry_after.as_deref()?;
    retry_after_ms(text, reply.at)
}

/// Seconds, or a date as HTTP writes it.
pub(super) fn retry_after_ms(text: &str, now: Timestamp) -> Option<u64> {
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
            (403, &all("forbidden"), "denied forbidden"),
            (400, &all("unauthorized"), "denied unauthorized"),
            // The request.
            (404, &all("not_found"), "no_effect not_found"),
            (404, r#"{"code":"not_found"}"#, "no_effect not_found"),
            (
                400,
                r#"{"amount":[{"message":"m","code":"max_value"}]}"#,
                "no_effect amount.max_value",
            ),
            (
                400,
                r#"{"brand_id":[{"code":"not_found"}],"client":{"email":[{"code":"forbidden"}]}}"#,
                "no_effect brand_id.not_found",
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
                "no_effect purchase.products.quantity.max_digits",
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
            (401, r#"{"detail":"?"}"#, "unknown"),
            (401, &all("blocked"), "unknown"),
            (403, "", "unknown"),
            (403, html, "unknown"),
            (400, "[1,2]", "unknown"),
            (400, "{}", "unknown"),
            (405, r#"{"detail":"Method not allowed."}"#, "unknown"),
            (422, r#"{"error":{"message":"blocked"}}"#, "unknown"),
            (499, r#"{"code":400}"#, "unknown"),
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
    fn a_refusal_without_a_code_is_believed_only_of_a_call_that_makes_a_purchase() {
        for (status, body) in [(400, "{}"), (413, r#"{"message":"too large"}"#)] {
            assert_eq!(word(&said(status, body)), "unknown", "{status} {body}");
            let create = word(&answer(&reply(status, body), None));
            assert_eq!(create, format!("no_effect http_{status}"));
        }
        let coded = all("invalid_request");
        assert_eq!(word(&said(400, &coded)), "no_effect invalid_request");
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
        for (status, body) in [(200, "{}"), (500, ""), (302, ""), (400, "{}")] {
            assert_eq!(failed(status, body), Denial::No, "{status} {body}");
        }
        for (status, body) in [
            (401, all("authentication_failed")),
            (403, all("forbidden")),
            (400, all("forbidden")),
        ] {
            assert_eq!(failed(status, &body), Denial::Said, "{status} {body}");
        }
        // Whoever turned it away: the account is left alone for a while.
        for (status, body) in [(401, ""), (401, "<html>"), (403, r#"{"code":"waf"}"#)] {
            assert_eq!(failed(status, body), Denial::Bare, "{status} {body}");
        }
        assert!(matches!(
            asked(200, &purchase(ID, "hold")),
            LookUp::Shown(_)
        ));
        let slow_down = LookUp::Failed {
            why: "rate_limited".to_owned(),
            denied: Denial::No,
            retry_after_ms: Some(3000),
        };
        assert_eq!(asked(429, r#"{"retry_after":3}"#), slow_down);
    }

    #[test]
    fn a_404_that_the_gateway_did_not_write_says_nothing() {
        let bodies = [
            "",
            "{}",
            "<html>",
            r#"{"detail":"Not found."}"#,
            r#"{"message":"no Route matched with those values"}"#,
            r#"{"code":404}"#,
            r#"{"error":{"code":"route_not_found"}}"#,
            r#"{"brand_id":[{"code":"not_found"}]}"#,
        ];
        for body in bodies {
            assert_eq!(word(&said(404, body)), "unknown", "{body}");
            let look = asked(404, body);
            assert!(
                matches!(
                    look,
                    LookUp::Failed {
                        denied: Denial::No,
                        ..
                    }
                ),
                "{body}: {look:?}"
            );
        }
        assert_eq!(asked(404, &all("not_found")), LookUp::NotFound);
    }

    #[test]
    fn a_401_without_a_code_pauses_the_account_and_parks_nothing() {
        for status in [401, 403] {
            for body in ["", "<html>", r#"{"detail":"Authentication failed."}"#] {
                assert_eq!(word(&said(status, body)), "unknown", "{status} {body}");
                let look = asked(status, body);
                assert!(
                    matches!(
                        look,
                        LookUp::Failed {
                            denied: Denial::Bare,
                            ..
                        }
                    ),
                    "{status} {body}: {look:?}"
                );
            }
        }
    }

    #[test]
    fn a_refused_field_is_named_and_no_value_with_it() {
        let refused = |body: &str| match said(400, body) {
            Answer::NoEffect { code, .. } => code,
            other => panic!("{other:?}"),
        };
        for (body, code) in [
            (
                r#"{"client":{"email":[{"message":"Enter…","code":"invalid"}]}}"#,
                "client.email.invalid",
            ),
            (
                r#"{"errors":{"success_redirect":{"code":"invalid"}}}"#,
                "success_redirect.invalid",
            ),
            (
                r#"{"purchase":{"products":[{"__all__":[{"code":"product_subtotal_negative"}]}]}}"#,
                "purchase.products.product_subtotal_negative",
            ),
            (
                r#"{"payer@shop.example":[{"code":"invalid"}]}"#,
                "illegible_field.invalid",
            ),
            (
                r#"{"4444333322221111":[{"code":"invalid"}]}"#,
                "illegible_field.invalid",
            ),
        ] {
            assert_eq!(refused(body), code, "{body}");
        }
    }

    #[test]
    fn a_gateway_that_is_away_says_when_to_come_back() {
        let mut reply = reply(503, "<html>");
        reply.retry_after = Some("120".to_owned());
        let wait = Some(120_000);
        let create = answer(&reply, None);
        assert_eq!(
            create,
            Answer::RateLimited {
                retry_after_ms: wait
            }
        );
        let purchase = PurchaseId::new(ID).unwrap();
        assert_eq!(
            word(&answer(&reply, Some(&purchase))),
            "unknown",
            "it may have acted"
        );
        let look = look_up(&reply, &purchase);
        assert!(
            matches!(&look, LookUp::Failed { retry_after_ms, denied: Denial::No, .. } if *retry_after_ms == wait),
            "{look:?}"
        );
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
