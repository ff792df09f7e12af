//! The apalis worker that runs the turns; the only file that names apalis.
//!
//! Deliberately absent: apalis' `Persisted`, `PollWith`, `Durable`, its retry layer and its
//! `task-context`. They keep state of their own about jobs, and here the record is the truth.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use apalis::layers::catch_panic::CatchPanicLayer;
use apalis_core::backend::finalize::Ephemeral;
use apalis_core::backend::{Backend, BackendConfig};
use apalis_core::error::BoxDynError;
use apalis_core::layers::{Layer, Service};
use apalis_core::task::Task;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::context::WorkerContext;
use apalis_core::worker::ext::parallelize::ParallelizeExt;
use futures_util::FutureExt;
use tokio::sync::mpsc::UnboundedReceiver;

use super::fetch::Job;
use super::lease::{Ending, Leases};
use super::{Handler, Settings};
use crate::store::{Claim, Store};

/// Runs a turn for each job until there are no more and all turns have ended.
pub(super) async fn work<S: Store, H: Handler>(
    leases: Arc<Leases<S>>,
    handler: Arc<H>,
    jobs: UnboundedReceiver<Job<S>>,
) {
    let name = format!("holdfast-{:016x}", leases.settings.identity);
    let backend = DueIndex {
        jobs,
        settings: leases.settings,
    };
    let worker = WorkerBuilder::new(name)
        .backend(backend)
        .parallelize(tokio::spawn)
        .layer(CatchPanicLayer::with_panic_handler(|_| TurnPanicked))
        .build(move |job: Job<S>| turn(Arc::clone(&leases), Arc::clone(&handler), job.claim));
    // Boxed, because the compiler cannot see that the unboxed future is `Send`.
    if let Err(error) = worker.run().boxed().await {
        tracing::error!(%error, "the apalis worker failed");
    }
}

/// What was in the panic is not repeated: it may quote what no log may hold.
#[derive(Debug, thiserror::Error)]
#[error("the turn panicked")]
struct TurnPanicked;

/// One turn, from the moment its task runs.
async fn turn<S: Store, H: Handler>(
    leases: Arc<Leases<S>>,
    handler: Arc<H>,
    claim: Claim,
) -> Result<Ending, Infallible> {
    let _working = tokio::select! {
        biased;
        () = leases.stop.cancelled() => return Ok(Ending::Unstarted),
        working = leases.begin(&claim) => working,
    };
    if claim.is_lost() {
        return Ok(Ending::Lost);
    }
    let id = claim.key.id.clone();
    let began = leases.clock.now();
    let ending = tokio::select! {
        biased;
        rests = handler.turn(claim) => Ending::Finished(rests),
        () = leases.deadline.cancelled() => Ending::Abandoned,
    };
    let duration_ms = (leases.clock.now() - began).num_milliseconds();
    tracing::debug!(payment.id = %id, duration_ms, ?ending, "the turn ended");
    Ok(ending)
}

/// The due index as apalis sees it: a source of claims that never fails, and ends at the stop.
struct DueIndex<S: Store> {
    jobs: UnboundedReceiver<Job<S>>,
    settings: Settings,
}

impl<S: Store> Backend for DueIndex<S> {
    type Task = Task<Job<S>>;
    type Error = Infallible;

    fn poll_ready(
        &mut self,
        _: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, Infallible>>> {
        self.jobs
            .poll_recv(cx)
            .map(|job| job.map(|job| Ok(TaskBuilder::new(job).build())))
    }

    fn poll_close(
        &mut self,
        _: &mut Context<'_>,
        worker: &WorkerContext,
    ) -> Poll<Result<(), Infallible>> {
        // A worker whose source has ended waits for a stop for ever unless it is told. It can
        // only refuse one before it has started.
        let _ = worker.stop();
        Poll::Ready(Ok(()))
    }
}

impl<S: Store> BackendConfig for DueIndex<S> {
    type Args = Job<S>;
    type Id = ();
    type Kind = Ephemeral;
    type Config = Settings;
    type Layer = Outcome;

    fn config(&self) -> &Settings {
        &self.settings
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Outcome {
        Outcome
    }
}

/// Sees how each turn ends, and only then lets go of what was held for it.
#[derive(Debug, Clone, Copy)]
struct Outcome;

impl<Inner> Layer<Inner> for Outcome {
    type Service = OutcomeService<Inner>;

    fn layer(&self, turns: Inner) -> Self::Service {
        OutcomeService { turns }
    }
}

struct OutcomeService<Inner> {
    turns: Inner,
}

impl<S, Inner> Service<Task<Job<S>>> for OutcomeService<Inner>
where
    S: Store,
    Inner: Service<Task<Job<S>>, Response = Ending, Error = BoxDynError>,
    Inner::Future: Send + 'static,
{
    type Response = ();
    type Error = BoxDynError;
    type Future = Pin<Box<dyn Future<Output = Result<(), BoxDynError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        self.turns.poll_ready(cx)
    }

    fn call(&mut self, mut task: Task<Job<S>>) -> Self::Future {
        let mut lease = task.args.lease.take();
        if let Some(lease) = &mut lease {
            // Should the whole worker be dropped from here on, so is the turn.
            lease.ending = Ending::Abandoned;
        }
        let turn = self.turns.call(task);
        Box::pin(async move {
            let outcome = turn.await;
            if let Some(lease) = &mut lease {
                lease.ending = outcome.unwrap_or_else(|_| {
                    tracing::error!(payment.id = %lease.key.id, "the turn panicked; it is tried again later");
                    Ending::Panicked
                });
            }
            drop(lease);
            Ok(())
        })
    }
}
