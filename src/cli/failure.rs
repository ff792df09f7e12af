//! What went wrong, as an exit code and a message that says what to do.

use std::fmt;
use std::io::{self, Write};

use serde_json::json;

use crate::api::intake::IntakeError;
use crate::config::Problems;
use crate::operate::switches::SwitchError;
use crate::payment::InvalidRequest;
use crate::store::StoreError;
use crate::store::redis::OpenError;

/// Why a verb did not do what was asked.
#[derive(Debug)]
pub enum Failure {
    /// The input or the settings are wrong: exit code 2.
    Wrong(String),
    /// It was understood and refused: exit code 3.
    Refused(String),
    /// Redis cannot be reached or used: exit code 4.
    Store(String),
    /// The payment that was waited for failed: exit code 5.
    EndedFailed(String),
    /// The payment that was waited for is parked: exit code 6.
    EndedParked(String),
    /// What was looked through is not as it must be: exit code 7.
    BooksBroken(String),
    /// Not all of what was to be looked through could be: exit code 8.
    NotAllCompared(String),
    /// A plan that was being applied was stopped: exit code 9.
    RunStopped(String),
    /// Anything else: exit code 1.
    Other(String),
    /// Whoever reads the output went away, as `head` does: nothing to say, exit code 1.
    Unread,
}

impl Failure {
    /// The exit code.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Other(_) | Self::Unread => 1,
            Self::Wrong(_) => 2,
            Self::Refused(_) => 3,
            Self::Store(_) => 4,
            Self::EndedFailed(_) => 5,
            Self::EndedParked(_) => 6,
            Self::BooksBroken(_) => 7,
            Self::NotAllCompared(_) => 8,
            Self::RunStopped(_) => 9,
        }
    }

    const fn word(&self) -> &'static str {
        match self {
            Self::Wrong(_) => "wrong_input",
            Self::Refused(_) => "refused",
            Self::Store(_) => "store",
            Self::EndedFailed(_) => "failed",
            Self::EndedParked(_) => "parked",
            Self::BooksBroken(_) => "books_broken",
            Self::NotAllCompared(_) => "not_all_compared",
            Self::RunStopped(_) => "stopped",
            Self::Other(_) | Self::Unread => "other",
        }
    }

    /// Writes it down, as JSON if that is wanted.
    pub fn tell(&self, as_json: bool, to: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Unread => Ok(()),
            _ if as_json => {
                let told = json!({"error": {"kind": self.word(), "message": self.to_string()}});
                writeln!(to, "{told}")
            }
            _ => writeln!(to, "{self}"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong(text)
            | Self::Refused(text)
            | Self::Store(text)
            | Self::EndedFailed(text)
            | Self::EndedParked(text)
            | Self::BooksBroken(text)
            | Self::NotAllCompared(text)
            | Self::RunStopped(text)
            | Self::Other(text) => f.write_str(text),
            Self::Unread => f.write_str("the output was not read to its end"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<IntakeError> for Failure {
    fn from(error: IntakeError) -> Self {
        match error {
            IntakeError::Store(error) => error.into(),
            IntakeError::Invalid(_)
            | IntakeError::UnknownAccount(_)
            | IntakeError::Missing(_)
            | IntakeError::NoCard(_) => Self::Wrong(error.to_string()),
            IntakeError::Conflict(_)
            | IntakeError::Adopted(_)
            | IntakeError::CardDead(_)
            | IntakeError::Busy(_) => Self::Refused(error.to_string()),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(why) => Self::Store(format!(
                "Redis cannot be reached ({why}). Whether the call was done is unknown; repeating \
                 it with the same key is safe"
            )),
            StoreError::Refused(_) => Self::Store(error.to_string()),
            StoreError::Busy(_) => Self::Refused(error.to_string()),
            StoreError::Unreadable { .. } | StoreError::Broken(_) => Self::Other(error.to_string()),
        }
    }
}

impl From<SwitchError> for Failure {
    fn from(error: SwitchError) -> Self {
        match error {
            SwitchError::Store(error) => error.into(),
            SwitchError::Foreign(_) | SwitchError::Busy(_) => Self::Refused(error.to_string()),
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Self::Store(error.to_string())
    }
}

impl From<InvalidRequest> for Failure {
    fn from(error: InvalidRequest) -> Self {
        Self::Wrong(error.to_string())
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::Wrong(problems.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Unread,
            _ => Self::Other(format!("the output cannot be written: {error}")),
        }
    }
}
