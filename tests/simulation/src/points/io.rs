//! The calls there are, and the manners in which each can be struck.

use std::fmt;

use super::fault::Role;

macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word for it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// The one of that word.
            #[must_use]
            pub fn named(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == word)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(super) use words;

words! {
    /// A call on the store or the gateway, by the name under which the simulation makes it.
    Io {
        /// `Store::create`.
        Record = "store.create",
        /// `Store::load`.
        Load = "store.load",
        /// `Store::claim`.
        Claim = "store.claim",
        /// `Store::renew`.
        Renew = "store.renew",
        /// `Store::save`.
        Save = "store.save",
        /// `Store::license`.
        License = "store.license",
        /// `Store::command`.
        Command = "store.command",
        /// `Store::give_back`.
        GiveBack = "store.give_back",
        /// `Store::nudge`.
        Nudge = "store.nudge",
        /// `Store::list`.
        List = "store.list",
        /// `Store::stats`.
        Stats = "store.stats",
        /// `Gateway::create`.
        Create = "create",
        /// `Gateway::send` of a charge.
        Charge = "charge",
        /// `Gateway::send` of a capture.
        Capture = "capture",
        /// `Gateway::send` of a release.
        Release = "release",
        /// `Gateway::send` of a cancel.
        Cancel = "cancel",
        /// `Gateway::look_up`.
        LookUp = "look_up",
    }
}

words! {
    /// What happens to an I/O.
    Manner {
        /// The process dies just before the call takes effect.
        CrashBefore = "crash-before",
        /// The process dies just after it took effect, and never hears the answer.
        CrashAfter = "crash-after",
        /// The call takes effect, and the process, which lives on, never hears the answer.
        ReplyLost = "reply-lost",
        /// The call never arrives, and the process lives on and does not know.
        NotArrived = "not-arrived",
        /// The payment is delivered to another worker just before the call takes effect, and that
        /// one has looked at it and may have acted when it does.
        TakenBefore = "taken-before",
        /// The payment is delivered to another worker just after the call took effect, and that one
        /// has looked at it and may have acted when this one hears the answer.
        TakenAfter = "taken-after",
    }
}

impl Io {
    /// Whether it takes or reserves money, so that it is asked about before it is made again.
    pub(super) const fn takes_money(self) -> bool {
        matches!(self, Self::Charge | Self::Capture)
    }
}

impl Manner {
    /// Whether it can happen to a process of that kind at all: only a worker has a payment in hand
    /// that another worker can be given as well.
    #[must_use]
    pub const fn fits(self, role: Role) -> bool {
        match self {
            Self::CrashBefore | Self::CrashAfter | Self::ReplyLost | Self::NotArrived => true,
            Self::TakenBefore | Self::TakenAfter => matches!(role, Role::Worker),
        }
    }

    /// Whether the payment is given to another worker as well.
    #[must_use]
    pub const fn is_second_delivery(self) -> bool {
        matches!(self, Self::TakenBefore | Self::TakenAfter)
    }
}
