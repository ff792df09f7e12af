//! One payment in all books: what is recorded, what the gateway shows, what its statement says.
//! Pure. A difference is only told of what can no longer be on its way.

use chrono::TimeDelta;

use super::finding::{Finding, Kind, Side};
use super::period::Period;
use super::statement::Line;
use crate::gateway::{Entry, Since};
use crate::payment::{
    Ask, Attempt, Hold, Money, Payment, PaymentId, Progress, ResolvedHow, Standing, State,
    StatedEnd, Step, Timestamp,
};

/// How long a payment may lag behind the gateway: a webhook that is late, a look that is not due yet.
pub(super) const SETTLES_WITHIN: TimeDelta = TimeDelta::hours(1);

/// It may show the amount a moment later.
const NO_AMOUNT: &str = "the gateway shows it paid, and not how much";
/// A worker is to find out, and has not for as long as a record may lag.
const IN_DOUBT: &str =
    "a call is in doubt, and money was taken an hour ago or more: is a worker running?";
/// The same, of money that is reserved.
const HELD_IN_DOUBT: &str =
    "a call is in doubt, and funds were reserved an hour ago or more: is a worker running?";
/// The same, where nothing can come of the call any more.
const OVER_IN_DOUBT: &str = "a call is in doubt for an hour or more, and its purchase has ended or is gone: is a worker running?";
/// Nobody captures or releases a hold that no record knows of.
const HELD_UNKNOWN: &str = "funds are reserved, an hour or more ago as far as is known, and the record does not know: is a \
     worker running?";

/// What the gateway shows of a purchase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// This.
    Entry(Box<Entry>),
    /// That there is no such purchase.
    NoSuchPurchase,
}

/// By what is compared.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// The period.
    pub period: Period,
    /// What was taken before then must stand in the statement; `None` without a statement.
    pub stated_until: Option<Timestamp>,
    /// The time.
    pub now: Timestamp,
}

/// What comparing came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compared {
    /// The books agree; what happened to the money later is no difference.
    Agrees(Since),
    /// They differ.
    Differs(Box<Finding>),
    /// It is on its way: nothing can be said yet.
    Open,
    /// It is parked: a person decides, and nothing was taken.
    Parked,
    /// Two people stated how it ended, and the gateway shows nothing against it.
    SettledByHand,
    /// It could not be compared.
    Not(String),
}

/// One payment beside what the other books have of it.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// What is recorded.
    pub payment: &'a Payment,
    /// What the gateway shows.
    pub shown: &'a Shown,
    /// The lines of the statement about its purchase.
    pub lines: &'a [Line],
    /// By what is compared.
    pub rules: &'a Rules,
}

impl Case<'_> {
    /// Compares.
    #[must_use]
    pub fn compare(&self) -> Compared {
        let parked = matches!(self.payment.state(), State::Parked { .. });
        let in_doubt = self.payment.open_attempt().filter(|_| !parked);
        let compared = match (in_doubt, self.shown) {
            (Some(attempt), _) => self.in_doubt(attempt),
            (None, Shown::NoSuchPurchase) => self.beside_nothing(),
            (None, Shown::Entry(entry)) if self.is_anothers(entry) => {
                self.differs(Kind::AnothersPurchase)
            }
            (None, Shown::Entry(entry)) => self.beside(entry),
        };
        match compared {
            Compared::Agrees(since) => self.beside_lines(since),
            Compared::SettledByHand if !self.lines.is_empty() => {
                self.differs(Kind::TakenAgainstRecord)
            }
            // However new, and whatever comes of a call: no record explains two.
            Compared::Parked | Compared::Open | Compared::Not(_) if self.lines.len() > 1 => {
                self.differs(Kind::TwoPaidForOne)
            }
            Compared::Parked | Compared::Open if self.is_stated_long_ago() => {
                self.differs(Kind::TakenAgainstRecord)
            }
            compared => compared,
        }
    }

    /// A call of which nobody knows yet what came of it: no difference, but nor do the books agree once
    /// the gateway has shown for longer than a record may lag what a worker should have learned.
    fn in_doubt(&self, attempt: &Attempt) -> Compared {
        let since = |at: Option<Timestamp>| !self.is_lately(at.unwrap_or(attempt.opened_at));
        let is_of_hold = matches!(attempt.step, Step::Capture { .. } | Step::Release);
        let why = match self.shown {
            Shown::NoSuchPurchase => since(None).then_some(OVER_IN_DOUBT),
            Shown::Entry(entry) => match &entry.seen.standing {
                Standing::Paid => {
                    let is_taken = !entry.seen.by_hand && since(entry.taken_at);
                    is_taken.then_some(IN_DOUBT)
                }
                // What a capture or a release found is as it was: it may not have come there.
                Standing::Held if is_of_hold => None,
                Standing::Held => since(entry.seen.held_since).then_some(HELD_IN_DOUBT),
                Standing::Released | Standing::Cancelled | Standing::Expired => {
                    since(None).then_some(OVER_IN_DOUBT)
                }
                Standing::Other(status) if since(None) => return unknown(status),
                Standing::Payable
                | Standing::Pending
                | Standing::CardSaved
                | Standing::Other(_) => None,
            },
        };
        match why {
            Some(why) => not(why),
            None if self.is_stated_long_ago() => not(IN_DOUBT),
            None => Compared::Open,
        }
    }

    /// Funds are reserved, and the record is as if nobody had paid.
    fn held_unknown(&self, entry: &Entry) -> Compared {
        let since = entry.seen.held_since;
        if since.is_some_and(|since| self.is_lately(since)) {
            return Compared::Open;
        }
        not(HELD_UNKNOWN)
    }

    fn is_lately(&self, at: Timestamp) -> bool {
        self.rules.now - at < SETTLES_WITHIN
    }

    /// How people stated that it ended, if it ended so.
    fn stated_end(&self) -> Option<StatedEnd> {
        let resolution = self.payment.resolution();
        resolution
            .filter(|it| it.how == ResolvedHow::ByHand && it.progress == Progress::Done)?
            .outcome
    }

    /// Whether what is shown is nothing against what people stated. It was so when a worker looked, or
    /// their word would have come to nothing: the gateway has no word for a hold that lapsed.
    fn is_as_stated(&self, entry: &Entry) -> bool {
        let shows_nothing = match &entry.seen.standing {
            Standing::Released | Standing::Other(_) => true,
            Standing::Held | Standing::Cancelled | Standing::Expired => {
                self.stated_end() == Some(StatedEnd::HoldGone)
            }
            Standing::CardSaved => self.stated_end() == Some(StatedEnd::NeverPaid),
            Standing::Payable | Standing::Pending | Standing::Paid => false,
        };
        self.stated_end().is_some() && entry.seen.taken.is_none() && shows_nothing
    }

    /// The gateway shows no such purchase. For whoever has another company's key that is so of all.
    fn beside_nothing(&self) -> Compared {
        match self.payment.state() {
            State::Paid(_) => self.differs(Kind::RecordWithoutPayment),
            State::Held(_) => self.differs(Kind::StandsOtherwise),
            State::New | State::AwaitingPayer => Compared::Open,
            State::Parked { .. } => Compared::Parked,
            State::Released | State::Failed(_) if self.stated_end().is_some() => {
                Compared::SettledByHand
            }
            State::Released | State::Saved(_) | State::Failed(_) => {
                not("the gateway knows no such purchase: is the key another company's?")
            }
        }
    }

    fn is_anothers(&self, entry: &Entry) -> bool {
        let reference = entry.seen.reference.as_str();
        let adopted = matches!(self.payment.request().ask, Ask::Adopt(_));
        let foreign = adopted && !PaymentId::looks_like_one(reference);
        reference != self.payment.id().as_str() && !foreign
    }

    fn beside(&self, entry: &Entry) -> Compared {
        if let Standing::Other(status) = &entry.seen.standing
            && !self.is_as_stated(entry)
        {
            return unknown(status);
        }
        match self.payment.state() {
            State::Paid(money) => self.paid(*money, entry),
            State::Held(hold) => self.held(hold, entry),
            State::New | State::AwaitingPayer => match entry.seen.standing {
                Standing::Paid => self.taken(entry, Compared::Open),
                Standing::Held => self.held_unknown(entry),
                _ => Compared::Open,
            },
            State::Parked { .. } => match entry.seen.standing {
                Standing::Paid => self.taken(entry, Compared::Parked),
                _ => Compared::Parked,
            },
            State::Released => self.nothing_taken(entry, &[Standing::Released]),
            State::Saved(_) => self.nothing_taken(entry, &[Standing::CardSaved]),
            State::Failed(_) => {
                self.nothing_taken(entry, &[Standing::Cancelled, Standing::Expired])
            }
        }
    }

    fn paid(&self, money: Money, entry: &Entry) -> Compared {
        match (&entry.seen.standing, &entry.seen.taken) {
            (Standing::Paid, _) if entry.seen.by_hand => self.differs(Kind::RecordWithoutPayment),
            (Standing::Paid, None) => not(NO_AMOUNT),
            (Standing::Paid, Some(taken)) if taken.currency != money.currency.as_str() => {
                self.differs(Kind::CurrencyDiffers)
            }
            (Standing::Paid, Some(taken)) if taken.amount != money.amount.minor() => {
                self.differs(Kind::AmountDiffers)
            }
            (Standing::Paid, Some(_)) => Compared::Agrees(entry.since),
            (Standing::Pending, _) => not("something is under way at the acquirer"),
            _ => self.differs(Kind::RecordWithoutPayment),
        }
    }

    fn held(&self, hold: &Hold, entry: &Entry) -> Compared {
        match entry.seen.standing {
            Standing::Held if entry.seen.currency != hold.money.currency.as_str() => {
                self.differs(Kind::CurrencyDiffers)
            }
            Standing::Held if entry.seen.total != hold.money.amount.minor() => {
                self.differs(Kind::AmountDiffers)
            }
            Standing::Held => Compared::Agrees(entry.since),
            Standing::Pending => Compared::Open,
            Standing::Paid => self.taken(entry, Compared::Open),
            _ => self.differs(Kind::StandsOtherwise),
        }
    }

    /// A finished payment for which nothing may have been taken, or be reserved.
    fn nothing_taken(&self, entry: &Entry, expected: &[Standing]) -> Compared {
        match &entry.seen.standing {
            Standing::Paid if !entry.seen.by_hand => self.differs(Kind::TakenAgainstRecord),
            standing if expected.contains(standing) => Compared::Agrees(entry.since),
            _ if self.is_as_stated(entry) => Compared::SettledByHand,
            Standing::Held => self.differs(Kind::HeldAgainstRecord),
            Standing::Pending => not("something is under way at the acquirer"),
            _ => self.differs(Kind::StandsOtherwise),
        }
    }

    /// Money was taken that an unfinished record does not know of: `so_far` while it may be learning.
    fn taken(&self, entry: &Entry, so_far: Compared) -> Compared {
        if entry.seen.by_hand {
            return self.differs(Kind::StandsOtherwise);
        }
        if entry.seen.taken.is_none() {
            return not(NO_AMOUNT);
        }
        if entry.taken_at.is_some_and(|at| self.is_lately(at)) {
            return so_far;
        }
        self.differs(Kind::TakenAgainstRecord)
    }

    /// When it was taken, as far as is known.
    #[must_use]
    pub fn taken_at(&self) -> Option<Timestamp> {
        let shown = match self.shown {
            Shown::Entry(entry) => entry.taken_at,
            Shown::NoSuchPurchase => None,
        };
        shown.or_else(|| self.payment.finished_at())
    }

    fn beside_lines(&self, since: Since) -> Compared {
        let State::Paid(money) = self.payment.state() else {
            return match self.lines {
                [] => Compared::Agrees(since),
                _ if self.payment.is_finished() || self.is_stated_long_ago() => {
                    self.differs(Kind::TakenAgainstRecord)
                }
                _ => Compared::Open,
            };
        };
        match self.lines {
            [] => {
                let stated = |at: Timestamp| {
                    self.rules.period.has(at)
                        && self.rules.stated_until.is_some_and(|until| at < until)
                };
                if self.taken_at().is_some_and(stated) {
                    self.differs(Kind::NotInStatement)
                } else {
                    Compared::Agrees(since)
                }
            }
            [line] if line.currency != money.currency => self.differs(Kind::CurrencyDiffers),
            [line] if line.amount != money.amount.minor() => self.differs(Kind::AmountDiffers),
            [_] => Compared::Agrees(since),
            _ => self.differs(Kind::TwoPaidForOne),
        }
    }

    fn is_stated_long_ago(&self) -> bool {
        self.lines.iter().any(|line| !self.is_lately(line.paid_at))
    }

    fn differs(&self, kind: Kind) -> Compared {
        let purchase = self.payment.purchase();
        Compared::Differs(Box::new(Finding {
            kind,
            payment: Some(self.payment.id().clone()),
            purchase: purchase.map(|known| known.id.clone()),
            reference: None,
            recorded: Some(recorded(self.payment)),
            gateway: Some(match self.shown {
                Shown::NoSuchPurchase => Side::of("no_such_purchase", None),
                Shown::Entry(entry) => shown(entry),
            }),
            statement: (self.rules.stated_until.is_some()).then(|| stated(self.lines)),
        }))
    }
}

fn not(why: &str) -> Compared {
    Compared::Not(why.to_owned())
}

fn unknown(status: &str) -> Compared {
    let why = format!("the gateway shows a status that is not known: {status}");
    Compared::Not(why)
}

/// What is recorded of a payment.
pub(super) fn recorded(payment: &Payment) -> Side {
    let money = match payment.state() {
        State::Paid(money) => Some(*money),
        State::Held(hold) => Some(hold.money),
        _ => None,
    };
    Side::of(payment.state().name().as_str(), money)
}

fn shown(entry: &Entry) -> Side {
    let seen = &entry.seen;
    let word = if seen.by_hand {
        "marked_as_paid"
    } else {
        seen.standing.as_str()
    };
    let money = match (&seen.standing, &seen.taken) {
        (Standing::Paid, taken) => taken.as_ref().map(|it| (it.amount, it.currency.clone())),
        (Standing::Held, _) => Some((seen.total, seen.currency.clone())),
        _ => None,
    };
    Side {
        word: word.to_owned(),
        money,
    }
}

/// What the statement says of a purchase; of several lines all money together.
pub(super) fn stated(lines: &[Line]) -> Side {
    let Some(first) = lines.first() else {
        return Side::of("not_there", None);
    };
    let sum = lines.iter().map(|line| line.amount).sum();
    let word = if lines.len() > 1 {
        "paid_twice"
    } else {
        "paid"
    };
    Side {
        word: word.to_owned(),
        money: Some((sum, first.currency.as_str().to_owned())),
    }
}
