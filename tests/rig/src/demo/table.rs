//! Both books side by side.

use std::collections::HashSet;

use chip_sandbox::{Ledger, MovementKind};
use holdfast::payment::{PaymentId, State};

use super::seen::Seen;
use super::{Asked, Demo, PROMISED, Verdict};
use crate::books::{Line, compare, found};

impl Demo {
    /// Prints every payment beside the ledger, and in the last line what it comes to.
    pub(super) async fn show_books(&self) -> anyhow::Result<Verdict> {
        let took = self.began.elapsed();
        let ledger = self.works.sandbox.ledger();
        let (mut twice, mut wrong) = (0, 0);
        let mut known = HashSet::new();
        println!(
            "\n{:<10}  {:<37}  {:<14}  {:>9}  how it went",
            "payment", "what was asked", "reported", "ledger"
        );
        for asked in &self.asked {
            let payment = self.works.load(&asked.id).await?.payment;
            known.extend(found(&payment, &ledger).iter().map(|movement| movement.seq));
            let line =
                compare(payment, &ledger, true).beside(|id| self.works.sandbox.status_of(id));
            twice += usize::from(line.ledger.takes > 1 || line.ledger.holds > 1);
            let told = rows(asked, &line, &ledger);
            wrong += usize::from(told.len() > 1);
            println!("{}", told.join("\n"));
        }
        let strays = ledger
            .movements()
            .iter()
            .filter(|m| !known.contains(&m.seq));
        let strays = strays.count();
        println!();
        if strays > 0 {
            println!("{strays} movements of money belong to no payment");
        }
        if took > PROMISED {
            println!("It took longer than a minute: this machine is slow, or something is wrong.");
        }
        let sound = wrong == 0 && twice == 0 && strays == 0;
        println!(
            "{} payments, {} moved, {twice} moved twice, {}; {:.1} s",
            self.asked.len(),
            rm(taken(&ledger)),
            match (sound, wrong) {
                (true, _) => "the books agree".to_owned(),
                (false, 0) => "THE BOOKS DIFFER".to_owned(),
                (false, _) => format!("{wrong} ARE NOT AS THEY MUST BE"),
            },
            took.as_secs_f64()
        );
        Ok(if sound {
            Verdict::Sound
        } else {
            Verdict::Unsound
        })
    }
}

/// The payment's row, and a row for everything that is wrong with it.
fn rows(asked: &Asked, line: &Line, ledger: &Ledger) -> Vec<String> {
    let seen = Seen::of(line, ledger);
    let mut wrong = line.problems.clone();
    wrong.extend(asked.expected.misses(&seen));
    let note = if wrong.is_empty() {
        asked.expected.note(&seen)
    } else {
        "NOT AS IT MUST BE".to_owned()
    };
    let reported = match line.payment.state() {
        State::Paid(money) => format!("paid {:>9}", rm(money.amount.minor())),
        state => state.name().to_string(),
    };
    let ledger = rm(line.ledger.taken_minor);
    let what = asked.what;
    let row = format!(
        "{:<10}  {what:<37}  {reported:<14}  {ledger:>9}  {note}",
        short(line.payment.id())
    );
    let wrong = wrong
        .into_iter()
        .map(|wrong| format!("            ! {wrong}"));
    std::iter::once(row).chain(wrong).collect()
}

/// Everything that was taken, whoever asked for it.
fn taken(ledger: &Ledger) -> u64 {
    let takes = ledger
        .movements()
        .iter()
        .filter(|movement| matches!(movement.kind, MovementKind::Charge | MovementKind::Capture));
    takes
        .map(|movement| u64::try_from(movement.amount).unwrap_or(0))
        .sum()
}

/// An amount in sen as people write it.
pub(super) fn rm(minor: u64) -> String {
    format!("RM {}.{:02}", minor / 100, minor % 100)
}

/// Enough of an id to tell payments of one run apart.
pub(super) fn short(id: &PaymentId) -> &str {
    id.as_str().get(..10).unwrap_or(id.as_str())
}
