//! What producers and operators do, over any store.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::{Value, json};

use super::args::Verb;
use super::commands::typed_by;
use super::failure::Failure;
use super::request::{self, Around};
use super::view::{View, time};
use crate::api::intake::{self, Submitted};
use crate::clock::Clock;
use crate::payment::{KEYED, PaymentId, Request, State, StateName};
use crate::store::audit::Mandate;
use crate::store::{Cards, Cursor, Loaded, Plans, Store, Unread};
use crate::worker::Policies;

/// How often a payment is looked at while its outcome is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Where producers and operators are served.
pub struct Desk<'a, S> {
    /// Where payments are kept.
    pub store: &'a S,
    /// What time it is.
    pub clock: &'a Clock,
    /// The rules of the configured accounts.
    pub policies: &'a Policies,
    /// Whether results are JSON.
    pub as_json: bool,
}

impl<S: Store + Cards + Plans> Desk<'_, S> {
    /// Does what `verb` says, if it is about payments.
    pub async fn serve(
        &self,
        verb: Verb,
        around: &mut Around<'_>,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        match verb {
            Verb::Enqueue(args) => {
                let request = request::request(&args, around)?;
                self.enqueue(request, request::waiting(&args), out).await
            }
            Verb::Capture { on, reason, amount } => {
                let amount = request::amount_if_given("--amount", amount)?;
                let command = json!({"command": "capture", "amount": amount});
                let by = typed_by(&on, around.env, reason.as_deref());
                self.command(&on, &command, &by, out).await
            }
            Verb::Release { on, reason } => {
                let by = typed_by(&on, around.env, reason.as_deref());
                self.command(&on, &json!({"command": "release"}), &by, out)
                    .await
            }
            Verb::Reschedule {
                on,
                reason,
                capture_at,
                capture_amount,
                release_at,
            } => {
                let amount = request::amount_if_given("--capture-amount", capture_amount)?;
                let command = json!({
                    "command": "reschedule", "capture_at": capture_at, "capture_amount": amount,
                    "release_at": release_at,
                });
                let by = typed_by(&on, around.env, reason.as_deref());
                self.command(&on, &command, &by, out).await
            }
            Verb::Cancel { on, reason } => {
                let by = typed_by(&on, around.env, reason.as_deref());
                self.command(&on, &json!({"command": "cancel"}), &by, out)
                    .await
            }
            Verb::Rerun { on, reason } => {
                let actor = on.actor.clone().map_or_else(|| user(around.env), Ok)?;
                let command = json!({"command": "rerun", "reason": reason, "actor": actor});
                let by = Mandate::typed_by(&actor).because(Some(&reason));
                self.command(&on, &command, &by, out).await
            }
            Verb::Show { id, reveal } => {
                let loaded = intake::load(self.store, &payment_id(&id)?).await?;
                self.show(&loaded, reveal, out)
            }
            Verb::List {
                state,
                limit,
                after,
            } => self.list(state, (limit, after), around.warnings, out).await,
            Verb::Stats => self.stats(out).await,
            Verb::Resolve(verb) => self.resolve(&verb, around, out).await,
            Verb::Plans(verb) => self.plans(verb, around, out).await,
            Verb::Card(verb) => self.card(&verb, around, out).await,
            // What needs no desk is done before; see `run`.
            _ => Err(Failure::Other("this is not done at the desk".to_owned())),
        }
    }

    async fn enqueue(
        &self,
        request: Request,
        wait: Option<Duration>,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let submitted = intake::submit(self.store, self.clock, self.policies, request).await?;
        let id = submitted.payment().id().clone();
        let loaded = match wait {
            Some(wait) => self.wait(&id, wait).await?,
            None => intake::load(self.store, &id).await?,
        };
        let new = matches!(submitted, Submitted::New(_));
        self.tell_enqueued(&loaded, new, out)?;
        if wait.is_none() {
            return Ok(());
        }
        let told = format!("{id} is {}", self.view(&loaded, false).state());
        match loaded.payment.state() {
            State::Failed(_) => Err(Failure::EndedFailed(told)),
            State::Parked { .. } => Err(Failure::EndedParked(format!(
                "{told}; a person must look: `holdfast show {id}`"
            ))),
            state if !rests(state) && !self.as_json => Ok(writeln!(
                out,
                "not settled yet; `holdfast show {id}` tells more"
            )?),
            _ => Ok(()),
        }
    }

    /// The links are what a producer asks for; the token of a saved card is only shown by
    /// `show --reveal`.
    fn tell_enqueued(&self, loaded: &Loaded, new: bool, out: &mut dyn Write) -> io::Result<()> {
        let links = self.view(loaded, true).links();
        let view = self.view(loaded, false);
        if self.as_json {
            let mut told = view.json();
            for (name, link) in links {
                told[name] = json!(link);
            }
            told["new"] = json!(new);
            return writeln!(out, "{told}");
        }
        let (id, state) = (loaded.payment.id(), loaded.payment.state().name());
        let why = view.why().map_or(String::new(), |why| format!(": {why}"));
        let before = if new { "" } else { " (recorded before)" };
        writeln!(out, "{id} {state}{why}{before}")?;
        for (name, link) in links {
            if let Some(url) = link {
                writeln!(out, "{name} {url}")?;
            }
        }
        Ok(())
    }

    /// The payment once it rests where a producer can go on, or as it is after `wait`.
    async fn wait(&self, id: &PaymentId, wait: Duration) -> Result<Loaded, Failure> {
        let resting = async {
            loop {
                let loaded = intake::load(self.store, id).await?;
                if rests(loaded.payment.state()) {
                    return Ok(loaded);
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        match tokio::time::timeout(wait, resting).await {
            Ok(rested) => rested,
            Err(_) => Ok(intake::load(self.store, id).await?),
        }
    }

    fn view<'v>(&'v self, loaded: &'v Loaded, reveal: bool) -> View<'v> {
        let policy = self.policies.get(&loaded.payment.request().account);
        View {
            loaded,
            policy,
            now: self.clock.now(),
            reveal,
        }
    }

    fn show(&self, loaded: &Loaded, reveal: bool, out: &mut dyn Write) -> Result<(), Failure> {
        let view = self.view(loaded, reveal);
        if self.as_json {
            writeln!(out, "{:#}", view.json())?;
        } else {
            view.write(out)?;
        }
        Ok(())
    }

    async fn list(
        &self,
        state: StateName,
        (limit, after): (u16, Option<String>),
        warnings: &mut dyn Write,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let wrong = |error| Failure::Wrong(format!("--after: {error}"));
        let cursor = after.as_deref().map(Cursor::from_text);
        let cursor = cursor.transpose().map_err(wrong)?;
        let page = self
            .store
            .list(&state.into(), cursor.as_ref(), usize::from(limit))
            .await?;
        let next = page.next.as_ref().map(Cursor::as_str);
        if self.as_json {
            let payments: Vec<Value> = page
                .payments
                .iter()
                .map(|loaded| self.view(loaded, false).json())
                .collect();
            let unread = page.unread.iter();
            let unread = unread.map(|it| json!({"payment": it.payment, "problem": it.problem}));
            let told = json!({
                "payments": payments, "next": next, "unreadable": unread.collect::<Vec<_>>(),
            });
            return Ok(writeln!(out, "{told}")?);
        }
        for Unread { payment, problem } in &page.unread {
            writeln!(warnings, "warning: {payment} cannot be read: {problem}")?;
        }
        for loaded in &page.payments {
            let payment = &loaded.payment;
            let request = payment.request();
            let money = request
                .money()
                .map_or("-".to_owned(), |money| money.to_string());
            let reference = request.reference.as_ref().map_or("-", |r| r.as_str());
            let due = loaded.due.map_or("-".to_owned(), time);
            let (id, account, since) = (payment.id(), &request.account, time(payment.created_at()));
            let why = self.view(loaded, false).why();
            let why = why.map_or(String::new(), |why| format!("  {why}"));
            writeln!(
                out,
                "{id}  {account}  {money}  made {since}  due {due}  {reference}{why}"
            )?;
        }
        if let Some(next) = next {
            writeln!(out, "more: --after {next}")?;
        }
        Ok(())
    }

    async fn stats(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let stats = self.store.stats().await?;
        let counts: serde_json::Map<String, Value> = StateName::ALL
            .into_iter()
            .map(|state| {
                let found = stats.by_state.iter().find(|(name, _)| *name == state);
                (
                    state.to_string(),
                    json!(found.map_or(0, |(_, count)| *count)),
                )
            })
            .collect();
        if self.as_json {
            let told = json!({
                "by_state": counts, "due_now": stats.due_now, "unfinished": stats.unfinished,
                "next_due": stats.next_due,
            });
            return Ok(writeln!(out, "{told}")?);
        }
        for state in StateName::ALL {
            writeln!(out, "{:<15} {}", state.as_str(), counts[state.as_str()])?;
        }
        writeln!(out, "{:<15} {}", "due now", stats.due_now)?;
        writeln!(out, "{:<15} {}", "unfinished", stats.unfinished)?;
        let next = stats.next_due.map_or("-".to_owned(), time);
        Ok(writeln!(out, "{:<15} {next}", "next due")?)
    }
}

/// Whether a producer can go on from here.
const fn rests(state: &State) -> bool {
    !matches!(state.name(), StateName::New)
}

pub(super) fn payment_id(text: &str) -> Result<PaymentId, Failure> {
    let wrong = || {
        Failure::Wrong(format!(
            "{text:?} is no payment's id; use the id as it was answered: pay_ and 32 hexadecimal \
             digits"
        ))
    };
    let id = PaymentId::looks_like_one(text).then(|| PaymentId::new(text));
    id.and_then(Result::ok).ok_or_else(wrong)
}

/// The name of a person, as it is typed. The names of the API's keys begin otherwise, and nobody who types
/// is one of them.
pub(super) fn person(name: &str) -> Result<String, String> {
    if name.trim().to_lowercase().starts_with(KEYED) {
        return Err(format!(
            "no person's name begins with {KEYED}: so the keys of the API are named; give your own name"
        ));
    }
    Ok(name.to_owned())
}

pub(super) fn user(env: &[(String, String)]) -> Result<String, Failure> {
    let named = |name: &str| {
        env.iter()
            .find(|(known, _)| known == name)
            .map(|(_, user)| user)
    };
    let user = ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(named);
    let wrong =
        || Failure::Wrong("--actor: nobody is named in USER or LOGNAME; say who asks".into());
    let user = user.filter(|user| !user.is_empty()).ok_or_else(wrong)?;
    person(user).map_err(|told| Failure::Wrong(format!("--actor: {told}")))
}
