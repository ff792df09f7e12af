//! The handle of a running sandbox.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::config::{Behaviour, Config};
use crate::engine::{Engine, Status, TestCard};
use crate::fault::Rule;
use crate::http::{self, Shared};
use crate::ledger::Ledger;

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A running sandbox. Clones are the same sandbox; it stops when the last one is dropped.
#[derive(Clone)]
pub struct Sandbox {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    address: SocketAddr,
    test_key: String,
    server: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox")
            .field("address", &self.inner.address)
            .finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Starts a sandbox; it answers as soon as this returns.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let wanted = config.listen;
        let failed = |source| StartError::Listen {
            address: wanted,
            source,
        };
        let listener = TcpListener::bind(wanted).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let test_key = config
            .accounts
            .first()
            .map(|a| a.test_key.clone())
            .unwrap_or_default();
        let shared = Arc::new(Shared::new(&config, &format!("http://{address}")));
        let server = tokio::spawn(http::serve(listener, Arc::clone(&shared)));
        tokio::spawn(http::keep_time(Arc::clone(&shared)));
        let server = Mutex::new(Some(server));
        Ok(Self {
            inner: Arc::new(Inner {
                shared,
                address,
                test_key,
                server,
            }),
        })
    }

    /// Where the API is: `http://127.0.0.1:…/api/v1/`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/api/v1/", self.inner.address)
    }

    /// Where the sandbox is, without a path or a slash at the end.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("http://{}", self.inner.address)
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.inner.address
    }

    /// Stops and waits until the port is free; requests in flight are let go.
    pub async fn stop(&self) {
        self.inner.shared.stop();
        let server = self
            .inner
            .server
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(server) = server
            && let Err(error) = server.await
        {
            tracing::warn!(%error, "the sandbox did not stop cleanly");
        }
    }

    /// A copy of the ledger.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.with(|engine, _| engine.ledger().clone())
    }

    /// Does something with the engine and its present time, in milliseconds, and sends what
    /// came of it. For questions that need no copy of the ledger.
    pub fn with<T>(&self, work: impl FnOnce(&mut Engine, i64) -> T) -> T {
        self.inner.shared.with(work)
    }

    /// What was taken under a reference.
    #[must_use]
    pub fn taken_for_reference(&self, reference: &str) -> i64 {
        self.with(|engine, _| engine.ledger().taken_for_reference(reference))
    }

    /// A purchase as the gateway would show it.
    #[must_use]
    pub fn purchase(&self, id: Uuid) -> Option<Value> {
        self.with(|engine, _| engine.purchase_json(id))
    }

    /// The status of a purchase.
    #[must_use]
    pub fn status_of(&self, id: Uuid) -> Option<Status> {
        self.with(|engine, _| engine.status_of(id))
    }

    /// Puts a fault rule in force; answers its number.
    #[allow(
        clippy::must_use_candidate,
        reason = "few callers take a rule out again by its number"
    )]
    pub fn add_fault(&self, rule: Rule) -> u64 {
        self.with(|engine, _| engine.add_fault(rule))
    }

    /// Takes one fault rule out of force.
    pub fn remove_fault(&self, number: u64) {
        self.with(|engine, _| engine.remove_fault(number));
    }

    /// Takes every fault rule out of force.
    pub fn clear_faults(&self) {
        self.with(|engine, _| engine.clear_faults());
    }

    /// Changes how the gateway behaves.
    pub fn set_behaviour(&self, change: impl FnOnce(&mut Behaviour)) {
        self.with(|engine, _| change(engine.behaviour()));
    }

    /// The time on the sandbox's clock.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.inner.shared.now_ms()).unwrap_or_default()
    }

    /// Moves the clock on and does what has come due.
    pub fn advance(&self, by: Duration) {
        self.inner
            .shared
            .advance(i64::try_from(by.as_millis()).unwrap_or(i64::MAX));
    }

    /// Sets the clock and does what has come due.
    pub fn set_time(&self, to: DateTime<Utc>) {
        self.inner.shared.set_time(to);
    }

    /// The payer opens the checkout of a purchase and pays, 3-D Secure included.
    pub fn pay(&self, id: Uuid, card: TestCard, remember: bool) {
        self.with(|engine, now_ms| drop(engine.pay(now_ms, id, card, remember)));
    }

    /// Saves a card for the first account's test data; answers the token to charge.
    ///
    /// # Panics
    ///
    /// When the configuration has no account with a brand, or a fault is in the way.
    #[must_use]
    pub fn save_card(&self, email: &str) -> Uuid {
        let key = &self.inner.test_key;
        let token = self.with(|engine, now_ms| engine.save_test_card(now_ms, key, email));
        token.expect("an account with a brand, and no fault on create or direct_post")
    }

    /// Makes one more key for the test data of the first account.
    pub fn add_key(&self, key: &str) {
        let known = &self.inner.test_key;
        self.with(|engine, _| engine.add_key(known, key));
    }

    /// From now on this key is refused.
    pub fn revoke_key(&self, key: &str) {
        self.with(|engine, _| engine.revoke_key(key));
    }

    /// Makes a saved card unusable.
    pub fn kill_token(&self, token: Uuid) {
        self.with(|engine, now_ms| engine.kill_token(now_ms, token));
    }

    /// Puts a purchase in a status without any of what usually leads there.
    pub fn force_status(&self, id: Uuid, status: Status) {
        self.with(|engine, now_ms| engine.force_status(now_ms, id, status));
    }

    /// Waits until every webhook due by now was sent and answered.
    pub async fn deliveries_settled(&self) {
        self.inner.shared.deliveries_settled().await;
    }
}
