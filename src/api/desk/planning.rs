//! To have a rerun planned of what a list shows, or of one payment; and to have a plan applied, stopped
//! and resumed: asked once more, then given, under the same rules as over the API.

use std::sync::Arc;

use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Form, Path, Query, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::Desk;
use super::act::allowed;
use super::asked::Asked;
use super::frame::{Page, Trouble, framed};
use super::plan::{money_touched, warnings};
use super::plans::selected;
use super::session::Who;
use super::show::{absolute, count, when};
use crate::api::v1::ProblemCode;
use crate::api::v1::plans::{actor, may_command, may_operate};
use crate::api::v1::problem::Problem;
use crate::operate::find::{Filter, find};
use crate::operate::planning::{self, PlanError, Said};
use crate::operate::{MOST_PAYMENTS, Phase, Plan, PlanCommand, Selection};
use crate::payment::{AccountName, IdempotencyKey, PaymentId, Timestamp};
use crate::store::audit::Via;
use crate::store::{PlanId, Store};

/// How many payments are counted before a plan is made.
const COUNTED: usize = 50;
/// How many are read in one go for one, and how often at most.
const STEP: usize = 250;
const MOST_STEPS: usize = 20;
/// The longest reason.
const LONGEST_REASON: usize = 300;

/// Which payments a plan is wanted of: one, or those that a list shows.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    payment: String,
    #[serde(flatten)]
    asked: Asked,
}

/// The same, understood.
enum Meant {
    One(PaymentId),
    Listed(Filter),
}

/// What is typed on these pages.
#[derive(Debug, Deserialize)]
pub(super) struct Typed {
    mark: String,
    /// One form makes one plan, however often it is sent.
    #[serde(default)]
    key: String,
    /// How often the plan had been set going when the page showed it.
    #[serde(default)]
    runs: usize,
    #[serde(default)]
    reason: String,
}

/// The query that leads to a new plan of the same.
pub(super) fn anew(of: &Selection) -> Option<String> {
    match of {
        Selection::Payments(payments) => match &payments[..] {
            [one] => Some(format!("payment={one}")),
            _ => None,
        },
        Selection::Matching(filter) => Asked::of_plan(filter).map(|asked| asked.written()),
    }
}

/// The page before a plan.
pub(super) async fn ask_new(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Who>,
    Query(wanted): Query<Wanted>,
) -> Result<Html<String>, Trouble> {
    may_act(&who)?;
    let now = desk.clock.now();
    let (back, query, many) = match desk.meant(&who, &wanted, now).await? {
        Meant::One(id) => (
            format!("/desk/payments/{id}"),
            format!("payment={id}"),
            count(1),
        ),
        Meant::Listed(filter) => {
            let page = desk.page(&who, &filter, (None, COUNTED), now).await?;
            let many = match page.1 {
                Some(_) => format!("{} and more", page.0.len()),
                None => count(page.0.len() as u64),
            };
            let query = wanted.asked.written();
            (format!("/desk/payments?{query}"), query, many)
        }
    };
    let key = format!("desk-{}", uuid::Uuid::new_v4());
    let body = html! {
        p.crumbs { a href="/desk/plans" { "Planned reruns" } }
        section.confirm {
            h1 { "Plan a rerun?" }
            p {
                "A worker asks the gateway about each payment, and says what a rerun would do to it and \
                 how much money that touches at most. Nothing is done to any of them before somebody \
                 applies the plan."
            }
            dl.facts {
                @if !wanted.payment.is_empty() { dt { "payment" } dd { code { (wanted.payment) } } }
                @for (name, value) in wanted.asked.described() { dt { (name) } dd { (value) } }
                dt { "now" } dd.figure { (many) }
                dt { "as" } dd { (who.caller.name()) }
            }
            form method="post" action=(format!("/desk/plans/new?{query}")) {
                input type="hidden" name="mark" value=(who.mark);
                input type="hidden" name="key" value=(key);
                (why("what was repaired, or is to be found out"))
                div.buttons {
                    button.primary type="submit" { "plan it" }
                    a.button href=(back) { "Not now" }
                }
            }
        }
    };
    Ok(framed(&who, ("Plan a rerun", Page::Plans, 0), &body))
}

fn why(example: &str) -> Markup {
    html! {
        label { "Why" input name="reason" required maxlength=(LONGEST_REASON) autofocus placeholder=(example); }
    }
}

/// Has a plan made.
pub(super) async fn make(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Who>,
    Query(wanted): Query<Wanted>,
    typed: Result<Form<Typed>, FormRejection>,
) -> Result<Response, Trouble> {
    may_act(&who)?;
    let (typed, said) = heard(&who, typed)?;
    let key = IdempotencyKey::new(typed.key);
    let key = key.map_err(|_| Trouble::wrong("The form has no key; load it again."))?;
    let id = PlanId::of_form(&who.mark, key.as_str());
    let there = Redirect::to(&format!("/desk/plans/{id}")).into_response();
    let known = async {
        match planning::plan(&*desk.store, &id).await {
            Err(PlanError::Missing(_)) => Ok(false),
            known => known.map(|_| true),
        }
    };
    if desk.in_time(known).await? {
        return Ok(there);
    }
    let now = desk.clock.now();
    let (of, more) = match desk.meant(&who, &wanted, now).await? {
        Meant::One(id) => (Selection::Payments(vec![id]), false),
        Meant::Listed(filter) => match filter.of_plan() {
            Some(filter) => (Selection::Matching(filter), false),
            None => desk.all_of(&who, &filter, now).await?,
        },
    };
    desk.keeps_what_is_new()?;
    let mut plan = Plan::wanted(of, &actor(&who.caller), now);
    plan.id = id;
    plan.more = more;
    plan.accounts = who.caller.accounts().cloned();
    let making = async {
        match planning::ask(&*desk.store, plan, said.mandate()).await {
            // The same form was sent twice at once.
            Ok(_) | Err(PlanError::Busy(_)) => Ok(()),
            Err(error) => Err(error),
        }
    };
    desk.in_time(making).await?;
    tracing::info!(key = who.caller.name(), "a plan is wanted at the desk");
    Ok(there)
}

/// The page before a command.
pub(super) async fn ask(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Who>,
    Path((id, name)): Path<(String, String)>,
) -> Result<Html<String>, Trouble> {
    let command = named(&name)?;
    may_give(&who, command)?;
    let plan = desk.plan_seen(&who, &id).await?;
    may_command(&who.caller, &plan, command)?;
    let now = desk.clock.now();
    plan.may(command, now).map_err(PlanError::NotNow)?;
    let back = format!("/desk/plans/{}", plan.id);
    let body = html! {
        p.crumbs { a href="/desk/plans" { "Planned reruns" } " / " a href=(back) { (plan.id) } }
        section.confirm {
            h1 { (command.as_str()) " the plan?" }
            p { (meaning(command)) }
            @if command != PlanCommand::Stop {
                (warnings(&plan))
                @if !plan.touches().is_empty() { div.tiles { (money_touched(&plan)) } }
            }
            dl.facts {
                dt { "plan" } dd { (selected(&plan.of)) div { code { (plan.id) } } }
                dt { "to be rerun" } dd { (count(plan.waiting() as u64)) }
                @if let Phase::Ready { until } = plan.phase {
                    dt { "expires" } dd { (when(until, now)) " " small { (absolute(until)) } }
                }
                dt { "as" } dd { (who.caller.name()) }
            }
            form method="post" action=(format!("{back}/{}", command.as_str())) {
                input type="hidden" name="mark" value=(who.mark);
                input type="hidden" name="runs" value=(plan.runs());
                (why("what was found out or repaired"))
                div.buttons {
                    button.primary type="submit" { (command.as_str()) }
                    a.button href=(back) { "Not now" }
                }
            }
        }
    };
    Ok(framed(&who, (&name, Page::Plans, 0), &body))
}

const fn meaning(command: PlanCommand) -> &'static str {
    match command {
        PlanCommand::Apply => {
            "Payments that have not changed since are rerun: one first, then ten, then a hundred at a \
             time. A rerun is a look at the gateway and the legal next step from what it shows, which can \
             charge or capture. The run stops by itself if too many turn out otherwise than foreseen."
        }
        PlanCommand::Stop => {
            "No further payment is rerun. Reruns that were started are carried out. The run can be resumed."
        }
        PlanCommand::Resume => {
            "The run continues with the remaining payments, one first; each is compared with the plan once \
             more."
        }
    }
}

/// Gives the command.
pub(super) async fn give(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Who>,
    Path((id, name)): Path<(String, String)>,
    typed: Result<Form<Typed>, FormRejection>,
) -> Result<Response, Trouble> {
    let command = named(&name)?;
    may_give(&who, command)?;
    let (typed, said) = heard(&who, typed)?;
    let plan = desk.plan_seen(&who, &id).await?;
    let there = Redirect::to(&format!("/desk/plans/{}", plan.id)).into_response();
    if said.was_heard(&plan, command, typed.runs) {
        return Ok(there);
    }
    let judge = |plan: &Plan| {
        may_command(&who.caller, plan, command)?;
        if command == PlanCommand::Stop {
            // Whoever wants no further payment told wants so however often it was set going.
            return Ok(());
        }
        desk.keeps_what_is_new()?;
        if plan.runs() == typed.runs {
            return Ok(());
        }
        let told = "the plan was set going since the page was loaded; look at it again";
        Err(Problem::new(ProblemCode::PlanNotNow, told))
    };
    let (store, clock) = (&*desk.store, &desk.clock);
    let giving = planning::command_if(store, clock, (&plan.id, command), &said, judge);
    let plan = desk.in_time(giving).await?;
    tracing::info!(
        plan.id = %plan.id, command = %name, key = who.caller.name(), "a plan was commanded at the desk"
    );
    Ok(there)
}

fn named(name: &str) -> Result<PlanCommand, Trouble> {
    let mut all = PlanCommand::ALL.into_iter();
    let found = all.find(|command| command.as_str() == name);
    found.ok_or_else(|| Trouble::nothing("There is nothing at this address."))
}

/// Whether whoever looks may have reruns planned and applied: as much as for any command at the desk.
fn may_act(who: &Who) -> Result<(), Trouble> {
    may_operate(&who.caller)?;
    allowed(who).map_err(|lacks| Trouble::forbidden(&format!("The key {lacks}.")))
}

/// Whether whoever looks may give such a command: to stop one, who sees plans needs nothing more.
fn may_give(who: &Who, command: PlanCommand) -> Result<(), Trouble> {
    match command {
        PlanCommand::Stop => Ok(may_operate(&who.caller)?),
        PlanCommand::Apply | PlanCommand::Resume => may_act(who),
    }
}

/// What was typed, by whom and why; a form of this session.
fn heard(who: &Who, typed: Result<Form<Typed>, FormRejection>) -> Result<(Typed, Said), Trouble> {
    let Form(typed) = typed.map_err(|_| Trouble::wrong("The form could not be read."))?;
    who.sent(&typed.mark)?;
    let by = who.caller.mandate_by(Via::Dashboard);
    let said = Said::new(&actor(&who.caller), &typed.reason, &by);
    let said = said.map_err(|unsaid| Trouble::wrong(unsaid.to_string()))?;
    Ok((typed, said))
}

impl Desk {
    /// Whether what is recorded now is kept.
    fn keeps_what_is_new(&self) -> Result<(), Problem> {
        self.store.durability().map_err(|lack| {
            let told = format!("nothing new is recorded now: {lack}");
            Problem::new(ProblemCode::StoreUnavailable, told)
        })
    }

    /// Which payments are meant. Whoever asks sees all of them.
    async fn meant(&self, who: &Who, wanted: &Wanted, now: Timestamp) -> Result<Meant, Trouble> {
        if !wanted.payment.is_empty() {
            let loaded = self.seen(who, wanted.payment.clone()).await?;
            return Ok(Meant::One(loaded.payment.id().clone()));
        }
        if !wanted.asked.can_be_planned() {
            let told =
                "Say which payments: what has ended cannot be rerun, and not all there is at once.";
            return Err(Trouble::wrong(told));
        }
        let policies = self.policies.get();
        let accounts = policies.keys().filter(|name| who.caller.sees(name));
        let accounts: Vec<&AccountName> = accounts.collect();
        let filter = wanted
            .asked
            .filter(&accounts, now)
            .map_err(Trouble::wrong)?;
        if let Some(account) = &filter.account {
            who.caller.may_ask_of(account)?;
        }
        Ok(Meant::Listed(filter))
    }

    /// Some of them, and where to go on.
    async fn page(
        &self,
        who: &Who,
        filter: &Filter,
        (after, limit): (Option<&str>, usize),
        now: Timestamp,
    ) -> Result<(Vec<PaymentId>, Option<String>), Trouble> {
        let may = |account: &AccountName| who.caller.sees(account);
        let finding = find(&self.store, (filter, &may), (after, limit), now);
        let found = self.in_time(finding).await?;
        let ids = found.payments.iter().map(|it| it.payment.id().clone());
        Ok((ids.collect(), found.next))
    }

    /// All of them, each by its name: a plan knows fewer ways to look for payments than a list. And
    /// whether there are more than one plan has.
    async fn all_of(
        &self,
        who: &Who,
        filter: &Filter,
        now: Timestamp,
    ) -> Result<(Selection, bool), Trouble> {
        let (mut all, mut after) = (Vec::new(), None);
        for _ in 0..MOST_STEPS {
            let page = (after.as_deref(), STEP);
            let (ids, next) = self.page(who, filter, page, now).await?;
            all.extend(ids);
            after = next;
            if after.is_none() || all.len() > MOST_PAYMENTS {
                break;
            }
        }
        let more = all.len() > MOST_PAYMENTS;
        if after.is_some() && !more {
            let told = "They stand too far apart among all the others; name a state or an account.";
            return Err(Trouble::wrong(told));
        }
        if all.is_empty() {
            return Err(Trouble::wrong("No payment is like that now."));
        }
        all.truncate(MOST_PAYMENTS);
        Ok((Selection::Payments(all), more))
    }
}
