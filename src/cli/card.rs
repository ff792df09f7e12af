//! What is known of a saved card, and wanted of it. Never its token: `holdfast show --reveal` of the
//! payment that saved it shows that.

use std::io::Write;

use clap::Subcommand;
use serde_json::Value;

use super::desk::Desk;
use super::failure::Failure;
use crate::api::cards;
use crate::payment::{CardId, Wish};
use crate::store::{Cards, Store};

/// What to do about a saved card.
#[derive(Debug, Subcommand)]
pub enum CardVerb {
    /// Show brand, last four digits, and whether it can be charged.
    Show {
        /// The card's id, as payments and events show it: `card_…`.
        id: String,
    },
    /// Have the gateway asked whether it keeps the card: a card that was taken for dead is charged
    /// again if it does.
    Look {
        /// The card's id.
        id: String,
    },
    /// Have the card deleted at the gateway. From now on nothing is charged to it.
    Delete {
        /// The card's id.
        id: String,
    },
}

impl<S: Store + Cards> Desk<'_, S> {
    pub(super) async fn card(&self, verb: &CardVerb, out: &mut dyn Write) -> Result<(), Failure> {
        let card = match verb {
            CardVerb::Show { id } => cards::known(self.store, &card_id(id)?).await?,
            CardVerb::Look { id } => self.wish(id, Wish::Look).await?,
            CardVerb::Delete { id } => self.wish(id, Wish::Delete).await?,
        };
        let shown = cards::shown(&card);
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
        Ok(())
    }

    async fn wish(&self, id: &str, what: Wish) -> Result<crate::payment::KnownCard, Failure> {
        Ok(cards::wish(self.store, self.clock, &card_id(id)?, what).await?)
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
