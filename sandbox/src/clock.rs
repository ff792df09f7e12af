//! The one place that asks the machine for the time.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};

use crate::config::Time;

/// The sandbox's clock.
pub(crate) struct Clock {
    state: Mutex<State>,
}

#[derive(Clone, Copy)]
enum State {
    /// Runs, so many milliseconds ahead of the machine.
    Running(i64),
    Standing(i64),
}

impl Clock {
    pub(crate) fn new(time: Time) -> Self {
        let state = match time {
            Time::System => State::Running(0),
            Time::Manual(at) => State::Standing(at.timestamp_millis()),
        };
        Self {
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now_ms(&self) -> i64 {
        match self.state() {
            State::Running(ahead_ms) => Utc::now().timestamp_millis() + ahead_ms,
            State::Standing(at_ms) => at_ms,
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        matches!(self.state(), State::Running(_))
    }

    pub(crate) fn advance(&self, by_ms: i64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *state {
            State::Running(ms) | State::Standing(ms) => *ms = ms.saturating_add(by_ms),
        }
    }

    pub(crate) fn set(&self, to: DateTime<Utc>) {
        self.advance(to.timestamp_millis() - self.now_ms());
    }
}
