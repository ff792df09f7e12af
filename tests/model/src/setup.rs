//! The switches: what the protocol does, what may be done to it, and how far a search goes.

/// What becomes of a charge that shows no trace when the quiet period is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// A person is asked.
    Park,
    /// The same purchase is charged again.
    ResendSame,
    /// Another purchase is made and charged. Never right.
    NewPurchase,
}

/// What `Failed` needs before it is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seal {
    /// Nothing but the wish. Never right.
    Nothing,
    /// The purchase is cancelled, and read so twice, one read right after the other.
    TwoReads,
    /// The same, and if a call that takes money was never explained, the second read comes a
    /// quiet period after the first.
    TwoReadsApart,
}

/// What marks a claim, so that a write of an older one is told from a write of the holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fence {
    /// A fresh random number.
    Nonce,
    /// A number that no other claim ever bears, whatever fails over; so many claims at most. What
    /// `Nonce` stands for, without the short cuts that are taken where claims have no end.
    Numbered(u8),
    /// A number that goes up by one with every claim. A failover issues it again.
    Counter,
}

/// What a command's write is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommandCheck {
    /// The number of the version it was decided on. A failover issues it again.
    Version,
    /// The very write it was decided on.
    Write,
}

/// When a look-up counts as made, where it takes long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dated {
    /// When it was asked for.
    Question,
    /// When its answer was there.
    Answer,
    /// When it was asked for; what took too long is thrown away.
    QuestionInTime,
}

/// What the protocol does.
#[derive(Debug, Clone, Copy)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "one switch for each rule, so that a row can break one"
)]
pub(crate) struct Rules {
    /// What a charge without a trace leads to.
    pub(crate) unknown: Unknown,
    /// What a failure needs.
    pub(crate) seal: Seal,
    /// What marks a claim.
    pub(crate) fence: Fence,
    /// What a command is compared with.
    pub(crate) command_check: CommandCheck,
    /// When a look-up counts as made.
    pub(crate) dated: Dated,
    /// Whether an open attempt is looked up, and not simply made again.
    pub(crate) look_first: bool,
    /// Whether the purchase's id is recorded, with the open attempt, before it is charged.
    pub(crate) id_first: bool,
    /// Whether a note says under which claim it was written, so that a testimony about it is not
    /// taken for one about another of its number.
    pub(crate) signed_notes: bool,
    /// Whether a permit waits until the note it rests on is durable.
    pub(crate) gate: bool,
    /// Whether a save compares the version and the mark of the claim.
    pub(crate) compare_and_swap: bool,
    /// Whether the outside hears of an end only once it is durable.
    pub(crate) report_when_durable: bool,
}

/// How old a look-up may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stale {
    /// Less than the quiet period.
    WithinQuiet,
    /// As old as the purchase.
    ForEver,
}

/// What a failover of the store can take away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    /// Only what nobody was told of: replies wait for the disk.
    Solo,
    /// What others may have read already: replies do not wait for the copies.
    Replicated,
}

/// What people do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum People {
    /// Nothing.
    Nobody,
    /// They command a cancel, at any time.
    Cancel,
    /// They also command reruns, and cancel purchases at the gateway behind our back.
    Meddle,
}

/// What may happen around the protocol.
#[derive(Debug, Clone, Copy)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "one switch for each assumption"
)]
pub(crate) struct Around {
    /// Whether the gateway works on one charge of a purchase at a time.
    pub(crate) serialises: bool,
    /// Whether the gateway refuses to cancel a purchase while a charge of it is at the acquirer.
    pub(crate) cancel_is_atomic: bool,
    /// How old look-ups may be.
    pub(crate) stale: Stale,
    /// Whether a worker may sleep while it looks, so that its question and its answer are as far
    /// apart as it likes.
    pub(crate) slow_looks: bool,
    /// Whether the quiet period is longer than any request is on its way and at work.
    pub(crate) quiet_is_enough: bool,
    /// Whether a worker may sleep for longer than the quiet period between its last look at the
    /// clock and its call.
    pub(crate) sleepers: bool,
    /// What kind of store it is.
    pub(crate) store: Store,
    /// What people do.
    pub(crate) people: People,
}

/// How far the search goes. All else is without bound: crashes, time-outs, claims, stale look-ups,
/// lost requests, commands, looks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// How many workers there are, 1 to 3.
    pub(crate) workers: usize,
    /// How many failovers of the store there are.
    pub(crate) failovers: u8,
    /// How many writes the durable part of the store lags behind at most.
    pub(crate) lag: usize,
    /// How many attempts at a charge one payment has at most.
    pub(crate) charges: u8,
    /// The search gives up beyond so many states.
    pub(crate) states: usize,
}

/// One variant to be searched.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup {
    /// What the protocol does.
    pub(crate) rules: Rules,
    /// What may happen to it.
    pub(crate) around: Around,
    /// How far the search goes.
    pub(crate) bounds: Bounds,
}

impl Setup {
    /// Whether something can come between reading the record and writing a command to it without
    /// the write being refused. Otherwise the two are one action.
    pub(crate) const fn commands_can_be_fooled(&self) -> bool {
        let version_only = matches!(self.rules.command_check, CommandCheck::Version);
        version_only && matches!(self.around.store, Store::Replicated)
    }

    /// Whether a claim that no copy of the record bears any more can never write again.
    pub(crate) const fn lost_claims_stay_lost(&self) -> bool {
        self.rules.compare_and_swap && matches!(self.rules.fence, Fence::Nonce)
    }
}
