//! A payment, for people and for programs. What could let its reader pay or charge is masked
//! unless it is asked for.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::api::v1::shown::{hold, reason};
use crate::config::MASK;
use crate::operate::legal::open_to_a_person;
use crate::operate::timeline::{Moment, RerunWanted, doubt, rerun_wanted_since, timeline};
pub(super) use crate::operate::words::time;
use crate::operate::words::{asked, called, next, plan, why, word};
use crate::payment::{
    Ask, FailReason, Payment, Policy, Private, Progress, Resolution, State, Timestamp,
};
use crate::store::Loaded;

/// A payment as it is shown.
pub(super) struct View<'a> {
    pub(super) loaded: &'a Loaded,
    /// The rules of its account, if the settings here have it.
    pub(super) policy: Option<&'a Policy>,
    pub(super) now: Timestamp,
    pub(super) reveal: bool,
}

impl View<'_> {
    fn payment(&self) -> &Payment {
        &self.loaded.payment
    }

    fn masked(&self, text: &str) -> String {
        if self.reveal {
            text.to_owned()
        } else {
            MASK.to_owned()
        }
    }

    /// The links where the payer pays, by name.
    pub(super) fn links(&self) -> [(&'static str, Option<String>); 2] {
        let links = self.payment().payable_links();
        let shown = |link: Option<&Private<String>>| link.map(|link| self.masked(link.reveal()));
        [
            ("checkout_url", shown(links.checkout)),
            ("direct_post_url", shown(links.direct_post)),
        ]
    }

    /// What is done next, and when.
    fn next(&self) -> (String, Option<Timestamp>) {
        match self.policy {
            Some(policy) => next(self.payment(), policy, self.now),
            None => (
                "unknown: the account is not configured here".to_owned(),
                self.loaded.due,
            ),
        }
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let payment = self.payment();
        let request = payment.request();
        let purchase = payment.purchase();
        let (what, at) = self.next();
        let [(_, checkout_url), (_, direct_post_url)] = self.links();
        json!({
            "payment": payment.id(),
            "account": request.account,
            "idempotency_key": request.idempotency_key,
            "reference": request.reference,
            "type": request.ask.kind(),
            "money": request.money(),
            "state": payment.state().name(),
            "reason": reason(payment.state()),
            "hold": hold(payment.state()),
            "taken": match payment.state() { State::Paid(money) => Some(money), _ => None },
            "token": match payment.state() {
                State::Saved(token) => Some(self.masked(token.as_str())),
                _ => None,
            },
            "card": payment.shown_card(),
            "plan": payment.plan(),
            "decision": payment.decision(),
            "resolution": payment.resolution(),
            "rerun_wanted_since": rerun_wanted_since(payment),
            "created_at": payment.created_at(),
            "next": {"what": what, "at": at},
            "claimed": self.loaded.claimed,
            "purchase": purchase.map(|purchase| self.masked(purchase.id.as_str())),
            "checkout_url": checkout_url,
            "direct_post_url": direct_post_url,
            "history": payment.history(),
            "attempts": payment.attempts(),
            "commands": payment.commands(),
        })
    }

    /// For people.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let payment = self.payment();
        let request = payment.request();
        let mut line = |name: &str, text: &str| writeln!(out, "{name:<10} {text}");
        line("payment", payment.id().as_str())?;
        line("account", request.account.as_str())?;
        line("key", request.idempotency_key.as_str())?;
        if let Some(reference) = &request.reference {
            line("reference", reference.as_str())?;
        }
        line("asked", &asked(&request.ask))?;
        line("state", &self.state())?;
        if let Some(card) = payment.shown_card() {
            line("card", &called(&card))?;
        }
        if matches!(request.ask, Ask::Authorize(_) | Ask::Adopt(_)) {
            line("plan", &plan(payment.plan()))?;
        }
        if let Some(doubt) = doubt(payment, self.policy, self.now) {
            line("in doubt", &doubt)?;
        }
        if let Some(resolution) = payment.resolution() {
            line("resolution", &resolved(resolution, self.now))?;
        }
        if let Some(wanted) = RerunWanted::of(payment) {
            let since = time(wanted.since());
            let why = match wanted {
                RerunWanted::Asked(_) => "",
                RerunWanted::Parked(_) => ", as the call that it was parked for was never made",
            };
            line(
                "wanted",
                &format!("a rerun, since {since}{why}; it goes on once a look shows that it can"),
            )?;
        }
        line("next", &self.next_text())?;
        if let Some(purchase) = payment.purchase() {
            line("purchase", &self.masked(purchase.id.as_str()))?;
        }
        for (name, link) in self.links() {
            if let Some(link) = link {
                line(name.trim_end_matches("_url"), &link)?;
            }
        }
        writeln!(out, "timeline")?;
        timeline(payment)
            .into_iter()
            .try_for_each(|Moment { at, text, .. }| writeln!(out, "  {}  {text}", time(at)))
    }

    /// Why a payment failed or is parked, in a word or two.
    pub(super) fn why(&self) -> Option<String> {
        why(self.payment().state())
    }

    /// The state, and what there is to say about it.
    pub(super) fn state(&self) -> String {
        let state = self.payment().state();
        let name = state.name();
        match state {
            State::New | State::AwaitingPayer | State::Released => name.to_string(),
            State::Held(hold) => format!(
                "{name}: {} since {}, lapses at {}",
                hold.money,
                time(hold.since),
                time(hold.expires_at)
            ),
            State::Paid(money) => format!("{name}: {money} was taken"),
            State::Saved(token) => format!("{name}: token {}", self.masked(token.as_str())),
            State::Failed(FailReason::StatedByHand) => {
                format!("{name}: two people stated that it was never paid")
            }
            State::Failed(reason) => format!("{name}: {}; no money moved", word(reason)),
            State::Parked { reason, from } => {
                format!(
                    "{name}: {}; before that {}",
                    word(reason),
                    State::from(from.clone()).name()
                )
            }
        }
    }

    fn next_text(&self) -> String {
        let (what, at) = self.next();
        let busy = if self.loaded.claimed {
            " (a worker is on it now)"
        } else {
            ""
        };
        let person = match self.payment().state() {
            State::Parked { .. } => format!(
                "; a person decides: {}",
                open_to_a_person(self.payment(), self.now).join(", ")
            ),
            _ => String::new(),
        };
        match at {
            None => format!("{what}{person}"),
            Some(at) if at <= self.now => format!("{what} now{busy}{person}"),
            Some(at) => format!("{what} at {}{busy}{person}", time(at)),
        }
    }
}

/// How people settle it, and how far that is.
fn resolved(resolution: &Resolution, now: Timestamp) -> String {
    let how = match resolution.outcome {
        Some(outcome) => format!("by hand: {}", word(&outcome)),
        None => "as the gateway shows".to_owned(),
    };
    let who = resolution.said.iter().map(|said| said.actor.as_str());
    let who = who.collect::<Vec<_>>().join(" and ");
    let far = match &resolution.progress {
        Progress::Proposed => {
            let said = resolution.said.first();
            let at = said.map_or_else(String::new, |said| format!(" at {}", time(said.at)));
            if resolution.is_too_old(now) {
                format!("proposed{at}: nobody approved it within a day")
            } else {
                format!("proposed{at}: another person is to approve it within a day")
            }
        }
        Progress::Wanted => "a look comes first".to_owned(),
        Progress::Void { shown } if shown == "went_on" => {
            "came to nothing: the payment went on".to_owned()
        }
        Progress::Void { shown } => format!("came to nothing: the gateway showed {shown}"),
        Progress::Done => "done".to_owned(),
    };
    format!("{how}, by {who}; {far}")
}
