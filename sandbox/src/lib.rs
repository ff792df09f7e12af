//! A simulator of the CHIP Collect payment gateway.

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
pub use fault::{Answer, Commit, Effect, Pending, Rule};
pub use ledger::{Counts, DeliveryRow, Ledger, Movement, MovementKind, RequestRow};
pub use sandbox::{Sandbox, StartError};
