//! The engine over HTTP.

mod api;
mod control;
mod deliver;
mod ledger_page;
mod wire;

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use chrono::{DateTime, Utc};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};

use crate::clock::Clock;
use crate::config::Config;
use crate::engine::Engine;
use wire::{Cord, Wires};

/// What every task of a sandbox shares.
pub(crate) struct Shared {
    engine: Mutex<Engine>,
    clock: Clock,
    silence_cap: Duration,
    delivery_timeout: Duration,
    stopped: watch::Sender<bool>,
    /// Told when something is due earlier than the time keeper thinks.
    earlier: Notify,
    planned_ms: AtomicI64,
    deliveries_open: AtomicUsize,
    delivered: Notify,
}

impl Shared {
    pub(crate) fn new(config: &Config, origin: &str) -> Self {
        let clock = Clock::new(config.time);
        let seed = config.seed.unwrap_or_else(rand::random);
        let engine = Engine::new(config, origin, seed, clock.now_ms());
        Self {
            engine: Mutex::new(engine),
            clock,
            silence_cap: config.silence_cap,
            delivery_timeout: config.delivery_timeout,
            stopped: watch::Sender::new(false),
            earlier: Notify::new(),
            planned_ms: AtomicI64::new(i64::MAX),
            deliveries_open: AtomicUsize::new(0),
            delivered: Notify::new(),
        }
    }

    pub(crate) fn stop(&self) {
        self.stopped.send_replace(true);
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    pub(crate) fn advance(self: &Arc<Self>, by_ms: i64) {
        self.clock.advance(by_ms);
        self.with(|_, _| ());
        self.earlier.notify_one();
    }

    pub(crate) fn set_time(self: &Arc<Self>, to: DateTime<Utc>) {
        self.clock.set(to);
        self.with(|_, _| ());
        self.earlier.notify_one();
    }

    /// Works on the engine, then sends what has come due.
    pub(crate) fn with<T>(self: &Arc<Self>, work: impl FnOnce(&mut Engine, i64) -> T) -> T {
        let (done, due, next_ms) = {
            let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
            let now_ms = self.clock.now_ms();
            let done = work(&mut engine, now_ms);
            let due = engine.tick(now_ms);
            self.deliveries_open.fetch_add(due.len(), Ordering::SeqCst);
            (done, due, engine.next_wake_ms())
        };
        for delivery in due {
            deliver::spawn(self, delivery);
        }
        // A clock that stands still wakes nobody: whoever moves it does what has come due.
        let planned_ms = self.planned_ms.load(Ordering::SeqCst);
        if self.clock.is_running() && next_ms.is_some_and(|next_ms| next_ms < planned_ms) {
            self.earlier.notify_one();
        }
        done
    }

    /// Resolves when the sandbox is told to stop.
    pub(crate) async fn until_stopped(&self) {
        let mut stopped = self.stopped.subscribe();
        // An error means that the sender is gone, and with it the sandbox.
        let _gone = stopped.wait_for(|is_stopped| *is_stopped).await;
    }

    pub(crate) async fn deliveries_settled(self: &Arc<Self>) {
        loop {
            let told = self.delivered.notified();
            self.with(|_, _| ());
            if self.deliveries_open.load(Ordering::SeqCst) == 0 {
                return;
            }
            told.await;
        }
    }
}

/// Answers requests until the sandbox stops.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let app = Router::new()
        .route("/sandbox/", get(ledger_page::page))
        .route("/sandbox/ledger", get(control::ledger))
        .route("/sandbox/purchases/{id}", get(control::purchase))
        .route("/sandbox/purchases/{id}/pay", post(control::pay))
        .route(
            "/sandbox/purchases/{id}/status",
            post(control::force_status),
        )
        .route("/sandbox/references/{reference}", get(control::reference))
        .route("/sandbox/cards", post(control::save_card))
        .route(
            "/sandbox/cards/{id}",
            axum::routing::delete(control::kill_card),
        )
        .route(
            "/sandbox/faults",
            post(control::add_fault).delete(control::clear_faults),
        )
        .route("/sandbox/clock", post(control::clock).get(control::time))
        .route(
            "/sandbox/behaviour",
            post(control::behaviour).get(control::show_behaviour),
        )
        .fallback(api::answer)
        .with_state(Arc::clone(&shared));
    let service = app.into_make_service_with_connect_info::<Cord>();
    let stopping = Arc::clone(&shared);
    let served = axum::serve(Wires(listener), service)
        .with_graceful_shutdown(async move { stopping.until_stopped().await });
    // Clients that keep an answer half read do not keep a stopped sandbox alive.
    let patience = async {
        shared.until_stopped().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
    };
    tokio::select! {
        result = served.into_future() => {
            if let Err(error) = result {
                tracing::error!(%error, "the sandbox stopped answering");
            }
        }
        () = patience => {}
    }
}

/// Ticks the engine when something comes due by itself.
pub(crate) async fn keep_time(shared: Arc<Shared>) {
    loop {
        let next_ms = shared.with(|engine, _| engine.next_wake_ms());
        let next_ms = next_ms.filter(|_| shared.clock.is_running());
        shared
            .planned_ms
            .store(next_ms.unwrap_or(i64::MAX), Ordering::SeqCst);
        let wait_ms = next_ms.map(|at_ms| at_ms.saturating_sub(shared.now_ms()).max(0));
        // An hour is as good as for ever: the loop looks again.
        let wait = Duration::from_millis(wait_ms.map_or(3_600_000, i64::unsigned_abs));
        tokio::select! {
            () = shared.until_stopped() => return,
            () = shared.earlier.notified() => {}
            () = tokio::time::sleep(wait.min(Duration::from_secs(3600))) => {}
        }
    }
}
