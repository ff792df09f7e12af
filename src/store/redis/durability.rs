//! What Redis says about itself, and whether that is enough to move money.

use redis::{Pipeline, Value};

use super::settings::Profile;
use super::value;
use crate::store::NotDurable;

/// What tells one life of a Redis from another: after a restart or a failover it differs, and
/// what was known about claims may be known no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lineage {
    run_id: String,
    replication_id: String,
    role: String,
}

impl Lineage {
    /// The beginning of the run's id, which is enough to tell it from the runs before.
    pub(super) fn run(&self) -> &str {
        self.run_id.get(..8).unwrap_or(&self.run_id)
    }
}

/// One thing that a profile asks of Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// What it is called.
    pub name: &'static str,
    /// What is missing; and, behind a semicolon, how to put it right.
    pub lack: Option<String>,
}

impl Asked {
    const fn new(name: &'static str, lack: Option<String>) -> Self {
        Self { name, lack }
    }
}

/// What Redis says about itself.
#[derive(Debug, Clone)]
pub(super) struct Inspection {
    pub(super) version: String,
    pub(super) lineage: Lineage,
    mode: String,
    /// Whether it is still reading what it kept; until then it says of itself what is not so.
    pub(super) loading: bool,
    policy: String,
    replicas: String,
    append_only: String,
    append_status: String,
    pub(super) rewriting: bool,
    append_base_size: String,
    /// Whether the append-only file is only being made, so that there is nothing yet to read back.
    append_unmade: bool,
    /// `None` when CONFIG is forbidden.
    append_fsync: Option<String>,
    append_fsync_pauses: Option<String>,
    /// What was answered to a hint on the wake-up channel, if it was refused.
    hint_refused: Option<String>,
}

/// The question. With a hint to all workers in it: whether one may be given is part of it.
pub(super) fn question(wake_up: &str) -> Pipeline {
    let mut pipeline = Pipeline::with_capacity(6);
    for section in ["server", "replication", "memory", "persistence"] {
        pipeline.cmd("INFO").arg(section);
    }
    pipeline.cmd("PUBLISH").arg(wake_up).arg("");
    pipeline
        .cmd("CONFIG")
        .arg("GET")
        .arg("appendfsync")
        .arg("no-appendfsync-on-rewrite");
    pipeline
}

/// A setting among the pairs that CONFIG GET answers, in whatever order.
fn setting(config: Option<&Value>, name: &str) -> Option<String> {
    let pairs = config.map(value::items)?.as_chunks::<2>().0;
    let found = pairs
        .iter()
        .find(|[key, _]| value::text(key) == Some(name))?;
    value::text(&found[1]).map(ToOwned::to_owned)
}

impl Inspection {
    /// Reads the answers to [`question`].
    pub(super) fn read(answers: &[Value]) -> Self {
        let (config, info_and_hint) = answers
            .split_last()
            .map_or((None, answers), |(c, i)| (Some(c), i));
        let info: String = info_and_hint
            .iter()
            .filter_map(value::text)
            .collect::<Vec<_>>()
            .join("\n");
        let field = |name: &str| {
            info.lines()
                .filter_map(|line| line.trim_end().split_once(':'))
                .find(|(key, _)| *key == name)
                .map_or(String::new(), |(_, value)| value.to_owned())
        };
        let valkey = field("valkey_version");
        let hint_refused = match info_and_hint.last() {
            Some(Value::ServerError(error)) => Some(error.code().to_owned()),
            _ => None,
        };
        let mode = [field("redis_mode"), field("server_mode")];
        let rewriting =
            field("aof_rewrite_in_progress") == "1" || field("aof_rewrite_scheduled") == "1";
        Self {
            version: if valkey.is_empty() {
                field("redis_version")
            } else {
                valkey
            },
            lineage: Lineage {
                run_id: field("run_id"),
                replication_id: field("master_replid"),
                role: field("role"),
            },
            mode: mode.concat(),
            loading: field("loading") == "1",
            policy: field("maxmemory_policy"),
            replicas: field("connected_slaves"),
            append_only: field("aof_enabled"),
            append_status: field("aof_last_write_status"),
            rewriting,
            append_base_size: field("aof_base_size"),
            append_unmade: false,
            append_fsync: setting(config, "appendfsync"),
            append_fsync_pauses: setting(config, "no-appendfsync-on-rewrite"),
            hint_refused,
        }
    }

    /// Judges the append-only file by what was seen of the same Redis before, if anything was. A
    /// rewrite of a file that was there is no reason to stop; one that makes the file is, and the two
    /// look alike.
    pub(super) fn after(mut self, before: Option<&Self>) -> Self {
        let before = before.filter(|before| before.lineage == self.lineage);
        let made = before.map_or(self.append_base_size != "0", |before| {
            before.append_only == "1" && !before.append_unmade
        });
        self.append_unmade = self.rewriting && !made;
        self
    }

    /// What workers lack to be woken, if the hints are refused.
    pub(super) fn deafness(&self) -> Option<String> {
        let code = self.hint_refused.as_ref()?;
        Some(format!(
            "refuses the hints that wake workers ({code} to PUBLISH); allow the user the channel, \
             such as ACL SETUSER holdfast &hf:*"
        ))
    }

    /// Whether it can be worked with at all: what is wrong and how to put it right, if not.
    pub(super) fn check_usable(&self) -> Result<(), String> {
        let major: u32 = self
            .version
            .split('.')
            .next()
            .and_then(|n| n.parse().ok())
            .unwrap_or(0);
        if major < 7 {
            return Err(format!(
                "is version {:?}; Holdfast needs Redis 7.0 or Valkey 7.2, or later",
                self.version
            ));
        }
        if self.lineage.role != "master" {
            return Err(format!(
                "has the role {:?}; set the address of the master",
                self.lineage.role
            ));
        }
        if !matches!(self.mode.as_str(), "standalone" | "") {
            return Err(format!(
                "runs in the mode {:?}; this version works with one Redis that is no cluster and \
                 no sentinel",
                self.mode
            ));
        }
        Ok(())
    }

    /// Whether money may move under `profile`: what is missing, if not.
    pub(super) fn check_durable(&self, profile: Profile) -> Result<(), NotDurable> {
        self.shortfall(profile).map_or(Ok(()), |problem| {
            Err(NotDurable {
                profile: profile.as_str(),
                problem,
            })
        })
    }

    fn shortfall(&self, profile: Profile) -> Option<String> {
        let mut asked = self.asked(profile).into_iter();
        asked.find_map(|asked| asked.lack)
    }

    /// All that `profile` asks of Redis, the gravest first.
    pub(super) fn asked(&self, profile: Profile) -> Vec<Asked> {
        let evicts = (self.policy != "noeviction").then(|| {
            format!(
                "maxmemory-policy is {:?}, so Redis may throw payments away; run CONFIG SET \
                 maxmemory-policy noeviction and put it into redis.conf",
                self.policy
            )
        });
        let mut all = vec![Asked::new("eviction", evicts)];
        match profile {
            Profile::Dev => {}
            Profile::Replicated => {
                let lack = "it is not built yet; use solo on a Redis whose disk you trust";
                all.push(Asked::new("replicated", Some(lack.to_owned())));
            }
            Profile::Solo => all.extend([
                Asked::new("append_only", self.keeps_nothing()),
                Asked::new("append_file", self.is_unmade()),
                Asked::new("replicas", self.is_replicated()),
                Asked::new("fsync_on_rewrite", self.pauses_fsync()),
                Asked::new("fsync", self.syncs_late()),
                Asked::new("disk", self.cannot_write()),
            ]),
        }
        all
    }

    fn keeps_nothing(&self) -> Option<String> {
        (self.append_only != "1").then(|| {
            "appendonly is \"no\", so a restart loses payments; run CONFIG SET appendonly yes, \
             put it into redis.conf, and wait until the first file is written"
                .to_owned()
        })
    }

    fn is_unmade(&self) -> Option<String> {
        self.append_unmade.then(|| {
            "the first append-only file is still being written (aof_rewrite_in_progress), and \
             until then a restart loses what was answered; it ends by itself"
                .to_owned()
        })
    }

    fn is_replicated(&self) -> Option<String> {
        (!matches!(self.replicas.as_str(), "0" | "")).then(|| {
            format!(
                "connected_slaves is {}: a replica that takes over may not have the last writes, \
                 and this profile does not wait for it; detach the replicas",
                self.replicas
            )
        })
    }

    fn pauses_fsync(&self) -> Option<String> {
        let pauses = self.append_fsync_pauses.as_deref().filter(|p| *p != "no")?;
        Some(format!(
            "no-appendfsync-on-rewrite is {pauses:?}, so nothing is on disk while Redis \
             rewrites its file; run CONFIG SET no-appendfsync-on-rewrite no and put it into \
             redis.conf"
        ))
    }

    fn syncs_late(&self) -> Option<String> {
        match self.append_fsync.as_deref() {
            Some("always") => None,
            Some(other) => Some(format!(
                "appendfsync is {other:?}, so a crash loses what was answered already; run \
                 CONFIG SET appendfsync always and put it into redis.conf"
            )),
            None => Some(
                "appendfsync cannot be read because CONFIG is refused; allow CONFIG GET \
                 (+config|get) to this user, or do not rename the command"
                    .to_owned(),
            ),
        }
    }

    fn cannot_write(&self) -> Option<String> {
        (self.append_status != "ok").then(|| {
            format!(
                "aof_last_write_status is {:?}: Redis cannot write to its disk; free space on it \
                 or mend it",
                self.append_status
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: [&str; 4] = [
        "redis_version:7.0.15\r\nrun_id:aaa\r\nredis_mode:standalone\r\n",
        "role:master\r\nmaster_replid:bbb\r\nconnected_slaves:0\r\n",
        "maxmemory_policy:noeviction\r\n",
        "aof_enabled:1\r\naof_rewrite_in_progress:0\r\naof_last_write_status:ok\r\naof_base_size:0\r\n",
    ];

    fn answers(from: &str, to: &str, pauses: &str) -> Vec<Value> {
        let bulk = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let mut answers: Vec<Value> = SOUND
            .iter()
            .map(|text| bulk(&text.replace(from, to)))
            .collect();
        answers.push(Value::Int(0));
        let config = ["no-appendfsync-on-rewrite", pauses, "appendfsync", "always"];
        let config = config.map(|text| bulk(&text.replace(from, to)));
        answers.push(Value::Array(config.to_vec()));
        answers
    }

    fn seen(from: &str, to: &str) -> Inspection {
        Inspection::read(&answers(from, to, "no")).after(None)
    }

    #[test]
    fn solo_refuses_a_redis_that_does_not_sync_while_it_rewrites() {
        let seen = Inspection::read(&answers("", "", "yes")).after(None);
        let lack = seen.check_durable(Profile::Solo).unwrap_err();
        assert!(lack.problem.contains("no-appendfsync-on-rewrite"), "{lack}");
    }

    #[test]
    fn a_sound_redis_is_good_enough() {
        let seen = seen("", "");
        seen.check_usable().unwrap();
        seen.check_durable(Profile::Solo).unwrap();
    }

    #[test]
    fn a_redis_that_cannot_write_to_its_disk_moves_no_money() {
        let lack = seen("status:ok", "status:err")
            .check_durable(Profile::Solo)
            .unwrap_err();
        assert!(lack.problem.contains("aof_last_write_status"), "{lack}");
    }

    #[test]
    fn solo_refuses_whatever_may_lose_what_was_answered() {
        for (from, to, named) in [
            ("aof_enabled:1", "aof_enabled:0", "appendonly"),
            ("in_progress:0", "in_progress:1", "aof_rewrite_in_progress"),
            ("slaves:0", "slaves:1", "connected_slaves"),
            ("always", "everysec", "appendfsync"),
        ] {
            let seen = seen(from, to);
            let lack = seen.check_durable(Profile::Solo).unwrap_err();
            assert!(lack.problem.contains(named), "{lack}");
            seen.check_durable(Profile::Dev).unwrap();
        }
    }

    #[test]
    fn the_first_rewrite_of_a_sound_file_stops_no_money() {
        let sound = seen("", "");
        let rewriting = seen("in_progress:0", "in_progress:1").after(Some(&sound));
        rewriting.check_durable(Profile::Solo).unwrap();
        let later = seen("in_progress:0", "in_progress:1").after(Some(&rewriting));
        later.check_durable(Profile::Solo).unwrap();
    }

    #[test]
    fn append_only_switched_off_and_on_is_unmade_until_the_rewrite_ends() {
        let off = seen("aof_enabled:1", "aof_enabled:0");
        let on = seen("in_progress:0", "in_progress:1").after(Some(&off));
        on.check_durable(Profile::Solo).unwrap_err();
        let still = seen("in_progress:0", "in_progress:1").after(Some(&on));
        still.check_durable(Profile::Solo).unwrap_err();
        let made = seen("", "").after(Some(&still));
        made.check_durable(Profile::Solo).unwrap();
    }

    #[test]
    fn a_cluster_is_refused_by_name() {
        for (from, to) in [
            ("standalone", "cluster"),
            ("redis_mode:standalone", "server_mode:cluster"),
        ] {
            let told = seen(from, to).check_usable().unwrap_err();
            assert!(told.contains("cluster"), "{told}");
        }
    }

    #[test]
    fn what_is_too_old_or_a_replica_is_not_used() {
        for (from, to) in [
            ("7.0.15", "6.2.14"),
            ("7.0.15", ""),
            ("role:master", "role:slave"),
        ] {
            seen(from, to).check_usable().unwrap_err();
        }
        // Valkey calls itself Redis 7.2 for the sake of old clients, and then says who it is.
        let valkey = seen("7.0.15", "7.2.4\r\nvalkey_version:8.1.0");
        assert_eq!(valkey.version, "8.1.0");
        valkey.check_usable().unwrap();
    }

    #[test]
    fn a_restart_a_failover_and_a_change_of_role_change_the_lineage() {
        let sound = seen("", "").lineage;
        for (from, to) in [
            ("aaa", "ccc"),
            ("bbb", "ccc"),
            ("role:master", "role:slave"),
        ] {
            assert_ne!(seen(from, to).lineage, sound);
        }
    }
}
