//! Redis: whether it keeps what it is told, how much room it has, and what we may do there.

use super::check::Check;
use crate::clock::Clock;
use crate::store::redis::{Memory, RedisStore, Rights, Vitals};

/// Of the room there is, in percent: from here on it is worth a look.
const ALMOST_FULL_PERCENT: u64 = 80;
/// From here on new payments may be refused at any time.
const FULL_PERCENT: u64 = 95;
/// How many days ahead a full memory is told of.
const WARN_DAYS_AHEAD: u64 = 30;
/// Fewer say nothing about how much room one takes.
const ENOUGH_FOR_A_FORECAST: u64 = 100;

/// Nobody can ask it.
pub(super) fn unreached(why: &str) -> Check {
    let fix = "start Redis, or correct redis.url; workers then continue by themselves";
    Check::wrong("reach", why, fix)
}

pub(super) async fn checks(store: &RedisStore, machine: &Clock) -> Vec<Check> {
    let vitals = match store.vitals(machine).await {
        Ok(vitals) => vitals,
        Err(error) => return vec![unreached(&error.to_string())],
    };
    let mut checks = vec![reach(&vitals)];
    checks.extend(vitals.asked.iter().map(|asked| match &asked.lack {
        None => Check::fine(asked.name, "as the durability profile wants it"),
        Some(lack) => Check::lacking(asked.name, lack),
    }));
    checks.push(match &vitals.deaf {
        None => Check::fine("hints", "workers are woken when there is something to do"),
        Some(lack) => Check::lacking("hints", lack),
    });
    checks.push(memory(&vitals.memory));
    checks.push(super::clocks(vitals.ahead, "Redis"));
    checks.push(rights(&vitals.rights));
    checks.push(match vitals.slow {
        None => Check::not_checked("slow_log", "our user may not read it (SLOWLOG)"),
        Some(slow) => {
            let what = format!("{slow} slow commands are noted; redis-cli SLOWLOG GET shows them");
            Check::fine("slow_log", what)
        }
    });
    checks
}

fn reach(vitals: &Vitals) -> Check {
    let Vitals { version, run, .. } = vitals;
    let up = vitals.up.map_or(String::new(), |up| match up.num_hours() {
        0 => format!(", up for {} min", up.num_minutes()),
        hours @ 1..48 => format!(", up for {hours} h"),
        hours => format!(", up for {} days", hours / 24),
    });
    let rewriting = if vitals.rewriting {
        ", rewriting its file"
    } else {
        ""
    };
    Check::fine(
        "reach",
        format!("version {version}, a master, run {run}{up}{rewriting}"),
    )
}

fn memory(memory: &Memory) -> Check {
    let used = megabytes(memory.used);
    let fix = "raise maxmemory (CONFIG SET maxmemory, and redis.conf) and give the machine as much, or \
               keep finished payments for a shorter time (redis.retention_days)";
    let machine = memory.machine.map_or(String::new(), |machine| {
        format!(" ({})", megabytes(machine))
    });
    let Some(limit) = memory.limit else {
        let what = format!(
            "{used} in use and no maxmemory: when the machine{machine} has no more, the system ends Redis, \
             where Redis would have refused what is new"
        );
        let fix =
            "run CONFIG SET maxmemory with what the machine can spare, and put it into redis.conf";
        return Check::warning("memory", what, fix);
    };
    if memory.machine.is_some_and(|machine| limit > machine) {
        let what = format!(
            "maxmemory is {}, more than the machine has{machine}: the system ends Redis before Redis refuses \
             what is new",
            megabytes(limit)
        );
        let fix =
            "run CONFIG SET maxmemory with what the machine can spare, and put it into redis.conf";
        return Check::warning("memory", what, fix);
    }
    let percent = memory.used.saturating_mul(100) / limit;
    let days = days_left(memory, limit);
    let ahead = days.map_or(String::new(), |days| {
        format!("; at the last day's rate it is full in about {days} days")
    });
    let what = format!("{used} of {} in use, {percent} %{ahead}", megabytes(limit));
    if percent >= FULL_PERCENT {
        let what = format!("{what}: new payments are refused when it is full");
        Check::wrong("memory", what, fix)
    } else if percent >= ALMOST_FULL_PERCENT || days.is_some_and(|days| days < WARN_DAYS_AHEAD) {
        Check::warning("memory", what, fix)
    } else {
        Check::fine("memory", what)
    }
}

/// Rough: all that is in use, divided among the payments that are kept.
fn days_left(memory: &Memory, limit: u64) -> Option<u64> {
    if memory.payments < ENOUGH_FOR_A_FORECAST || memory.lately == 0 {
        return None;
    }
    let each = (memory.used / memory.payments).max(1);
    Some(limit.saturating_sub(memory.used) / each / memory.lately)
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes.div_ceil(1_000_000))
}

fn rights(rights: &Rights) -> Check {
    match rights {
        Rights::Enough => Check::fine("rights", "our user may do all that a worker does"),
        Rights::Unasked => Check::not_checked(
            "rights",
            "our user may not ask what it may do (ACL WHOAMI, ACL DRYRUN), as is well for a worker's; \
             ask as the administrator: redis-cli ACL DRYRUN worker SCAN 0",
        ),
        Rights::Lacking(refused) => Check::warning(
            "rights",
            format!("our user may not {}", refused.join(", ")),
            "if this is the workers' user, give it the rights of deploy/redis/producer.acl with ACL SETUSER; \
             one that only looks needs no more",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operate::doctor::Found;

    fn with(used: u64, limit: Option<u64>, lately: u64) -> Check {
        memory(&Memory {
            used,
            limit,
            machine: None,
            payments: 1_000,
            lately,
        })
    }

    #[test]
    fn memory_is_told_before_it_is_full() {
        let gigabyte = 1_000_000_000;
        // 10 kB each: 100,000 in a gigabyte.
        assert_eq!(with(10_000_000, Some(gigabyte), 100).found, Found::Fine);
        let soon = with(10_000_000, Some(gigabyte), 10_000);
        assert_eq!(soon.found, Found::Warning);
        assert!(soon.what.contains("full in about 9 days"), "{}", soon.what);
        assert_eq!(with(850_000_000, Some(gigabyte), 0).found, Found::Warning);
        assert_eq!(with(960_000_000, Some(gigabyte), 0).found, Found::Wrong);
        let unbounded = with(10_000_000, None, 0);
        assert_eq!(unbounded.found, Found::Warning);
        assert!(unbounded.fix.unwrap().contains("maxmemory"));
        let small = Memory {
            used: 10_000_000,
            limit: Some(2 * gigabyte),
            machine: Some(gigabyte),
            payments: 0,
            lately: 0,
        };
        let beyond = super::memory(&small);
        assert_eq!(beyond.found, Found::Warning);
        assert!(beyond.what.contains("1000 MB"), "{}", beyond.what);
    }
}
