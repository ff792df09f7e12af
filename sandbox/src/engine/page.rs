//! The pages a payer sees.

use super::pay::{TestCard, purpose};
use super::purchase::Purchase;
use super::status::Status;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#16202c;--dim:#5b6b7d;--ground:#eef2f6;--card:#fff;\
--line:#d5dde6;--do:#0b6e4f}\
@media(prefers-color-scheme:dark){:root{--ink:#e8eef4;--dim:#9fb0c0;--ground:#10161d;\
--card:#1a232d;--line:#2e3b48;--do:#2fae82}}\
*{box-sizing:border-box}body{margin:0;background:var(--ground);color:var(--ink);\
font:16px/1.5 system-ui,sans-serif;display:grid;min-height:100vh;place-items:center;padding:16px}\
main{background:var(--card);border:1px solid var(--line);border-radius:14px;padding:28px;\
width:min(420px,100%)}h1{font-size:2rem;margin:.1em 0}p,small{color:var(--dim)}\
label{display:block;margin:12px 0 4px;font-size:.9rem}input:not([type=checkbox]){width:100%;\
padding:10px;border:1px solid var(--line);border-radius:8px;background:transparent;color:inherit;\
font:inherit}.row{display:grid;grid-template-columns:1fr 1fr;gap:12px}\
button{width:100%;margin-top:18px;padding:12px;border:0;border-radius:8px;background:var(--do);\
color:#fff;font:600 1rem system-ui;cursor:pointer}button.no{background:transparent;\
color:inherit;border:1px solid var(--line)}.tag{font-size:.8rem;border:1px solid var(--line);\
border-radius:99px;padding:2px 10px;color:var(--dim)}";

fn whole(title: &str, inner: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head><body><main>{inner}</main></body></html>"
    )
}

fn amount(purchase: &Purchase) -> String {
    let total = purchase.terms.total;
    format!(
        "{} {}.{:02}",
        escape(&purchase.terms.currency),
        total / 100,
        total % 100
    )
}

/// The card form.
pub(crate) fn checkout(purchase: &Purchase, company: &str) -> String {
    let verb = purpose(purchase);
    let what = match verb {
        "Reserve" => "The amount is reserved on your card now and taken later, in part or in full.",
        "Save card" => "Your card is checked and saved. No money is taken.",
        _ => "The amount is taken from your card now.",
    };
    let failed = if purchase.face.status == Status::Error {
        "<p role=\"alert\"><strong>The last try did not work.</strong> You can try again.</p>"
    } else {
        ""
    };
    let inner = format!(
        "<span class=\"tag\">Sandbox</span><p>{company}</p><h1>{amount}</h1>\
         <p>{what}</p>{failed}<form method=\"post\" action=\"/p/{id}/\">\
         <label for=\"n\">Name on card</label>\
         <input id=\"n\" name=\"cardholder_name\" maxlength=\"30\" autocomplete=\"cc-name\" required>\
         <label for=\"c\">Card number</label>\
         <input id=\"c\" name=\"card_number\" inputmode=\"numeric\" autocomplete=\"cc-number\" required>\
         <div class=\"row\"><div><label for=\"e\">Expires (MM/YY)</label>\
         <input id=\"e\" name=\"expires\" placeholder=\"12/30\" autocomplete=\"cc-exp\" required></div>\
         <div><label for=\"v\">CVC</label>\
         <input id=\"v\" name=\"cvc\" inputmode=\"numeric\" maxlength=\"4\" required></div></div>\
         <label><input type=\"checkbox\" name=\"remember_card\" value=\"on\"> Remember this card</label>\
         <button>{verb}</button></form>\
         <p><small>Test cards: {plain} goes straight through, {secure} asks for confirmation. \
         Any name, any month from now on, CVC 123. Everything else fails.</small></p>",
        company = escape(company),
        amount = amount(purchase),
        id = purchase.id,
        plain = spaced(TestCard::Plain),
        secure = spaced(TestCard::ThreeDSecure),
    );
    whole(verb, &inner)
}

/// The bank's question.
pub(crate) fn confirmation(purchase: &Purchase, company: &str) -> String {
    let inner = format!(
        "<span class=\"tag\">Sandbox bank</span><h1>{amount}</h1>\
         <p>{company} asks for this payment. Was it you?</p>\
         <form method=\"post\" action=\"/p/{id}/confirm/\">\
         <button name=\"answer\" value=\"approve\">Approve</button>\
         <button class=\"no\" name=\"answer\" value=\"reject\">Reject</button></form>",
        amount = amount(purchase),
        company = escape(company),
        id = purchase.id,
    );
    whole("Confirm", &inner)
}

/// What became of it.
pub(crate) fn result(purchase: &Purchase, company: &str) -> String {
    let (title, text) = match purchase.face.status {
        Status::Hold | Status::PendingCapture | Status::PendingRelease => {
            ("Reserved", "The amount is reserved on your card.")
        }
        Status::Preauthorized => ("Card saved", "No money was taken."),
        Status::Paid | Status::Cleared | Status::Settled => ("Paid", "Thank you."),
        Status::PendingExecute | Status::PendingCharge => ("Working on it", "Your bank is busy."),
        Status::Released => ("Released", "The reservation was given back."),
        Status::Refunded | Status::PendingRefund => ("Refunded", "The money was given back."),
        Status::Cancelled => ("Cancelled", "This payment was cancelled."),
        Status::Expired => ("Expired", "This payment can no longer be made."),
        _ => ("Not paid", "The payment did not go through."),
    };
    let inner = format!(
        "<span class=\"tag\">Sandbox</span><p>{company}</p><h1>{title}</h1><p>{amount}. {text}</p>",
        company = escape(company),
        amount = amount(purchase),
    );
    whole(title, &inner)
}

fn spaced(card: TestCard) -> String {
    let number = card.number();
    [&number[..4], &number[4..8], &number[8..12], &number[12..]].join(" ")
}

/// Makes text safe inside HTML.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            _ => safe.push(c),
        }
    }
    safe
}
