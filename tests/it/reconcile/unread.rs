//! Records that this program cannot read, as while newer workers are brought in: nobody is told that all
//! is well without them.

use super::typed::Typed;
use super::*;

/// Rewrites what is kept of a payment.
async fn rewrite(desk: &Desk<RedisStore>, id: &PaymentId, change: impl FnOnce(&str) -> String) {
    let mut raw = crate::store::on_redis::raw(desk.redis.as_ref().unwrap()).await;
    let key = format!("{{hf:{}}}:payment:{id}", id.spread() % 8);
    let mut get = ::redis::cmd("HGET");
    let body: String = get
        .arg(&key)
        .arg("body")
        .query_async(&mut raw)
        .await
        .unwrap();
    let mut set = ::redis::cmd("HSET");
    set.arg(&key).arg("body").arg(change(&body));
    set.exec_async(&mut raw).await.unwrap();
}

fn newer(body: &str) -> String {
    let changed = body.replacen(r#""v":1"#, r#""v":9"#, 1);
    assert_ne!(changed, body);
    changed
}

#[tokio::test]
async fn records_that_cannot_be_read_are_named_and_the_books_do_not_agree() {
    let desk = Desk::on_redis().await;
    healthy(&desk).await;
    desk.evening();
    let broken = [named("charge"), named("released"), named("waiting")];
    rewrite(&desk, &broken[0], newer).await;
    rewrite(&desk, &broken[1], |_| "{}".to_owned()).await;
    rewrite(&desk, &broken[2], newer).await;
    for statement in [StatementFrom::Nowhere, StatementFrom::Gateway(layout())] {
        let report = desk.reconcile_with(&asking(statement)).await.unwrap();
        assert_eq!(report.verdict(), Verdict::NotAllCompared, "{report:?}");
        assert_eq!(report.not_compared, 3, "{report:?}");
        for id in &broken {
            let named = report.not_compared_listed.iter().find(|it| it.0 == *id);
            let (_, why) = named.unwrap_or_else(|| panic!("{id} in {report:?}"));
            assert!(why.contains("cannot be read"), "{why}");
            assert!(why.contains("of no known account"), "{why}");
        }
        assert_eq!(report.agree, 4);
    }
}

#[tokio::test]
async fn a_list_says_which_records_it_cannot_show() {
    let typed = Typed::start().await;
    let (id, other) = (typed.charge("one").await, typed.charge("two").await);
    let line = ["holdfast", "list", "--state", "paid"];
    let (_, warnings, _) = typed.run(&line).await;
    assert_eq!(warnings, "");
    rewrite(&typed.desk, &id, newer).await;
    let (out, warnings, code) = typed.run(&line).await;
    assert_eq!(code, 0, "{out}");
    assert!(out.contains(other.as_str()) && !out.contains(id.as_str()));
    let told = format!("warning: {id} cannot be read: it has version 9");
    assert!(warnings.contains(&told), "{warnings}");
    let (out, warnings, _) = typed.run(&[&line[..], &["--json"]].concat()).await;
    assert_eq!(warnings, "");
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(told["unreadable"][0]["payment"], json!(id));
    assert_eq!(told["payments"].as_array().unwrap().len(), 1);
    // And whoever only asks how much would be asked learns of it.
    let (told, _) = typed.types(&["--dry-run", "--json"]).await;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&told["look_ups"], &told["unreadable"]),
        (&json!(1), &json!(1))
    );
}

#[tokio::test]
async fn an_audit_log_beside_a_record_that_cannot_be_read_is_not_called_whole() {
    let typed = Typed::start().await;
    let id = typed.charge("silent").await;
    let line = ["holdfast", "audit", "verify", "--records"];
    let (out, _, code) = typed.run(&line).await;
    assert_eq!(code, 0, "{out}");
    rewrite(&typed.desk, &id, newer).await;
    let (out, _, code) = typed.run(&line).await;
    assert_eq!(code, 8, "{out}");
    assert!(out.contains(&format!("not compared: {id}")), "{out}");
    assert!(out.contains("whole as far as"), "{out}");
    let (out, _, code) = typed.run(&[&line[..], &["--json"]].concat()).await;
    assert_eq!(code, 8, "{out}");
    let told: Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
    assert_eq!(told["broken"], false);
    assert_eq!(told["unreadable"][0]["payment"], json!(id), "{told}");
}
