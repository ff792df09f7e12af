//! Logs: what happened to which payment, never who paid or with what.
//!
//! Every line about a payment carries `payment.id`; `state`, `step`, `attempt` and `duration_ms`
//! are fields, so that lines can be searched without reading prose. What must not be printed has
//! types that cannot be (see [`crate::payment::Private`]).

use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::config::{Log, LogFormat};

/// Logs cannot be written as asked.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not one.
    #[error("log.filter: {0}")]
    Filter(String),
    /// Something else in this process writes logs.
    #[error("logs are written already; set them up once in a process")]
    Twice,
}

/// Writes logs to standard error from now on, panics among them.
pub fn init(log: &Log) -> Result<(), TelemetryError> {
    let subscriber = subscriber(log, std::io::stderr)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| TelemetryError::Twice)?;
    std::panic::set_hook(Box::new(|panic| log_panic(panic.location())));
    Ok(())
}

/// Where it happened and no more: the text of a panic may quote what no log may hold.
fn log_panic(location: Option<&std::panic::Location<'_>>) {
    let location = location.map(ToString::to_string);
    tracing::error!(
        event = "panic",
        location,
        "a panic: this is a fault of Holdfast, please report the location"
    );
}

/// What writes logs to `writer`.
pub fn subscriber<W>(log: &Log, writer: W) -> Result<impl Subscriber + use<W>, TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter =
        EnvFilter::try_new(&log.filter).map_err(|_| TelemetryError::Filter(UNUSABLE.to_owned()))?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(false);
    let lines = match log.format {
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .boxed(),
        LogFormat::Pretty => lines.boxed(),
    };
    Ok(Registry::default().with(filter).with(lines))
}

/// Whether a filter can be used; the problem says what to write.
pub fn check_filter(filter: &str) -> Result<(), String> {
    match EnvFilter::try_new(filter) {
        Ok(_) if !filter.trim().is_empty() => Ok(()),
        _ => Err(UNUSABLE.to_owned()),
    }
}

/// Without what stands there: somebody may have put a secret into the wrong place.
const UNUSABLE: &str = "is no filter; write a level such as info, or holdfast=debug,info";

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_is_logged_with_its_place_and_without_its_text() {
        let lines = Lines::default();
        let log = Log {
            format: LogFormat::Json,
            filter: "info".to_owned(),
        };
        let writer = lines.clone();
        let subscriber = subscriber(&log, move || writer.clone()).unwrap();
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(|panic| log_panic(panic.location())));
        let panicked = tracing::subscriber::with_default(subscriber, || {
            std::panic::catch_unwind(|| panic!("the card is 4444333322221111"))
        });
        std::panic::set_hook(others);
        assert!(panicked.is_err());
        let logged = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(logged.contains("src/telemetry/logs.rs:"), "{logged}");
        assert!(
            logged.contains("ERROR") && !logged.contains("4444"),
            "{logged}"
        );
    }
}
