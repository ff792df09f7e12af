//! The scripts, and a call of one: a plain value, so that it can be repeated byte by byte.

use std::sync::LazyLock;

use redis::{Cmd, Pipeline, Script};

/// A script that is sent to Redis once and then called by its hash.
pub(super) struct Stored {
    file: &'static str,
    text: &'static str,
    script: LazyLock<Script>,
}

macro_rules! stored {
    ($($name:ident = $file:literal;)*) => {
        $(pub(super) static $name: Stored = Stored {
            file: $file,
            text: include_str!(concat!("scripts/", $file)),
            script: LazyLock::new(|| Script::new(include_str!(concat!("scripts/", $file)))),
        };)*
        const ALL: &[&Stored] = &[$(&$name),*];
    };
}

stored! {
    CREATE = "create.lua";
    CLAIM = "claim.lua";
    SAVE = "save.lua";
    COMMAND = "command.lua";
    NUDGE = "nudge.lua";
    RENEW = "renew.lua";
    GIVE_BACK = "give_back.lua";
    SPREAD = "spread.lua";
    TAKE_EVENT = "take_event.lua";
    DELIVERED = "delivered.lua";
    POSTPONE = "postpone.lua";
    SKIP = "skip.lua";
    MARK = "mark.lua";
    DEED = "deed.lua";
    TAKE = "take.lua";
    SETTLE = "settle.lua";
    SET_ASIDE = "set_aside.lua";
    RETRY = "retry.lua";
    DROP = "drop.lua";
    PUT_RIGHT = "put_right.lua";
    NOT_RIGHT = "not_right.lua";
    PURGE = "purge.lua";
    AUDIT = "audit.lua";
    SWITCH = "switch.lua";
    NOTE_WORKER = "note_worker.lua";
    CARD = "card.lua";
    POSTPONE_CARD = "postpone_card.lua";
    PASS = "pass.lua";
    MEND_DUE = "mend_due.lua";
    MEND_ENTRY = "mend_entry.lua";
    MEND_LIFE = "mend_life.lua";
}

/// The commands that make all scripts known to Redis.
pub(super) fn load_all() -> Pipeline {
    let mut pipeline = Pipeline::with_capacity(ALL.len());
    for stored in ALL {
        pipeline.cmd("SCRIPT").arg("LOAD").arg(stored.text);
    }
    pipeline
}

/// A call of a script.
pub(super) struct Call {
    stored: &'static Stored,
    keys: Vec<String>,
    args: Vec<Vec<u8>>,
}

impl Call {
    pub(super) const fn new(stored: &'static Stored, keys: Vec<String>) -> Self {
        Self {
            stored,
            keys,
            args: Vec::new(),
        }
    }

    /// What the script is called.
    pub(super) fn name(&self) -> &'static str {
        self.stored.file.trim_end_matches(".lua")
    }

    pub(super) fn arg(mut self, arg: impl Into<Vec<u8>>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub(super) fn number<N: ToString + Copy>(self, number: N) -> Self {
        self.arg(number.to_string())
    }

    pub(super) fn command(&self) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command
            .arg(self.stored.script.get_hash())
            .arg(self.keys.len());
        for key in &self.keys {
            command.arg(key);
        }
        for arg in &self.args {
            command.arg(arg.as_slice());
        }
        command
    }
}

/// The commands of several calls, for one round trip.
pub(super) fn pipeline_of<'a>(calls: impl Iterator<Item = &'a Call>) -> Pipeline {
    let mut pipeline = Pipeline::new();
    for call in calls {
        pipeline.add_command(call.command());
    }
    pipeline
}
