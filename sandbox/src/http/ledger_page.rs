//! The ledger as a page for people.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Html;

use super::Shared;
use crate::engine::escape;
use crate::ledger::{Ledger, MovementKind};

const SHOWN: usize = 200;

const HEAD: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
<meta http-equiv=\"refresh\" content=\"5\"><title>Sandbox ledger</title><style>\
:root{color-scheme:light dark;--ink:#16202c;--dim:#5b6b7d;--ground:#f4f7fa;--line:#d5dde6;\
--good:#0b6e4f;--bad:#b3261e}\
@media(prefers-color-scheme:dark){:root{--ink:#e8eef4;--dim:#9fb0c0;--ground:#10161d;\
--line:#2e3b48;--good:#4fd0a5;--bad:#ff8a80}}\
body{margin:0 auto;max-width:1100px;padding:24px;background:var(--ground);color:var(--ink);\
font:15px/1.5 system-ui,sans-serif}div{overflow-x:auto}\
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}\
th,td{text-align:left;padding:6px 10px;border-bottom:1px solid var(--line);white-space:nowrap}\
th{color:var(--dim);font-weight:500}.n{text-align:right}.good{color:var(--good)}\
.bad{color:var(--bad)}code{font-size:.9em}dl{display:flex;gap:28px;flex-wrap:wrap}\
dt{color:var(--dim)}dd{margin:0;font-size:1.5rem}</style></head><body><h1>Sandbox ledger</h1>";

pub(crate) async fn page(State(shared): State<Arc<Shared>>) -> Html<String> {
    Html(shared.with(|engine, _| {
        let mut page = String::from(HEAD);
        totals(&mut page, engine.ledger(), engine.purchase_count());
        movements(&mut page, engine.ledger());
        requests(&mut page, engine.ledger());
        page.push_str("</body></html>");
        page
    }))
}

fn totals(page: &mut String, ledger: &Ledger, purchases: usize) {
    let sum = |kinds: &[MovementKind]| -> i64 {
        ledger
            .movements()
            .iter()
            .filter(|m| kinds.contains(&m.kind))
            .map(|m| m.amount)
            .sum()
    };
    let taken = sum(&[MovementKind::Capture, MovementKind::Charge]);
    let given = sum(&[
        MovementKind::Capture,
        MovementKind::Release,
        MovementKind::Lapse,
    ]);
    let held = sum(&[MovementKind::Hold]) - given;
    page.push_str("<dl>");
    for (name, value) in [
        ("Purchases", purchases.to_string()),
        ("Movements", ledger.movements().len().to_string()),
        ("Taken", money(taken)),
        ("Reserved now", money(held)),
        ("Given back", money(sum(&[MovementKind::Refund]))),
    ] {
        push(
            page,
            format_args!("<div><dt>{name}</dt><dd>{value}</dd></div>"),
        );
    }
    page.push_str("</dl>");
}

fn movements(page: &mut String, ledger: &Ledger) {
    page.push_str(
        "<h2>Movements of money</h2><div><table><thead><tr><th>#</th><th>Time</th><th>Kind</th>\
         <th class=\"n\">Amount</th><th>Reference</th><th>Purchase</th></tr></thead><tbody>",
    );
    for movement in ledger.movements().iter().rev().take(SHOWN) {
        push(
            page,
            format_args!(
                "<tr><td>{seq}</td><td>{at}</td><td>{kind:?}</td><td class=\"n\">{currency} {amount}\
             </td><td>{reference}</td><td><a href=\"/sandbox/purchases/{id}\"><code>{id}</code></a>\
             </td></tr>",
                seq = movement.seq,
                at = clock(movement.at_ms),
                kind = movement.kind,
                currency = escape(&movement.currency),
                amount = money(movement.amount),
                reference = escape(&movement.reference),
                id = movement.purchase_id,
            ),
        );
    }
    page.push_str("</tbody></table></div>");
}

fn requests(page: &mut String, ledger: &Ledger) {
    page.push_str(
        "<h2>Requests</h2><div><table><thead><tr><th>#</th><th>Time</th><th>Request</th>\
         <th>Answer</th><th>Took effect</th><th>Faults</th></tr></thead><tbody>",
    );
    for row in ledger.requests().iter().rev().take(SHOWN) {
        let answer = row
            .status
            .map_or("none".to_owned(), |status| status.to_string());
        let is_good = row.status.is_some_and(|status| status < 400);
        push(
            page,
            format_args!(
                "<tr><td>{seq}</td><td>{at}</td><td>{method} <code>{path}</code></td>\
             <td class=\"{class}\">{answer}</td><td>{committed}</td><td>{faults}</td></tr>",
                seq = row.seq,
                at = clock(row.at_ms),
                method = escape(&row.method),
                path = escape(&row.path),
                class = if is_good { "good" } else { "bad" },
                committed = if row.committed { "yes" } else { "no" },
                faults = row.faults.join(", "),
            ),
        );
    }
    page.push_str("</tbody></table></div>");
}

fn push(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text)
        .expect("writing to a string cannot fail");
}

fn money(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let minor = minor.unsigned_abs();
    format!("{sign}{}.{:02}", minor / 100, minor % 100)
}

fn clock(at_ms: i64) -> String {
    let at = chrono::DateTime::from_timestamp_millis(at_ms).unwrap_or_default();
    at.format("%Y-%m-%d %H:%M:%S").to_string()
}
