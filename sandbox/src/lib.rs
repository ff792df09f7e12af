//! A simulator of the CHIP Collect payment gateway, for tests, demonstrations and long runs.
//!
//! [`Engine`] is the gateway itself: requests in, answers out, no clock and no I/O.
//! [`Sandbox`] puts it behind HTTP. Both keep a [`Ledger`] of every request that arrived and
//! every movement of money, and both take faults by [`Rule`].
//!
//! ```no_run
//! # async fn demo() -> Result<(), chip_sandbox::StartError> {
//! use chip_sandbox::{Config, Effect, Operation, Rule, Sandbox};
//!
//! let sandbox = Sandbox::start(Config::default()).await?;
//! let token = sandbox.save_card("payer@example.com");
//! sandbox.add_fault(Rule::on(Operation::Charge, Effect::timeout_after_commit()).times(1));
//! // … the code under test creates a purchase with reference "order-1" and charges the token …
//! assert_eq!(sandbox.taken_for_reference("order-1"), 1000);
//! # let _ = token;
//! # Ok(())
//! # }
//! ```

mod clock;
mod config;
mod engine;
mod fault;
mod http;
mod ledger;
mod sandbox;
mod signature;

pub use config::{
    Account, Behaviour, ChargeOnSkipCapture, Config, DEFAULT_BRAND_ID, DEFAULT_SECRET_KEY, Time,
    WebhookConfig,
};
pub use engine::{
    Delivery, Engine, Manner, Operation, Request, Response, Status, Step, TestCard, Ticket,
};
pub use fault::{Answer, Commit, Difference, Effect, ErrorBody, Pending, Rule};
pub use ledger::{Counts, DeliveryRow, Ledger, Movement, MovementKind, RequestRow};
pub use sandbox::{Sandbox, StartError};
