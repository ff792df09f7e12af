//! The variants that are searched, as data. Each row is a promise, or what comes of breaking one
//! rule or one assumption of a promise.

mod bases;

use crate::setup::{Around, CommandCheck, Dated, Fence, Rules, Seal, Setup, Stale, Store, Unknown};
use bases::{
    NUMBERED, PARK, READ_AT_ONCE, RESEND, RULES, WEAKEST, alone, commanded, hasty, punctual,
    replicated, slowly, with, with_workers,
};

/// What a row is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing may go wrong, and every good end must be reached.
    Promise,
    /// One rule of a promise is broken: what the rule is for.
    Rule,
    /// One assumption of a promise is broken: where the promise ends.
    Assumption,
}

/// One variant.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// What it is called.
    pub name: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    /// What it is for.
    pub kind: Kind,
    /// What goes wrong; `None` if nothing may.
    pub wrong: Option<&'static str>,
    pub(crate) setup: Setup,
}

impl Row {
    /// The row with that name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        ROWS.iter().find(|row| row.name == name)
    }

    /// The same promise with smaller bounds, for tests.
    #[must_use]
    pub const fn quick(mut self) -> Self {
        if matches!(self.kind, Kind::Promise) {
            let bounds = &mut self.setup.bounds;
            if bounds.failovers > 1 {
                bounds.failovers = 1;
            }
            bounds.lag = 1;
            if bounds.charges > 2 {
                bounds.charges = 2;
            }
        }
        self
    }
}

const TWICE: Option<&str> = Some("money was taken twice");
const FALSE_FAILED: Option<&str> = Some("Failed was reported, and money was taken");
const EARLY_FAILED: Option<&str> = Some("Failed was reported while a charge may still take money");

/// The protocol as it is built.
pub(crate) const AS_BUILT: Setup = Setup {
    rules: Rules {
        command_check: CommandCheck::Version,
        ..RULES
    },
    ..RESEND
};

/// All of them.
pub const ROWS: &[Row] = &[
    promise("park", "park, whatever the gateway does", PARK),
    promise(
        "park_three_workers",
        "the same with three workers",
        with_workers(PARK, 3),
    ),
    promise(
        "park_replicated",
        "the same on a store that shows what a failover takes back",
        replicated(PARK, 1, 2),
    ),
    promise(
        "park_numbered",
        "the same with one attempt and three claims in all, and nothing forgotten of lost ones",
        NUMBERED,
    ),
    promise(
        "park_slow_looks",
        "the same with workers that sleep over a look-up, too",
        slowly(PARK),
    ),
    promise(
        "park_read_at_once",
        "park, both reads of the seal at once: right where a cancel waits for charges",
        Setup {
            around: Around {
                cancel_is_atomic: true,
                stale: Stale::ForEver,
                ..WEAKEST
            },
            ..READ_AT_ONCE
        },
    ),
    promise(
        "park_read_at_once_punctual",
        "the same: right also where no call is made later than its note allows",
        punctual(READ_AT_ONCE),
    ),
    promise(
        "resend_same",
        "resend_same, on a gateway that serialises",
        RESEND,
    ),
    promise(
        "resend_same_slow_looks",
        "the same with workers that sleep over a look-up, too, whenever that counts as made",
        Setup {
            rules: Rules {
                dated: Dated::Question,
                ..RESEND.rules
            },
            ..slowly(RESEND)
        },
    ),
    promise(
        "resend_same_three_workers",
        "the same with three workers",
        with_workers(RESEND, 3),
    ),
    promise(
        "resend_same_replicated",
        "the same on a store that shows what a failover takes back",
        replicated(RESEND, 2, 1),
    ),
    promise(
        "resend_same_punctual",
        "resend_same, whatever the gateway does, if no call is made later than its note allows",
        punctual(Setup {
            around: WEAKEST,
            ..RESEND
        }),
    ),
    broken(
        "new_purchase",
        "another purchase is made because a look-up showed the first one unpaid",
        TWICE,
        alone(with(Rules {
            unknown: Unknown::NewPurchase,
            ..RULES
        })),
    ),
    broken(
        "charge_before_id",
        "a purchase is charged before its id is recorded",
        TWICE,
        alone(with(Rules {
            id_first: false,
            ..RULES
        })),
    ),
    broken(
        "no_look_first",
        "an open attempt is made again, not looked up",
        TWICE,
        alone(with(Rules {
            look_first: false,
            ..RULES
        })),
    ),
    broken(
        "no_gate",
        "a call does not wait until its note is durable; one failover",
        TWICE,
        alone(replicated(
            with(Rules {
                gate: false,
                ..RULES
            }),
            1,
            1,
        )),
    ),
    broken(
        "counter",
        "claims are counted, not marked by a random nonce; one failover",
        TWICE,
        alone(replicated(
            with(Rules {
                fence: Fence::Counter,
                ..RULES
            }),
            1,
            1,
        )),
    ),
    broken(
        "testimony_by_number",
        "a worker that says which call it never made gives a number alone",
        TWICE,
        alone(with(Rules {
            signed_notes: false,
            ..NUMBERED.rules
        })),
    ),
    broken(
        "no_compare_and_swap",
        "a save compares neither version nor nonce",
        TWICE,
        alone(with(Rules {
            compare_and_swap: false,
            ..RULES
        })),
    ),
    broken(
        "no_seal",
        "a failure is reported before the purchase is sealed",
        EARLY_FAILED,
        commanded(with(Rules {
            seal: Seal::Nothing,
            ..RULES
        })),
    ),
    broken(
        "look_dated_by_question",
        "a look-up counts as made when it was asked for, however long its answer took",
        EARLY_FAILED,
        slowly(with(Rules {
            dated: Dated::Question,
            ..RULES
        })),
    ),
    broken(
        "look_dated_by_answer",
        "a look-up counts as made when its answer was there, not when it was asked for",
        FALSE_FAILED,
        slowly(with(Rules {
            dated: Dated::Answer,
            ..RULES
        })),
    ),
    broken(
        "report_before_durable",
        "an end is told before it is durable; one failover",
        EARLY_FAILED,
        replicated(
            with(Rules {
                report_when_durable: false,
                ..RULES
            }),
            1,
            3,
        ),
    ),
    broken(
        "command_by_version",
        "a command compares the version alone, on a store that shows what a failover takes back",
        EARLY_FAILED,
        replicated(
            with(Rules {
                command_check: CommandCheck::Version,
                ..RULES
            }),
            1,
            1,
        ),
    ),
    assumed(
        "resend_same_unserialised",
        "resend_same, on a gateway that does not serialise",
        TWICE,
        alone(with(Rules {
            unknown: Unknown::ResendSame,
            ..RULES
        })),
    ),
    assumed(
        "no_quiet_period",
        "resend_same_punctual, with a quiet period shorter than the longest delivery",
        TWICE,
        alone(hasty(punctual(Setup {
            around: WEAKEST,
            ..RESEND
        }))),
    ),
    assumed(
        "park_no_quiet_period",
        "park, with a quiet period shorter than the longest delivery",
        EARLY_FAILED,
        commanded(hasty(PARK)),
    ),
    assumed(
        "read_at_once_late_call",
        "both reads of the seal at once, a call made later than its note allows, and a gateway \
         that cancels under a charge",
        EARLY_FAILED,
        commanded(READ_AT_ONCE),
    ),
    assumed(
        "stale_for_ever",
        "park, with look-ups older than the quiet period (a cache keeps them, or a worker sleeps \
         before it judges one), and a gateway that cancels under a charge",
        FALSE_FAILED,
        Setup {
            around: Around {
                stale: Stale::ForEver,
                ..WEAKEST
            },
            ..PARK
        },
    ),
];

const fn promise(name: &'static str, about: &'static str, setup: Setup) -> Row {
    Row {
        name,
        about,
        kind: Kind::Promise,
        wrong: None,
        setup,
    }
}

const fn broken(
    name: &'static str,
    about: &'static str,
    wrong: Option<&'static str>,
    mut setup: Setup,
) -> Row {
    // On one Redis a failover takes away nothing that matters, and only makes traces longer.
    if matches!(setup.around.store, Store::Solo) {
        setup.bounds.failovers = 0;
    }
    Row {
        name,
        about,
        kind: Kind::Rule,
        wrong,
        setup,
    }
}

const fn assumed(
    name: &'static str,
    about: &'static str,
    wrong: Option<&'static str>,
    setup: Setup,
) -> Row {
    Row {
        kind: Kind::Assumption,
        ..broken(name, about, wrong, setup)
    }
}
