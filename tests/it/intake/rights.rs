//! What the Redis user of a producer may do, and what not.

use super::*;

/// The words of the line that is shipped.
fn rule() -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/redis/producer.acl");
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let rule = lines
        .next()
        .unwrap()
        .split(' ')
        .map(ToOwned::to_owned)
        .collect();
    assert_eq!(lines.next(), None, "a file of users has no comments");
    rule
}

async fn as_producer(dock: &Dock) -> redis::aio::MultiplexedConnection {
    let rule = rule();
    let mut words = vec!["ACL", "SETUSER"];
    words.extend(rule[1..].iter().map(String::as_str));
    dock.ask::<()>(&words).await;
    let connection = raw(dock.redis.url()).await;
    let mut auth = connection.clone();
    let mut command = redis::cmd("AUTH");
    command.arg("shop").arg("CHANGE-ME");
    command.query_async::<()>(&mut auth).await.unwrap();
    connection
}

#[tokio::test]
async fn a_producer_may_push_read_its_answers_and_give_a_hint() {
    let dock = Dock::open().await;
    let mut producer = as_producer(&dock).await;
    let element = charge("one", &dock.token(), 1_500).to_string();
    for partition in 0..8 {
        let mut push = redis::cmd("RPUSH");
        push.arg(format!("{{hf:{partition}}}:intake")).arg(&element);
        push.query_async::<i64>(&mut producer).await.unwrap();
    }
    let mut hint = redis::cmd("PUBLISH");
    hint.arg("hf:wake").arg("");
    hint.query_async::<i64>(&mut producer).await.unwrap();
    dock.take_in().await;
    let mut answer = redis::cmd("HGET");
    answer
        .arg(format!("hf:answer:hotel:{}", sha256("one")))
        .arg(sha256(&element));
    let told: String = answer.query_async(&mut producer).await.unwrap();
    is_recorded(&serde_json::from_str(&told).unwrap());
}

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "one table")]
async fn a_producer_may_do_nothing_else() {
    let dock = Dock::open().await;
    let element = charge("one", &dock.token(), 1_500).to_string();
    let id = is_recorded(&dock.answered(&element, "one").await);
    dock.push("poison").await;
    dock.take_in().await;
    let rental = element.replace("hotel", "rental");
    dock.push(&rental).await;
    dock.take_in().await;
    assert!(dock.answer("rental", "one", &rental).await.is_some());
    let payment: Vec<String> = dock.ask(&["KEYS", &format!("*:payment:{id}")]).await;
    let (payment, own) = (
        payment[0].as_str(),
        format!("hf:answer:hotel:{}", sha256("one")),
    );
    let other = format!("hf:answer:rental:{}", sha256("one"));
    let fields = ["HGETALL", payment];
    let refused: &[&[&str]] = &[
        &["LRANGE", INTAKE, "0", "-1"],
        &["LLEN", INTAKE],
        &["LPOP", INTAKE],
        &["LTRIM", INTAKE, "1", "0"],
        &["LREM", INTAKE, "0", "x"],
        &["LPUSH", INTAKE, "x"],
        &["LSET", INTAKE, "0", "x"],
        &["DEL", INTAKE],
        &["EXPIRE", INTAKE, "1"],
        &["RENAME", INTAKE, "x"],
        &["RPUSH", LEASE, "x"],
        &["SET", LEASE, "x"],
        &["RPUSH", "elsewhere", "x"],
        &["RPUSH", "{hf:0}:quarantine", "x"],
        &["RPUSH", "{hf:10}:intake", "x"],
        &["RPUSH", &own, "x"],
        &["HSET", &own, "x", "y"],
        &["DEL", &own],
        &["HGETALL", &other],
        &fields,
        &["HGET", payment, "body"],
        &["HGETALL", "{hf:0}:quarantine"],
        &["HGETALL", "{hf:0}:quarantine:bytes"],
        &["HGET", INTAKE, "x"],
        &["XADD", "{hf:0}:events", "*", "event", "{}"],
        &["XREAD", "STREAMS", "{hf:0}:events", "0"],
        &["ZRANGE", "{hf:0}:due", "0", "-1"],
        &["PUBLISH", "elsewhere", ""],
        &["SUBSCRIBE", "hf:wake"],
        &["EVAL", "return 1", "0"],
        &["FUNCTION", "LIST"],
        &["MULTI"],
        &["KEYS", "*"],
        &["SCAN", "0"],
        &["SELECT", "1"],
        &["CONFIG", "GET", "*"],
        &["ACL", "LIST"],
        &["CLIENT", "LIST"],
        &["MONITOR"],
        &["INFO"],
        &["FLUSHALL"],
        &["SHUTDOWN"],
        &["SAVE"],
        &["REPLICAOF", "NO", "ONE"],
        &["MOVE", INTAKE, "1"],
        &["DUMP", payment],
        &["SORT", INTAKE],
    ];
    let mut producer = as_producer(&dock).await;
    for words in refused {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        let done = command.query_async::<redis::Value>(&mut producer).await;
        let error = done.expect_err(&words.join(" "));
        assert_eq!(error.code(), Some("NOPERM"), "{words:?}: {error}");
    }
}

#[test]
fn the_readme_shows_the_rule_that_is_shipped_and_tried() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains(&rule().join(" ")));
}
