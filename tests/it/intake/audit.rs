//! Whoever asks by a push or at a terminal stands in the audit log, once and by name.

use holdfast::operate::audit::{Questions, Wanted, find, verify};
use holdfast::store::audit::{ActorKind, AuditEntry, Via};

use super::*;

impl Dock {
    /// What the log says, the oldest first.
    async fn log(&self) -> Vec<AuditEntry> {
        let wanted = Wanted {
            limit: 1_000,
            ..Wanted::default()
        };
        let mut found = find(&self.store, &wanted).await.unwrap();
        found.reverse();
        found.into_iter().map(|found| found.entry).collect()
    }

    async fn is_whole(&self) {
        let questions = Questions {
            records_since: Some(Timestamp::UNIX_EPOCH),
            ..Questions::default()
        };
        let told = verify(&self.store, &questions, &|_, _| {}).await.unwrap();
        assert_eq!(told.findings, []);
    }
}

fn who(entry: &AuditEntry) -> (&str, ActorKind, &str, Via) {
    let name = entry.actor.name.as_str();
    (entry.action.as_str(), entry.actor.kind, name, entry.via)
}

fn push_of(key: &str, command: &str) -> Value {
    json!({"v": 1, "push": PUSH, "account": "hotel", "idempotency_key": key,
        "payment_key": "stay", "command": command})
}

#[tokio::test]
async fn a_producer_is_logged_by_the_key_it_signs_with_once_for_each_command() {
    let dock = Dock::with(Rules {
        accept_unsigned: true,
        producers: vec![shop()],
    })
    .await;
    is_recorded(
        &dock
            .answered(authorize("stay", &dock.token()).to_string())
            .await,
    );
    dock.stage.work().await;
    let release = push_of("r1", "release").to_string();
    dock.answered(&release).await;
    dock.answered(&release).await;
    let log = dock.log().await;
    assert_eq!(log.len(), 1, "{log:?}");
    assert_eq!(
        who(&log[0]),
        ("release", ActorKind::Producer, "unsigned", Via::Intake)
    );
    assert_eq!(log[0].answer, "accepted");
    let after = log[0].after.as_ref().unwrap();
    assert_eq!(after["decision"]["outcome"], "release");
    assert_eq!(log[0].before.as_ref().unwrap()["decision"], Value::Null);
    dock.is_whole().await;
}

#[tokio::test]
async fn what_is_typed_is_logged_with_who_and_why() {
    let dock = Dock::open().await;
    let recorded = dock
        .answered(authorize("stay", &dock.token()).to_string())
        .await;
    let id = is_recorded(&recorded).to_string();
    dock.stage.work().await;
    let reschedule = [
        "reschedule",
        &id,
        "--capture-amount",
        "5000",
        "--reason",
        "less was used",
    ];
    dock.line(&reschedule).await.0.unwrap();
    let rerun = ["rerun", &id, "--reason", "key replaced", "--actor", "farid"];
    dock.line(&rerun).await.0.unwrap();
    // What is refused is noted in the record, and in the log.
    let cancel = ["cancel", &id, "--key", "x", "--actor", "farid"];
    dock.line(&cancel).await.0.unwrap_err();
    dock.line(&cancel).await.0.unwrap_err();
    let log = dock.log().await;
    let said: Vec<_> = log
        .iter()
        .map(|entry| {
            (
                who(entry).0,
                who(entry).2,
                entry.reason.as_deref(),
                entry.answer.as_str(),
            )
        })
        .collect();
    let expected = [
        ("reschedule", "aina", Some("less was used"), "accepted"),
        ("rerun", "farid", Some("key replaced"), "accepted"),
        ("cancel", "farid", None, "not_applicable"),
    ];
    assert_eq!(said, expected);
    assert_eq!(
        log[0].after.as_ref().unwrap()["plan"]["capture_amount"],
        5_000
    );
    dock.is_whole().await;
    let (done, told, _) = dock
        .line(&["audit", "list", "--payment", &id, "--actor", "farid"])
        .await;
    done.unwrap();
    assert_eq!(told.lines().count(), 2, "{told}");
    assert!(
        told.lines()
            .last()
            .unwrap()
            .contains("by farid (operator, cli): key replaced")
    );
    let (done, told, _) = dock.line(&["audit", "verify", "--records"]).await;
    done.unwrap();
    assert_eq!(
        told,
        "the audit log is whole: 3 entries read, held against 1 payments\n"
    );
}

#[tokio::test]
async fn a_broken_log_has_an_exit_code_of_its_own_and_an_archive_has_every_entry() {
    let dock = Dock::open().await;
    let recorded = dock
        .answered(authorize("stay", &dock.token()).to_string())
        .await;
    let id = is_recorded(&recorded).to_string();
    dock.stage.work().await;
    for key in ["a", "b", "c"] {
        let rerun = ["rerun", &id, "--key", key, "--reason", "a look"];
        dock.line(&rerun).await.0.unwrap();
    }
    let (_, heads, _) = dock.line(&["audit", "heads"]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("heads.txt");
    std::fs::write(&file, &heads).unwrap();
    let anchored = ["audit", "verify", "--anchor", file.to_str().unwrap()];
    dock.line(&anchored).await.0.unwrap();
    let (_, archive, _) = dock.line(&["audit", "export"]).await;
    assert_eq!(archive.lines().count(), 3);
    let stream = format!(
        "{{hf:{}}}:audit",
        PaymentId::new(&*id).unwrap().spread() % 8
    );
    let line: Value = serde_json::from_str(archive.lines().last().unwrap()).unwrap();
    let entry: AuditEntry = serde_json::from_str(line["entry"].as_str().unwrap()).unwrap();
    assert_eq!(entry.key.unwrap().as_str(), "c");
    dock.ask::<u64>(&["XDEL", &stream, line["place"].as_str().unwrap()])
        .await;
    let (done, told, _) = dock.line(&["audit", "verify"]).await;
    assert_eq!(done.unwrap_err().exit_code(), 7);
    assert!(told.contains("vanished"), "{told}");
    let (done, told, _) = dock.line(&["--json", "audit", "verify"]).await;
    assert_eq!(done.unwrap_err().exit_code(), 7);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["findings"][0]["what"], "vanished");
    dock.line(&anchored).await.0.unwrap_err();
    std::fs::write(&file, "no heads").unwrap();
    assert_eq!(dock.line(&anchored).await.0.unwrap_err().exit_code(), 2);
}

#[tokio::test]
async fn whoever_decides_about_quarantine_is_logged_before_it_is_done() {
    let dock = Dock::open().await;
    dock.push("canary-of-a-push").await;
    dock.take_in().await;
    let id = dock.quarantine().await[0].0.to_string();
    let drop = ["intake", "quarantine", "drop", &id, "--reason", "noise"];
    dock.line(&drop).await.0.unwrap();
    dock.line(&["intake", "quarantine", "purge", "--actor", "farid"])
        .await
        .0
        .unwrap();
    let log = dock.log().await;
    assert_eq!(
        who(&log[0]),
        ("quarantine_drop", ActorKind::Operator, "aina", Via::Cli)
    );
    assert_eq!(
        (log[0].subject.as_ref(), log[0].answer.as_str()),
        (Some(&id), "asked")
    );
    assert_eq!(log[0].reason.as_deref(), Some("noise"));
    assert_eq!(
        (who(&log[1]).0, who(&log[1]).2),
        ("quarantine_purge", "farid")
    );
    assert!(!format!("{log:?}").contains("canary"));
    dock.is_whole().await;
}
