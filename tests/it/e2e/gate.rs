//! People stop an account under load, see that nothing starts, and let it go on: no worker is started
//! again for it.

use std::process::Command;
use std::time::Duration;

use chip_sandbox::Operation;
use holdfast_rig::{PARKS, Pace, RESENDS, Works};
use tokio::time::Instant;

use super::stage::{
    arrived, assert_alive, assert_paid_once, binary, charges, load_all, until, until_paid, works,
};

/// What is typed where a worker runs.
fn typed(works: &Works, line: &[&str]) -> String {
    let command = works.command();
    let done = Command::new(binary())
        .arg("--config")
        .arg(&command.config)
        .args(line)
        .env_clear()
        .envs(command.env.iter().map(|(key, value)| (key, value)))
        .env("USER", "aina")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&done.stdout).into_owned();
    let error = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{line:?}: {told}{error}");
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_account_starts_nothing_and_goes_on_without_a_restart() {
    let pace = Pace {
        lease_ms: 10_000,
        deadline_ms: 5_000,
        quiet_ms: 16_000,
        concurrency: 16,
    };
    let (works, token) = works(pace).await;
    let mut workers = [works.worker("one").unwrap(), works.worker("two").unwrap()];
    until(&works, "two workers", async || {
        works.store.workers().await.unwrap().read.len() == 2
    })
    .await;
    let told = typed(&works, &["pause", "--account", PARKS, "--reason", "a test"]);
    assert!(told.contains("2 of 2 workers have seen it"), "{told}");
    let before = arrived(&works, Operation::Create);
    let paused = charges(&works, PARKS, "paused", 20, &token).await;
    let others = charges(&works, RESENDS, "others", 20, &token).await;
    until_paid(&works, others.len()).await;
    until(&works, "all that is paused was looked at", async || {
        let now = works.clock.now();
        let all = load_all(&works, &paused).await;
        all.iter()
            .all(|one| !one.claimed && one.due.is_some_and(|due| due > now))
    })
    .await;
    let created = arrived(&works, Operation::Create) - before;
    assert_eq!(created, others.len());
    let told = typed(
        &works,
        &["resume", "--account", PARKS, "--reason", "a test"],
    );
    assert!(told.contains("goes on"), "{told}");
    let resumed = Instant::now();
    until_paid(&works, paused.len() + others.len()).await;
    let took = resumed.elapsed();
    assert!(took < Duration::from_secs(30), "it took {took:?}");
    assert_paid_once(&works, &paused).await;
    assert_paid_once(&works, &others).await;
    workers.iter_mut().for_each(assert_alive);
}
