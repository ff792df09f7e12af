//! What came of comparing the books, for people.

use std::io::{self, Write};

use crate::operate::reconcile::{Finding, Kind, Report, Side, Verdict};

/// Why not all was compared, and what to do.
pub(super) fn again(report: &Report) -> String {
    let early = report.too_early.map(|after| {
        let after = report.period.shown(after);
        format!(
            "the period, or the statement, was not complete: run it again after {after}, with a \
             statement that was made after it"
        )
    });
    let some = (report.not_compared > 0).then(|| {
        let count = report.not_compared;
        format!("{count} payments could not be compared; run it again")
    });
    let told = [early, some].into_iter().flatten();
    told.collect::<Vec<_>>().join("; ")
}

/// The report.
pub(super) fn write_text(report: &Report, reveal: bool, out: &mut dyn Write) -> io::Result<()> {
    write_counts(report, out)?;
    for kind in Kind::ALL {
        let found = report.findings.iter().filter(|it| it.kind == kind);
        let Some(count) = report.differences.get(&kind) else {
            continue;
        };
        writeln!(out, "\n{} ({count}): {}", kind.as_str(), kind.what_to_do())?;
        for finding in found {
            writeln!(out, "  {}", line_of(report, finding, reveal))?;
        }
    }
    if report.not_compared > 0 {
        writeln!(out, "\nnot compared ({}):", report.not_compared)?;
    }
    for (payment, why) in &report.not_compared_listed {
        writeln!(out, "  {payment}  {why}")?;
    }
    if report.settled_by_hand > 0 {
        writeln!(out, "\nby hand ({}):", report.settled_by_hand)?;
    }
    for payment in &report.settled_by_hand_listed {
        writeln!(out, "  {payment}")?;
    }
    if report.too_early.is_some() {
        writeln!(out, "\n{}", again(report))?;
    }
    let verdict = match report.verdict() {
        Verdict::Agree => "the books agree",
        Verdict::Differ => "the books differ",
        Verdict::NotAllCompared => "not all could be compared; the rest agrees",
        Verdict::AgreeWithoutStatement => {
            "records and CHIP agree; no statement was compared, so money that no record knows of was \
             not looked for"
        }
    };
    writeln!(out, "\n{verdict}")
}

fn write_counts(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let period = report.period;
    let (from, to) = (period.shown(period.from), period.shown(period.to));
    writeln!(
        out,
        "{}: {from} to {to} ({})",
        report.account, period.offset
    )?;
    writeln!(
        out,
        "payments     {} agree · {} open · {} parked · {} not compared · {} differences",
        report.agree,
        report.open,
        report.parked,
        report.not_compared,
        report.differing()
    )?;
    if report.settled_by_hand > 0 {
        writeln!(
            out,
            "by hand      {} ended as two people stated, and CHIP shows nothing against it",
            report.settled_by_hand
        )?;
    }
    match report.lines {
        Some(lines) => writeln!(
            out,
            "statement    {} paid · of them {} of other accounts, {} of other systems\n             \
             other lines, of whatever time: {} about money given back, {} about nothing that was taken",
            lines.of_period, lines.of_siblings, lines.foreign, lines.given_back, lines.other
        )?,
        None => writeln!(
            out,
            "statement    none: money that no record knows of was not looked for"
        )?,
    }
    for (currency, sums) in &report.sums {
        let stated = match report.lines {
            Some(_) => format!(" · in the statement {}", money(sums.statement, currency)),
            None => String::new(),
        };
        writeln!(
            out,
            "taken        recorded {} · at CHIP {}{stated}",
            money(sums.recorded, currency),
            money(sums.gateway, currency)
        )?;
    }
    let later = (report.refunded.len(), report.charged_back.len());
    if later != (0, 0) {
        writeln!(
            out,
            "given back   {} refunded · {} charged back",
            later.0, later.1
        )?;
    }
    Ok(())
}

fn line_of(report: &Report, finding: &Finding, reveal: bool) -> String {
    let side = |name: &str, side: &Option<Side>| {
        side.as_ref().map(|side| match &side.money {
            Some((amount, currency)) => {
                format!("{name} {} {}", side.word, money(*amount, currency))
            }
            None => format!("{name} {}", side.word),
        })
    };
    let name = match &finding.payment {
        Some(payment) => payment.to_string(),
        None => "no payment".to_owned(),
    };
    let purchase = report.purchase_name(finding, reveal);
    let reference = finding.reference.as_ref().filter(|_| reveal);
    let parts = [
        Some(name),
        purchase,
        reference.map(|text| format!("reference {text:?}")),
        side("recorded", &finding.recorded),
        side("CHIP", &finding.gateway),
        side("statement", &finding.statement),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("  ")
}

fn money(minor: u64, currency: &str) -> String {
    format!("{currency} {}.{:02}", minor / 100, minor % 100)
}
