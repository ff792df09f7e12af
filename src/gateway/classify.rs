//! What an HTTP answer means for the money: by the gateway's code first, then by the number.
//! Pure. In doubt it is `Unknown`, which costs a look-up; a wrong certainty costs money.

use chrono::DateTime;

use super::refusal::Refusal;
use super::wire::read_sighting;
use crate::payment::{Answer, LookUp, PurchaseId, Sighting, Timestamp};

/// An HTTP answer, read to its end.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    /// The HTTP number.
    pub(super) status: u16,
    /// The header of that name.
    pub(super) retry_after: Option<String>,
    /// When it came.
    pub(super) at: Timestamp,
    /// The body.
    pub(super) body: Vec<u8>,
}

/// What the answer to a call on `purchase` means; `None` for the call that makes one.
pub(super) fn answer(reply: &Reply, purchase: Option<&PurchaseId>) -> Answer {
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
pub(super) fn look_up(reply: &Reply, purchase: &PurchaseId) -> LookUp {
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
