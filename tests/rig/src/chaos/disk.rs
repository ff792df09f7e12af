//! Redis is killed, and its append-only file is cut where nobody was answered yet.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::TimeDelta;
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::time::sleep;

use super::asks::MADE_ELSEWHERE;
use super::beat::Beat;
use super::ground::Ground;
use super::plan::Loss;
use super::tally::Blow;
use crate::redis::Redis;

/// The name of the clock that Redis lives by.
pub(super) const CLOCK: &str = "redis";
/// The beginning of a command, as a crash in the middle of a write leaves it.
const TORN: &[u8] = b"*3\r\n$3\r\nSET\r\n$4\r\ntorn\r\n$90\r\nhalf";

/// How often it is started before the run fails.
const MOST_STARTS: usize = 3;

/// What is done to the file while Redis is dead.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Harm {
    None,
    Cut,
    Torn,
    /// Not while it is dead, but from a moment before: what was answered since is lost.
    Old,
}

/// Kills Redis and starts it again, until faults are over.
pub(super) async fn kill(redis: &mut Redis, ground: &Ground) -> anyhow::Result<()> {
    let mut beat = Beat::of(ground, ground.plan.quotas.redis_kills, 5);
    let harms: &[Harm] = match ground.plan.loss {
        Loss::Unanswered => &[Harm::Cut, Harm::Torn, Harm::None],
        Loss::Answered => &[Harm::Old, Harm::Cut],
    };
    let mut harms = harms.iter().cycle();
    while beat.strikes(ground).await {
        match harms.next() {
            Some(Harm::Old) => set_back(redis, ground, &mut beat.random).await?,
            harm => kill_once(redis, ground, harm, &mut beat.random).await?,
        }
    }
    Ok(())
}

/// No reply passes from before the file's size is noted until Redis is dead: whatever stands in the
/// file after that place was answered to nobody, and a crash may lose any part of it.
async fn kill_once(
    redis: &mut Redis,
    ground: &Ground,
    harm: Option<&Harm>,
    random: &mut StdRng,
) -> anyhow::Result<()> {
    let held = ground.to_redis.hold().await;
    let answered = last_file(&redis.folder())?;
    sleep(Duration::from_millis(random.random_range(5..400))).await;
    redis.kill()?;
    let (file, size) = last_file(&redis.folder())?;
    let blow = match harm {
        // A file that was begun meanwhile holds nothing of which it is known that it was answered.
        Some(Harm::Cut) if answered.0 == file && answered.1 < size => {
            let place = random.random_range(answered.1..size);
            OpenOptions::new().write(true).open(&file)?.set_len(place)?;
            Blow::RedisCut
        }
        Some(Harm::Torn) => {
            let torn = &TORN[..random.random_range(1..TORN.len())];
            OpenOptions::new()
                .append(true)
                .open(&file)?
                .write_all(torn)?;
            Blow::RedisTorn
        }
        _ => Blow::RedisKill,
    };
    held.drop_all();
    sleep(Duration::from_millis(random.random_range(0..1_500))).await;
    bring_back(redis, ground).await?;
    ground.tally.count(blow);
    Ok(())
}

/// Starts it as a service manager does: again, when it ends by itself. A half transaction at the end of
/// one file, and another file begun behind it, make Redis cut the first and give up; the next start
/// finds it whole.
async fn bring_back(redis: &mut Redis, ground: &Ground) -> anyhow::Result<()> {
    for _ in 1..MOST_STARTS {
        if redis.start_again().await.is_ok() {
            return Ok(());
        }
        ground.tally.count(Blow::RedisStartAgain);
    }
    Ok(redis.start_again().await?)
}

/// Redis comes back as it was a moment before its death, and which payments that is about is noted.
async fn set_back(redis: &mut Redis, ground: &Ground, random: &mut StdRng) -> anyhow::Result<()> {
    let (before, place) = last_file(&redis.folder())?;
    sleep(Duration::from_millis(random.random_range(50..800))).await;
    let held = ground.to_redis.hold().await;
    redis.kill()?;
    let (file, _) = last_file(&redis.folder())?;
    let mut blow = Blow::RedisKill;
    // Of a file that was rewritten meanwhile it is not known how it was.
    if before == file {
        let text = fs::read(&file)?;
        let place = usize::try_from(place)?.min(text.len());
        let mut told = ground.told();
        told.lost.extend(named_in(&text[place..]));
        // A payment that is lost does not say any more which hold it took over.
        told.lost.insert(MADE_ELSEWHERE.to_owned());
        drop(told);
        OpenOptions::new()
            .write(true)
            .open(&file)?
            .set_len(place as u64)?;
        blow = Blow::RedisOld;
    }
    held.drop_all();
    bring_back(redis, ground).await?;
    ground.tally.count(blow);
    Ok(())
}

/// The payments that these commands are about.
fn named_in(commands: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(commands);
    let ids = text.match_indices("pay_").map(|(at, _)| {
        let id = text[at..].split(|c: char| c != '_' && !c.is_ascii_alphanumeric());
        id.take(1).collect()
    });
    ids.collect()
}

/// The file that Redis appends to, and how long it is.
fn last_file(folder: &Path) -> anyhow::Result<(PathBuf, u64)> {
    let mut last: Option<(u64, PathBuf)> = None;
    for entry in fs::read_dir(folder.join("appendonlydir"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // appendonly.aof.7.incr.aof
        let number = name.strip_suffix(".incr.aof").and_then(|rest| {
            let (_, number) = rest.rsplit_once('.')?;
            number.parse().ok()
        });
        if let Some(number) = number
            && last.as_ref().is_none_or(|(known, _)| *known < number)
        {
            last = Some((number, path));
        }
    }
    let (_, path) = last.ok_or_else(|| anyhow::anyhow!("Redis keeps no append-only file"))?;
    let size = fs::metadata(&path)?.len();
    Ok((path, size))
}

/// Lets the clock of Redis' machine jump by some seconds until faults are over, and go right again.
pub(super) async fn jump(ground: &Ground) -> anyhow::Result<()> {
    let Some(clocks) = &ground.clocks else {
        return Ok(());
    };
    let half = ground.plan.quotas.jumps.div_ceil(2);
    let mut beat = Beat::of(ground, half, 6);
    while beat.strikes(ground).await {
        let later = TimeDelta::milliseconds(beat.random.random_range(-10_000..15_000));
        clocks.set(CLOCK, later)?;
        ground.tally.count(Blow::RedisClock);
    }
    clocks.set(CLOCK, TimeDelta::zero())
}
