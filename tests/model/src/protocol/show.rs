//! A moment in one line, for traces.

use std::fmt;

use super::gateway::{Gateway, Status};
use super::payment::{Attempt, NONE, Payment};
use super::world::World;

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let durable = if self.store.is_durable() { "" } else { "~" };
        write!(
            f,
            "v{}{durable} {}",
            self.store.record.version,
            self.payment()
        )?;
        for id in Gateway::ids() {
            let purchase = self.gateway.purchase(id);
            let status = match purchase.status {
                Status::Absent => continue,
                Status::Payable => "payable",
                Status::Paid => "paid",
                Status::Cancelled => "cancelled",
            };
            write!(f, " | P{id} {status}")?;
            let counts = [
                (purchase.on_the_way, "coming"),
                (purchase.at_acquirer, "at work"),
            ];
            for (count, what) in counts {
                if count > 0 {
                    write!(f, ", {count} {what}")?;
                }
            }
        }
        write!(f, " | taken {}", self.gateway.taken)?;
        let reported = [
            (self.reported.paid, "Paid"),
            (self.reported.failed, "Failed"),
        ];
        for (_, what) in reported.iter().filter(|(is, _)| *is) {
            write!(f, ", reported {what}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Payment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.state)?;
        if self.purchase != NONE {
            write!(f, " P{}", self.purchase)?;
        }
        if let Some(Attempt { step, number, .. }) = self.open {
            write!(f, ", open: {step} {number}")?;
        }
        let words = [
            (self.ending, "to fail"),
            (self.seal_seen.is_some(), "seen cancelled"),
        ];
        for (_, word) in words.iter().filter(|(is, _)| *is) {
            write!(f, ", {word}")?;
        }
        Ok(())
    }
}
