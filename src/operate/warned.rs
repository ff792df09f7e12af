//! What whoever applies a plan should know.

use std::collections::BTreeSet;

use super::course::MOST_PAYMENTS;
use super::foresee::{Foreseen, Then};
use super::plan::{Fate, LeftOut, Plan, Planned};

impl Plan {
    /// What whoever applies it should know, in words.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let count = |fits: &dyn Fn(&Planned) -> bool| {
            self.payments.iter().filter(|planned| fits(planned)).count()
        };
        let left_out = |why: LeftOut| count(&|planned| planned.fate == Fate::LeftOut { why });
        let foreseen = |fits: fn(&Then) -> bool| {
            let foreseen = self.at_stake().filter_map(|it| it.foreseen.as_ref());
            foreseen.filter(|it| fits(&it.then)).count()
        };
        let stays = foreseen(|then| matches!(then, Then::StaysParked { .. }));
        let looks_on = foreseen(|then| matches!(then, Then::LooksOn { .. }));
        let most = MOST_PAYMENTS;
        let told = [
            (
                usize::from(self.more),
                format!("there are more than {most}: the rest needs another plan"),
            ),
            (
                usize::from(self.cut_off),
                "not all in that state were looked at, there are so many: others may be like these; plan \
                 those by their ids"
                    .to_owned(),
            ),
            (
                left_out(LeftOut::GatewaySilent),
                "could not be asked about, and are left out".to_owned(),
            ),
            (
                left_out(LeftOut::KeyRefused),
                "are of an account whose key the gateway refuses, and are left out".to_owned(),
            ),
            (
                left_out(LeftOut::RateLimited),
                "are left out: the gateway wants to be asked less often; make another plan later"
                    .to_owned(),
            ),
            (
                left_out(LeftOut::AccountMissing),
                "are of an account that the worker does not have, and are left out".to_owned(),
            ),
            (
                left_out(LeftOut::Unreadable),
                "cannot be read, and are left out".to_owned(),
            ),
            (stays, "would stay parked as they are".to_owned()),
            (
                looks_on,
                "would stay parked for now, and go on by themselves once a look shows that they can, \
                 however much later: charge or capture what they are about"
                    .to_owned(),
            ),
        ];
        let told = told.into_iter().chain(self.doubts()).chain(self.held_up());
        let some = told.filter(|(many, _)| *many > 0);
        some.map(|(many, text)| {
            if text.starts_with("there are") || text.starts_with("not all") {
                text
            } else {
                format!("{many} {text}")
            }
        })
        .collect()
    }

    /// How many would not get their call out, because people have stopped it.
    fn held_up(&self) -> [(usize, String); 1] {
        let sends = self.at_stake().filter(|planned| {
            let foreseen = planned.foreseen.as_ref();
            foreseen.is_some_and(Foreseen::sends)
        });
        let stopped: BTreeSet<_> = sends
            .clone()
            .filter_map(|it| it.stopped.as_deref())
            .collect();
        let many = sends.filter(|planned| planned.stopped.is_some()).count();
        let names = stopped.into_iter().collect::<Vec<_>>().join(", ");
        [(
            many,
            format!(
                "could send nothing when they were asked about, because people have stopped {names}: \
                 the run would stop at the first of them; see holdfast switches"
            ),
        )]
    }

    /// How many have a call whose effect is not known, and what a rerun makes of it.
    fn doubts(&self) -> [(usize, String); 4] {
        let count = |fits: fn(&Then) -> bool| {
            let in_doubt = self.at_stake().filter(|planned| {
                let seen = planned.seen.as_ref();
                seen.is_some_and(|seen| seen.in_doubt)
            });
            let foreseen = in_doubt.filter_map(|planned| planned.foreseen.as_ref());
            foreseen.filter(|foreseen| fits(&foreseen.then)).count()
        };
        let known = "have a call whose effect is not known";
        [
            (
                count(|then| matches!(then, Then::Sends { step } if step.takes_money())),
                format!(
                    "{known}, and are charged or captured again: the same purchase, by the account's \
                     policy wherever the gateway shows no trace of that call"
                ),
            ),
            (
                count(|then| matches!(then, Then::Sends { step } if !step.takes_money())),
                format!("{known}, and go on with one that by itself takes no money"),
            ),
            (
                count(|then| matches!(then, Then::LooksOn { .. } | Then::GoesOn { .. })),
                format!(
                    "{known}; it is looked for, and made again later only if the account's policy \
                     has it so"
                ),
            ),
            (
                count(|then| matches!(then, Then::StaysParked { .. } | Then::Ends { .. })),
                format!("{known}; it is looked for, and not made again"),
            ),
        ]
    }
}
