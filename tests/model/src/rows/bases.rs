//! What the rows begin with, and the steps from one setup to the next.

use crate::setup::{
    Around, Bounds, CommandCheck, Dated, Fence, People, Rules, Seal, Setup, Stale, Store, Unknown,
};

/// Every rule, `park`, and a seal whose reads are a quiet period apart.
pub(super) const RULES: Rules = Rules {
    unknown: Unknown::Park,
    seal: Seal::TwoReadsApart,
    fence: Fence::Nonce,
    command_check: CommandCheck::Write,
    dated: Dated::QuestionInTime,
    look_first: true,
    id_first: true,
    signed_notes: true,
    gate: true,
    compare_and_swap: true,
    report_when_durable: true,
};

/// A gateway that guards nothing, workers that sleep for as long as they like, people who meddle.
pub(super) const WEAKEST: Around = Around {
    serialises: false,
    cancel_is_atomic: false,
    stale: Stale::WithinQuiet,
    slow_looks: false,
    quiet_is_enough: true,
    sleepers: true,
    store: Store::Solo,
    people: People::Meddle,
};

const BOUNDS: Bounds = Bounds {
    workers: 2,
    failovers: 2,
    lag: 1,
    charges: 3,
    states: 8_000_000,
};

pub(super) const PARK: Setup = with(RULES);

/// Without the short cuts that are taken where claims have no end.
pub(super) const NUMBERED: Setup = {
    let mut setup = alone(replicated(PARK, 1, 1));
    setup.rules.fence = Fence::Numbered(3);
    setup.bounds.charges = 1;
    setup
};

/// Commands as they are built, and a seal that is read twice at once.
pub(super) const READ_AT_ONCE: Setup = with(Rules {
    seal: Seal::TwoReads,
    command_check: CommandCheck::Version,
    ..RULES
});

/// On a gateway that works on one call for a purchase at a time, that is enough.
pub(super) const RESEND: Setup = Setup {
    rules: Rules {
        unknown: Unknown::ResendSame,
        ..READ_AT_ONCE.rules
    },
    around: Around {
        serialises: true,
        cancel_is_atomic: true,
        stale: Stale::ForEver,
        ..WEAKEST
    },
    bounds: BOUNDS,
};

pub(super) const fn with(rules: Rules) -> Setup {
    Setup {
        rules,
        around: WEAKEST,
        bounds: BOUNDS,
    }
}

pub(super) const fn with_workers(mut setup: Setup, workers: usize) -> Setup {
    setup.bounds.workers = workers;
    setup.bounds.charges = 2;
    setup
}

/// On such a store a version does not name a write, so a command must. Fewer people, because there
/// is so much more to be searched.
pub(super) const fn replicated(mut setup: Setup, failovers: u8, lag: usize) -> Setup {
    if matches!(setup.rules.seal, Seal::TwoReads) {
        setup.rules.command_check = CommandCheck::Write;
    }
    setup.around.store = Store::Replicated;
    setup.bounds.failovers = failovers;
    setup.bounds.lag = lag;
    setup.bounds.charges = 2;
    commanded(setup)
}

pub(super) const fn punctual(mut setup: Setup) -> Setup {
    setup.around.sleepers = false;
    setup.bounds.charges = 2;
    setup
}

/// Without failovers, which take nothing away here that matters, because there is so much more to
/// be searched.
pub(super) const fn slowly(mut setup: Setup) -> Setup {
    setup.around.slow_looks = true;
    setup.bounds.failovers = 0;
    setup.bounds.charges = 2;
    setup
}

pub(super) const fn hasty(mut setup: Setup) -> Setup {
    setup.around.quiet_is_enough = false;
    setup
}

pub(super) const fn commanded(mut setup: Setup) -> Setup {
    setup.around.people = People::Cancel;
    setup
}

pub(super) const fn alone(mut setup: Setup) -> Setup {
    setup.around.people = People::Nobody;
    setup
}
