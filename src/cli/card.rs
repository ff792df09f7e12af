//! What is known of a saved card, and wanted of it. Never its token: `holdfast show --reveal` of the
//! payment that saved it shows that.

use std::io::Write;

use clap::Subcommand;
use serde_json::{Value, json};

use super::commands::typist;
use super::desk::{Desk, person, user};
use super::failure::Failure;
use super::request::Around;
use super::view::time;
use crate::api::cards;
use crate::payment::{CardAsked, CardId, CardOrder, KnownCard, Voice};
use crate::store::audit::Mandate;
use crate::store::{Cards, Plans, Store};

/// What to do about a saved card.
#[derive(Debug, Subcommand)]
pub enum CardVerb {
    /// Show brand, last four digits, and whether it can be charged.
    #[command(after_help = "Example: holdfast card show card_3f0c…")]
    Show {
        /// The card's id, as payments and events show it: `card_…`.
        id: String,
    },
    /// Ask the gateway whether it still has the card. If it does, a card that was taken for dead can be
    /// charged again, unless the gateway says that it has expired.
    #[command(after_help = "Example: holdfast card look card_3f0c…")]
    Look {
        /// The card's id.
        id: String,
        /// Why; kept in the audit log.
        #[arg(long)]
        reason: Option<String>,
        /// Who asks. Default: the user of this terminal.
        #[arg(long, value_parser = person)]
        actor: Option<String>,
    },
    /// Delete the card at the gateway. From now on nothing new is charged to it.
    #[command(
        after_help = "Example: holdfast card delete card_3f0c… --reason \"asked by the guest\""
    )]
    Delete {
        /// The card's id.
        id: String,
        /// Why; kept with the card.
        #[arg(long)]
        reason: Option<String>,
        /// Who asks. Default: the user of this terminal.
        #[arg(long, value_parser = person)]
        actor: Option<String>,
    },
    /// Withdraw a deletion or a look that is not done yet: nothing more is sent for it. An expired card may
    /// be charged again. What was sent already may have deleted the card: check with `card look`.
    #[command(after_help = "Example: holdfast card keep card_3f0c… --reason \"asked by mistake\"")]
    Keep {
        /// The card's id.
        id: String,
        /// Why; kept with the card.
        #[arg(long)]
        reason: String,
        /// Who asks. Default: the user of this terminal.
        #[arg(long, value_parser = person)]
        actor: Option<String>,
    },
}

impl<S: Store + Cards + Plans> Desk<'_, S> {
    pub(super) async fn card(
        &self,
        verb: &CardVerb,
        around: &Around<'_>,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let typist = |actor: &Option<String>| typist(actor.as_deref(), around.env);
        let card = match verb {
            CardVerb::Show { id } => cards::known(self.store, &card_id(id)?).await?,
            CardVerb::Look { id, reason, actor } => {
                let by = Mandate::typed_by(&typist(actor)).because(reason.as_deref());
                self.order(id, &CardOrder::Look, &by).await?
            }
            CardVerb::Delete { id, reason, actor } => {
                // Nobody need be named for it: a deletion may be asked for by a job.
                let by = typist(actor);
                let voice = Voice::new(&by, reason.as_deref());
                let order = CardOrder::Delete(voice);
                self.order(id, &order, &Mandate::typed_by(&by)).await?
            }
            CardVerb::Keep { id, reason, actor } => {
                let by = actor.clone().map_or_else(|| user(around.env), Ok)?;
                let order = CardOrder::Keep(Voice::new(&by, Some(reason)));
                self.order(id, &order, &Mandate::typed_by(&by)).await?
            }
        };
        let mut shown = cards::shown(&card);
        // Who may hold a key of the API is not told what persons say here.
        if !card.asked().is_empty() && self.as_json {
            shown["asked"] = json!(card.asked());
        }
        if self.as_json {
            return Ok(writeln!(out, "{shown}")?);
        }
        for (name, value) in shown.as_object().into_iter().flatten() {
            match value {
                Value::Null => {}
                Value::String(text) => writeln!(out, "{name:<13} {text}")?,
                other => writeln!(out, "{name:<13} {other}")?,
            }
        }
        for CardAsked { at, order } in card.asked() {
            let (CardOrder::Delete(voice) | CardOrder::Keep(voice)) = order else {
                continue;
            };
            let what = if order.wish().is_some() {
                "delete"
            } else {
                "keep"
            };
            let (by, why) = (&voice.by, voice.reason.as_deref().unwrap_or_default());
            writeln!(out, "{what:<13} {} by {by} {why}", time(*at))?;
        }
        Ok(())
    }

    async fn order(&self, id: &str, order: &CardOrder, by: &Mandate) -> Result<KnownCard, Failure> {
        Ok(cards::order(self.store, self.clock, &card_id(id)?, order, Some(by)).await?)
    }
}

fn card_id(text: &str) -> Result<CardId, Failure> {
    let wrong = || {
        let told = "the card: use the id as it was answered, card_ and 32 hexadecimal digits";
        Failure::Wrong(told.to_owned())
    };
    let text = Some(text).filter(|text| CardId::looks_like_one(text));
    text.and_then(|text| CardId::new(text).ok())
        .ok_or_else(wrong)
}
