//! What one round of an experiment shows. Pure: from what was answered and seen to a manner, or to
//! why it says nothing. In doubt it says nothing: a wrong certainty here would become a setting.

use serde::{Deserialize, Serialize};

use crate::gateway::Heard;
use crate::payment::{Answer, Sighting, Standing, TryKind};

/// A manner in which the gateway behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Manner {
    /// Of two charges at the same time one is taken, the other refused.
    OneTaken,
    /// Both are.
    BothTaken,
    /// Both are accepted, and one is shown: the two cannot be told apart.
    BothAccepted,
    /// A cancel is refused while a charge is under way.
    CancelRefused,
    /// It is accepted, and the charge is taken all the same.
    CancelledAndCharged,
    /// It is accepted, and stops the charge.
    CancelledAndNotCharged,
    /// After its strict due time a purchase cannot be charged.
    RefusedAfterDue,
    /// It can.
    ChargedAfterDue,
    /// A repeat with its `Idempotency-Key` is answered as the call was.
    KeyHonoured,
    /// It is a call of its own.
    KeyIgnored,
    /// A purchase that is paid is charged once more.
    TakenAgain,
    /// A charge of a purchase with `skip_capture` reserves.
    ChargeHolds,
    /// It takes.
    ChargeTakes,
    /// It is refused.
    ChargeRefused,
    /// A purchase whose payment failed can be charged.
    ChargedAfterError,
    /// It cannot.
    RefusedAfterError,
    /// A look shows at once what was answered.
    Fresh,
    /// It shows what was true before.
    Stale,
}

impl Manner {
    /// Whether it promises that of two calls at the same time one is turned away. That it went well once
    /// or twice may be chance; once that it did not is enough.
    pub(super) const fn is_promise(self) -> bool {
        matches!(
            self,
            Self::OneTaken | Self::CancelRefused | Self::CancelledAndNotCharged
        )
    }
}

/// What one round came to, and what was heard in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Round {
    Showed(Manner, String),
    SaidNothing(String),
}

impl Round {
    fn nothing(why: &str, heard: &str) -> Self {
        Self::SaidNothing(format!("{why}: {heard}"))
    }
}

/// One answer, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) kind: Kind,
    /// How many successful payments it lists.
    pub(super) taken: usize,
    pub(super) words: String,
    pub(super) began_ms: u64,
    pub(super) ended_ms: u64,
}

/// What sort of answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// The purchase, in this state.
    Shown(Standing),
    /// The purchase is not in the state for it.
    Conflict,
    /// Refused for another reason.
    Refused,
    /// The acquirer declined.
    Declined,
    /// It says nothing.
    Unclear,
}

impl Reply {
    pub(super) fn of(heard: &Heard) -> Self {
        let (kind, word) = match &heard.answer {
            Answer::Shown(seen) => (Kind::Shown(seen.standing.clone()), seen.standing.as_str()),
            Answer::Conflict { code } => (Kind::Conflict, code.as_str()),
            Answer::NoEffect { code, .. } => (Kind::Refused, code.as_str()),
            Answer::Declined { code } => (Kind::Declined, code.as_str()),
            Answer::RateLimited { .. } => (Kind::Unclear, "rate_limited"),
            Answer::NotSent { why } | Answer::Unknown { why } => (Kind::Unclear, why.as_str()),
        };
        let taken = match &heard.answer {
            Answer::Shown(seen) => taken(seen),
            _ => 0,
        };
        let status = heard.http_status.map_or(String::new(), |s| format!("{s} "));
        let took = heard.ended_ms.saturating_sub(heard.began_ms);
        Self {
            words: format!("{status}{word} after {took} ms"),
            kind,
            taken,
            began_ms: heard.began_ms,
            ended_ms: heard.ended_ms,
        }
    }

    /// Whether the gateway took it on.
    fn is_accepted(&self) -> bool {
        matches!(
            self.kind,
            Kind::Shown(Standing::Paid | Standing::Held | Standing::Pending)
        )
    }

    pub(super) const fn took_ms(&self) -> u64 {
        self.ended_ms.saturating_sub(self.began_ms)
    }

    /// Whether it was there well before the other one: by more than an answer is late by chance.
    const fn is_before(&self, other: &Self, create_ms: u64) -> bool {
        self.ended_ms + create_ms / 2 + 10 <= other.ended_ms
    }
}

/// How many payments of a purchase went through.
pub(super) fn taken(seen: &Sighting) -> usize {
    let went_through = |t: &&crate::payment::Try| t.kind == TryKind::Pay && t.successful;
    seen.tries.iter().filter(went_through).count()
}

/// What was true of a purchase when nothing was under way any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    /// None while something was still under way, or old answers kept coming.
    pub(super) standing: Option<Standing>,
    pub(super) taken: usize,
}

impl End {
    fn words(&self) -> String {
        let standing = self.standing.as_ref().map_or("unsettled", Standing::as_str);
        format!("then {standing} with {} taken", self.taken)
    }
}

/// Two charges of one purchase at the same time. `create_ms` is how long a call takes here in which
/// no acquirer has a part: charges that take no longer may have come one after the other.
pub(super) fn concurrent(two: &[Reply; 2], end: &End, create_ms: u64) -> Round {
    let heard = format!("{}; {}; {}", two[0].words, two[1].words, end.words());
    let effects = two
        .iter()
        .map(|reply| reply.taken)
        .fold(end.taken, usize::max);
    if effects >= 2 {
        return Round::Showed(Manner::BothTaken, heard);
    }
    if end.standing.is_none() || two.iter().any(|reply| reply.kind == Kind::Unclear) {
        return Round::nothing("an answer is missing", &heard);
    }
    let (won, lost) = match (two[0].is_accepted(), two[1].is_accepted()) {
        (true, true) => return Round::Showed(Manner::BothAccepted, heard),
        (true, false) => (&two[0], &two[1]),
        (false, true) => (&two[1], &two[0]),
        (false, false) => return Round::nothing("neither was taken", &heard),
    };
    let met = won.took_ms() >= 2 * create_ms || lost.is_before(won, create_ms);
    match (lost.kind == Kind::Conflict, met) {
        (true, true) => Round::Showed(Manner::OneTaken, heard),
        (true, false) => Round::nothing("too quick for the two to have met", &heard),
        (false, _) => Round::nothing("the other was not refused for the first", &heard),
    }
}

/// Whether the purchase was seen pending before the cancel was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flight {
    Seen,
    Assumed,
}

/// A cancel while a charge is under way; none if the charge was answered before it could be sent.
pub(super) fn cancel(
    charge: &Reply,
    cancel: Option<(&Reply, Flight)>,
    end: &End,
    create_ms: u64,
) -> Round {
    let Some((cancel, flight)) = cancel else {
        return Round::nothing("the charge was answered first", &charge.words);
    };
    let words = (&charge.words, &cancel.words, end.words());
    let heard = format!("charge {}; cancel {}; {}", words.0, words.1, words.2);
    if end.standing.is_none() {
        return Round::nothing("an answer is missing", &heard);
    }
    let was_charged = charge.is_accepted() || end.taken > 0;
    match (&cancel.kind, flight) {
        (Kind::Shown(Standing::Cancelled), _) if was_charged => {
            Round::Showed(Manner::CancelledAndCharged, heard)
        }
        (Kind::Shown(Standing::Cancelled), Flight::Seen) => {
            Round::Showed(Manner::CancelledAndNotCharged, heard)
        }
        (Kind::Shown(Standing::Cancelled), Flight::Assumed) => {
            Round::nothing("the cancel may have been there before the charge", &heard)
        }
        (Kind::Conflict, _) if cancel.is_before(charge, create_ms) => {
            Round::Showed(Manner::CancelRefused, heard)
        }
        (Kind::Conflict, _) => Round::nothing("the charge had ended by then", &heard),
        _ => Round::nothing("the cancel was not answered clearly", &heard),
    }
}

/// A charge that is accepted, or refused for the state of its purchase.
pub(super) fn either(charge: &Reply, end: &End, accepted: Manner, refused: Manner) -> Round {
    let heard = format!("{}; {}", charge.words, end.words());
    match charge.kind {
        _ if end.taken > 0 || charge.is_accepted() => Round::Showed(accepted, heard),
        Kind::Conflict => Round::Showed(refused, heard),
        _ => Round::nothing("refused for another reason", &heard),
    }
}

/// The same charge twice, with the same key.
pub(super) fn repeated(first: &Reply, second: &Reply, end: &End) -> Round {
    let heard = format!("{}; again {}; {}", first.words, second.words, end.words());
    if end.taken.max(second.taken) >= 2 {
        return Round::Showed(Manner::TakenAgain, heard);
    }
    if first.kind != Kind::Shown(Standing::Paid) {
        return Round::nothing("the first was not paid at once", &heard);
    }
    match second.kind {
        Kind::Shown(Standing::Paid) => Round::Showed(Manner::KeyHonoured, heard),
        Kind::Conflict => Round::Showed(Manner::KeyIgnored, heard),
        _ => Round::nothing("the repeat was not answered clearly", &heard),
    }
}

/// A charge of a purchase with `skip_capture`.
pub(super) fn reserving(charge: &Reply, end: &End) -> Round {
    let heard = format!("{}; {}", charge.words, end.words());
    match (&end.standing, &charge.kind) {
        (Some(Standing::Held), _) => Round::Showed(Manner::ChargeHolds, heard),
        (Some(Standing::Paid), _) => Round::Showed(Manner::ChargeTakes, heard),
        (Some(Standing::Payable), Kind::Conflict) => Round::Showed(Manner::ChargeRefused, heard),
        (Some(Standing::Payable), Kind::Refused)
            if !charge.words.contains("invalid_recurring_token") =>
        {
            Round::Showed(Manner::ChargeRefused, heard)
        }
        _ => Round::nothing("it did not come to an end", &heard),
    }
}

/// How far a purchase has come: a look that shows less than an answer before it is old.
pub(super) fn progress(standing: &Standing) -> u8 {
    match standing {
        Standing::Payable | Standing::Other(_) => 0,
        Standing::Pending => 1,
        Standing::Held
        | Standing::Paid
        | Standing::Released
        | Standing::CardSaved
        | Standing::Cancelled
        | Standing::Expired => 2,
    }
}

/// What a look showed of a purchase that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Looked {
    Shows(Standing),
    /// As if it were not there: from before it was made.
    Absent,
    Unread,
}

impl Looked {
    pub(super) fn of(heard: &Heard) -> Self {
        match &heard.answer {
            Answer::Shown(seen) => Self::Shows(seen.standing.clone()),
            Answer::NoEffect { code, .. } if code == "not_found" => Self::Absent,
            _ => Self::Unread,
        }
    }

    /// Whether it is from before `answered`.
    fn is_older_than(&self, answered: &Standing) -> bool {
        match self {
            Self::Shows(standing) => progress(standing) < progress(answered),
            Self::Absent => true,
            Self::Unread => false,
        }
    }
}

/// Looks after a charge was answered: what each showed, and how long after the answer it began.
pub(super) fn staleness(charge: &Reply, looks: &[(u64, Looked)]) -> Round {
    let Kind::Shown(answered) = &charge.kind else {
        return Round::nothing("the charge was not taken", &charge.words);
    };
    let read = looks.iter().filter(|look| look.1 != Looked::Unread).count();
    let old = looks.iter().filter(|look| look.1.is_older_than(answered));
    match (read, old.map(|look| look.0).max()) {
        (0, _) => Round::nothing("no look was answered", &charge.words),
        (_, None) => {
            let told = format!("{}; {read} looks showed it", charge.words);
            Round::Showed(Manner::Fresh, told)
        }
        (_, Some(ms)) => {
            let told = format!("{}; {ms} ms later a look did not show it", charge.words);
            Round::Showed(Manner::Stale, told)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(kind: Kind, took: (u64, u64)) -> Reply {
        let paid = kind == Kind::Shown(Standing::Paid);
        Reply {
            kind,
            taken: usize::from(paid),
            words: String::new(),
            began_ms: took.0,
            ended_ms: took.1,
        }
    }

    fn paid(took: (u64, u64)) -> Reply {
        reply(Kind::Shown(Standing::Paid), took)
    }

    fn end(standing: Standing, taken: usize) -> End {
        End {
            standing: Some(standing),
            taken,
        }
    }

    fn manner(round: &Round) -> Option<Manner> {
        match round {
            Round::Showed(manner, _) => Some(*manner),
            Round::SaidNothing(_) => None,
        }
    }

    fn met(won: (u64, u64), lost: (u64, u64)) -> Option<Manner> {
        let two = [paid(won), reply(Kind::Conflict, lost)];
        let turned = [two[1].clone(), two[0].clone()];
        let end = end(Standing::Paid, 1);
        let seen = manner(&concurrent(&two, &end, 100));
        assert_eq!(seen, manner(&concurrent(&turned, &end, 100)));
        seen
    }

    #[test]
    fn charges_that_were_too_quick_to_have_met_say_nothing() {
        assert_eq!(met((0, 150), (0, 140)), None);
        assert_eq!(met((0, 150), (0, 160)), None);
        // Turned away while the other was under way, or made to wait for it.
        assert_eq!(met((0, 150), (0, 90)), Some(Manner::OneTaken));
        assert_eq!(met((0, 200), (0, 210)), Some(Manner::OneTaken));
    }

    #[test]
    fn two_payments_that_are_listed_count_whatever_was_answered() {
        let lost = reply(Kind::Unclear, (0, 900));
        let two = [paid((0, 900)), lost];
        let seen = concurrent(&two, &end(Standing::Paid, 2), 100);
        assert_eq!(manner(&seen), Some(Manner::BothTaken));
        let seen = concurrent(&two, &end(Standing::Paid, 1), 100);
        assert_eq!(manner(&seen), None, "one call may still be on its way");
    }

    #[test]
    fn two_charges_that_were_accepted_with_one_shown_are_not_called_one() {
        let two = [paid((0, 900)), paid((0, 900))];
        let seen = concurrent(&two, &end(Standing::Paid, 1), 100);
        assert_eq!(manner(&seen), Some(Manner::BothAccepted));
    }

    #[test]
    fn what_was_refused_for_another_reason_is_no_serialisation() {
        for kind in [Kind::Refused, Kind::Declined] {
            let two = [paid((0, 900)), reply(kind, (0, 50))];
            assert_eq!(
                manner(&concurrent(&two, &end(Standing::Paid, 1), 100)),
                None
            );
        }
    }

    #[test]
    fn a_cancel_says_something_only_if_the_charge_was_under_way() {
        use Flight::{Assumed, Seen};
        use Standing::{Cancelled, Paid};
        let refused = reply(Kind::Conflict, (400, 500));
        let cancelled = reply(Kind::Shown(Standing::Cancelled), (400, 500));
        let lost = reply(Kind::Conflict, (0, 900));
        let judged = |charge: &Reply, with: &Reply, flight, standing, taken| {
            let end = end(standing, taken);
            manner(&cancel(charge, Some((with, flight)), &end, 100))
        };
        let late = paid((0, 900));
        let cases = [
            (
                judged(&late, &refused, Assumed, Paid, 1),
                Some(Manner::CancelRefused),
            ),
            (judged(&paid((0, 520)), &refused, Seen, Paid, 1), None),
            (
                judged(&late, &cancelled, Assumed, Paid, 1),
                Some(Manner::CancelledAndCharged),
            ),
            (
                judged(&lost, &cancelled, Seen, Cancelled, 1),
                Some(Manner::CancelledAndCharged),
            ),
            (
                judged(&lost, &cancelled, Seen, Cancelled, 0),
                Some(Manner::CancelledAndNotCharged),
            ),
            (judged(&lost, &cancelled, Assumed, Cancelled, 0), None),
        ];
        for (number, (seen, expected)) in cases.into_iter().enumerate() {
            assert_eq!(seen, expected, "{number}");
        }
        let none = cancel(&late, None, &end(Paid, 1), 100);
        assert_eq!(manner(&none), None);
    }

    #[test]
    fn a_paid_purchase_that_is_taken_again_is_told_whatever_the_key() {
        let both = end(Standing::Paid, 2);
        let seen = repeated(&paid((0, 9)), &paid((9, 18)), &both);
        assert_eq!(manner(&seen), Some(Manner::TakenAgain));
    }

    #[test]
    fn a_dead_token_is_not_taken_for_a_refusal_of_the_purchase() {
        let dead = Reply {
            words: "400 invalid_recurring_token".to_owned(),
            ..reply(Kind::Refused, (0, 9))
        };
        let end = end(Standing::Payable, 0);
        assert_eq!(manner(&reserving(&dead, &end)), None);
        let after_due = either(
            &dead,
            &end,
            Manner::ChargedAfterDue,
            Manner::RefusedAfterDue,
        );
        assert_eq!(manner(&after_due), None);
    }

    #[test]
    fn a_look_is_old_if_it_shows_less_than_was_answered() {
        use Standing::{Paid, Payable, Pending};
        let charge = paid((0, 900));
        let looks = |shown: &[Standing]| -> Vec<_> {
            let shown = shown.iter().cloned().map(Looked::Shows);
            [5, 250, 500].into_iter().zip(shown).collect()
        };
        let fresh = staleness(&charge, &looks(&[Paid, Paid]));
        assert_eq!(manner(&fresh), Some(Manner::Fresh));
        for old in [Payable, Pending] {
            let stale = staleness(&charge, &looks(&[old.clone(), old, Paid]));
            let Round::Showed(Manner::Stale, told) = &stale else {
                panic!("{stale:?}");
            };
            assert!(told.contains("250 ms later"), "{told}");
        }
        let pending = reply(Kind::Shown(Pending), (0, 900));
        let pending = staleness(&pending, &looks(&[Pending, Paid]));
        assert_eq!(manner(&pending), Some(Manner::Fresh));
        let one = |look| manner(&staleness(&charge, &[(5, look)]));
        assert_eq!(one(Looked::Unread), None);
        assert_eq!(
            one(Looked::Absent),
            Some(Manner::Stale),
            "it was made before"
        );
    }
}
