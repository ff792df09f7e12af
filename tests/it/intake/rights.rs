//! What the Redis user of a producer may do, and what not.

use holdfast::store::{Store as _, Then};

use super::*;
use holdfast::store::audit::{AuditEntry, AuditStream, Mandate};

const USERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/redis/producer.acl");

/// What is shipped for the producer, which comes last.
fn rule() -> String {
    let users = std::fs::read_to_string(USERS).unwrap();
    users.lines().last().unwrap().to_owned()
}

/// Makes the producer known to Redis.
pub(super) async fn let_in(dock: &Dock) {
    let rule = rule();
    let mut words = vec!["ACL", "SETUSER"];
    words.extend(rule.split(' ').skip(1));
    dock.ask::<()>(&words).await;
}

async fn as_producer(dock: &Dock) -> redis::aio::MultiplexedConnection {
    let_in(dock).await;
    let connection = raw(dock.redis.url()).await;
    let mut auth = connection.clone();
    let mut command = redis::cmd("AUTH");
    command.arg("shop").arg("CHANGE-ME");
    command.query_async::<()>(&mut auth).await.unwrap();
    connection
}

/// A Redis whose users are those of the file that is shipped, and nothing else.
struct Shipped {
    folder: tempfile::TempDir,
    process: std::process::Child,
}

impl Drop for Shipped {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Shipped {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display().to_string();
        let process = std::process::Command::new("redis-server")
            .args(["--port", "0", "--unixsocket", &format!("{path}/redis.sock")])
            .args(["--dir", &path, "--logfile", &format!("{path}/redis.log")])
            .args([
                "--appendonly",
                "yes",
                "--appendfsync",
                "always",
                "--save",
                "",
            ])
            .args(["--aclfile", USERS])
            .spawn();
        let shipped = Self {
            folder,
            process: process.unwrap(),
        };
        let socket = shipped.folder.path().join("redis.sock");
        for _ in 0..2_000 {
            if std::os::unix::net::UnixStream::connect(&socket).is_ok() {
                return shipped;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("redis-server does not start on what is shipped");
    }

    fn url(&self, credentials: &str) -> String {
        format!(
            "unix://{}/redis.sock{credentials}",
            self.folder.path().display()
        )
    }

    /// What Redis says line by line to these commands on one connection.
    async fn says(&self, commands: &[&str]) -> Vec<String> {
        use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
        let socket = tokio::net::UnixStream::connect(self.folder.path().join("redis.sock"));
        let mut socket = BufReader::new(socket.await.unwrap());
        let mut told = Vec::new();
        for command in commands {
            let line = format!("{command}\r\n");
            socket.write_all(line.as_bytes()).await.unwrap();
            let mut answer = String::new();
            socket.read_line(&mut answer).await.unwrap();
            told.push(answer.trim().to_owned());
        }
        told
    }
}

#[tokio::test]
async fn redis_on_the_shipped_users_is_shut_to_whoever_names_none_and_a_worker_can_work() {
    let redis = Shipped::start().await;
    let bare = redis.says(&["GET x", "CONFIG GET dir", "FLUSHALL"]).await;
    let producer = redis
        .says(&["AUTH shop CHANGE-ME", "GET x", "RESET", "GET x", "FLUSHALL"])
        .await;
    assert_eq!(producer[0], "+OK");
    for told in bare
        .iter()
        .chain(&producer[1..])
        .filter(|told| *told != "+RESET")
    {
        let shut = told.starts_with("-NOAUTH") || told.starts_with("-NOPERM");
        assert!(shut, "{told}");
    }
    let clock = Clock::manual(start_time());
    let url = redis.url("?user=worker&pass=CHANGE-ME-TOO");
    let store = RedisStore::connect(settings(url), clock.clone()).await;
    let store = Arc::new(store.unwrap());
    let producers = Arc::new(Producers::new(Rules {
        accept_unsigned: true,
        producers: Vec::new(),
    }));
    let intake = Dock::intake_over(&store, &clock, &producers);
    let mut shop = raw(redis.url("?user=shop&pass=CHANGE-ME")).await;
    let element = charge("one", "a-token", 1_500).to_string();
    let mut push = redis::cmd("RPUSH");
    push.arg(INTAKE).arg(&element);
    push.query_async::<i64>(&mut shop).await.unwrap();
    assert_eq!(intake.round().await.unwrap(), 1);
    let mut get = redis::cmd("GET");
    get.arg(answer_at("hotel", &element));
    let told: String = get.query_async(&mut shop).await.unwrap();
    let id = is_recorded(&serde_json::from_str(&told).unwrap());
    // What a worker does beside: all of it is allowed.
    let mut claims = store.claim(1).await.unwrap().claims;
    let mut claim = claims.pop().unwrap();
    store.save(&mut claim, Then::Keep).await.unwrap();
    store.renew(&[claim.key.clone()]).await.unwrap();
    store.nudge(&id).await.unwrap();
    store.stats().await.unwrap();
    store.inspect().await.unwrap();
    store.quarantine(1).await.unwrap();
    store.switches().await.unwrap();
    store.forget_workers(&["gone".to_owned()]).await.unwrap();
    let facts = store.audit_facts(AuditStream::Desk).await.unwrap();
    assert_eq!(facts, None);
    let by = Mandate::typed_by("aisyah");
    let intent = AuditEntry::intent(&by, "endpoint_enable", Some("shop"), clock.now());
    store.note_intent(&intent).await.unwrap();
    let facts = store.audit_facts(AuditStream::Desk).await.unwrap();
    assert_eq!(facts.unwrap().length, 1);
    assert!(store.durability().is_ok());
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
    let mut answer = redis::cmd("GET");
    answer.arg(answer_at("hotel", &element));
    let told: String = answer.query_async(&mut producer).await.unwrap();
    is_recorded(&serde_json::from_str(&told).unwrap());
}

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "one table")]
async fn a_producer_may_do_nothing_else() {
    let dock = Dock::open().await;
    let element = charge("one", &dock.token(), 1_500).to_string();
    let id = is_recorded(&dock.answered(&element).await);
    dock.push("poison").await;
    dock.take_in().await;
    let rental = element.replace("hotel", "rental");
    dock.push(&rental).await;
    dock.take_in().await;
    assert!(dock.answer("rental", &rental).await.is_some());
    let payment: Vec<String> = dock.ask(&["KEYS", &format!("*:payment:{id}")]).await;
    let (payment, own) = (payment[0].as_str(), answer_at("hotel", &element));
    let other = answer_at("rental", &rental);
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
        // Nobody looks there.
        &["RPUSH", "{hf:8}:intake", "x"],
        &["RPUSH", "{hf:9}:intake", "x"],
        &["RPUSH", "{hf:a}:intake", "x"],
        &["RPUSH", &own, "x"],
        &["SET", &own, "y"],
        &["DEL", &own],
        &["GET", &other],
        &fields,
        &["HGET", payment, "body"],
        &["HGETALL", "{hf:0}:quarantine"],
        &["HGETALL", "{hf:0}:quarantine:bytes"],
        &["GET", INTAKE],
        &["GET", LEASE],
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
fn the_page_shows_the_rule_that_is_shipped_and_tried() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/redis-intake.md");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains(&rule()));
}
