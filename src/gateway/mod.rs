//! The CHIP Collect client: the only code that speaks to the gateway, and the only place where
//! its words (`purchase`, `recurring_token`, statuses) are translated into ours.
//!
//! | file | what |
//! |---|---|
//! | `account`, `settings` | keys, brands, deadlines |
//! | `client` | [`ChipGateway`]: one method a call |
//! | `transport` | bytes out, bytes in; nothing is ever sent twice |
//! | `call`, `body` | what is asked: path and body; pure |
//! | `cards` | whether a saved card is kept, and that it is to be deleted |
//! | `wire` | a purchase as the gateway writes it, read into a [`Sighting`](crate::payment::Sighting) |
//! | `classify` | what an HTTP answer means; pure |
//! | `refusal` | the codes in an error body |
//! | `signature`, `company` | who signed a webhook |
//! | `registration` | webhooks, as the gateway keeps them |
//! | `entrance` | whether it lets an account in |
//! | `notice` | which payment a webhook is about |
//! | `measured` | the same calls, counted and timed |
//! | `probe` | what only a test account may be asked |
//! | `entry` | a purchase as the gateway's books have it: what was taken, when, and given back |
//! | `statement` | the company's statement: scheduled, waited for, fetched |
//! | `post` | a POST to somebody else: HTTP goes out here alone |

mod account;
mod body;
mod call;
mod cards;
mod classify;
mod client;
mod company;
mod entrance;
mod entry;
mod measured;
mod notice;
mod post;
mod probe;
mod refusal;
mod registration;
mod settings;
mod signature;
mod statement;
mod transport;
mod wire;

use std::future::Future;

pub use account::{Account, AccountConfig, Accounts, InvalidAccount};
pub use call::{Call, look_up_path};
pub use cards::{CardDeletion, CardGateway, CardLook};
pub(crate) use classify::RATE_LIMITED;
pub use classify::{Reply, answer, look_up};
pub use client::ChipGateway;
pub use company::SignatureCheck;
pub use entrance::{Brand, Entrance, Knock};
pub use entry::{Entry, EntryLook, Since};
pub use measured::Measured;
pub use notice::{Claimed, Notice};
pub use post::{Posted, Poster};
pub use probe::{
    Act, Created, Heard, NoTestAccount, PostedCard, ProbeOrder, TestAccount, TestPurchase,
};
pub use registration::{EVENTS, NotRegistered, Registered};
pub use settings::{Deadlines, Settings};
pub use signature::{InvalidKey, PublicKey, SIGNATURE_HEADER};
pub use statement::{NoStatement, StatementId, StatementLink, StatementState};
pub use transport::TransportError;
pub use wire::{Unreadable, read_sighting};

use crate::payment::{AccountName, Answer, CreateOrder, LookUp, PurchaseId};
use crate::store::Permit;

/// The gateway, as the worker needs it. No method retries, and none fails: an error is an answer
/// of the class `Unknown` or `NotSent`, because that is what it means for the money.
pub trait Gateway: Send + Sync + 'static {
    /// Creates a purchase. Moves no money.
    fn create(&self, order: &CreateOrder) -> impl Future<Output = Answer> + Send;

    /// Makes the call that `permit` licenses, once.
    fn send(&self, permit: Permit) -> impl Future<Output = Answer> + Send;

    /// Asks what is true of a purchase.
    fn look_up(
        &self,
        account: &AccountName,
        purchase: &PurchaseId,
    ) -> impl Future<Output = LookUp> + Send;
}
