//! Statements that lie on another server, and gateways that make none.

use std::sync::{Arc, Mutex};

use holdfast::gateway::NoStatement;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const ID: &str = "5a9e3c1c-0000-4000-8000-000000000042";

/// A server that answers every request in the same way, and keeps what it was asked.
struct Server {
    origin: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn answering(body: impl Fn(&str) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut head = vec![0; 8_192];
                let length = socket.read(&mut head).await.unwrap_or(0);
                let head = String::from_utf8_lossy(&head[..length]).to_lowercase();
                let body = body(&head);
                kept.lock().unwrap().push(head);
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = socket.write_all(answer.as_bytes()).await;
            }
        });
        Self { origin, heads }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// A gateway whose statement has this status and lies there.
async fn gateway_with(status: &str, link: &str) -> Server {
    let shown = json!({"id": ID, "status": status, "download_url": link}).to_string();
    Server::answering(move |_| shown.clone()).await
}

/// What comes of comparing without any record.
async fn compared(base: &Server) -> Result<Report, Stopped> {
    let clock = Clock::manual(start_time());
    let store = MemoryStore::new(clock.clone(), 30_000);
    let gateway = gateway(&format!("{}/api/v1/", base.origin), &clock);
    let books = Books {
        store: &store,
        gateway: &gateway,
        clock: &clock,
        pace: Pace { polls: 2, ..PACE },
    };
    let asked = asking(StatementFrom::Gateway(layout()));
    books.reconcile(&asked, &mut |_: Progress| {}).await
}

#[tokio::test]
async fn our_key_goes_to_the_gateway_and_to_nobody_else() {
    let csv = format!(
        "id,status,reference,amount,currency,paid_on\n{ID},paid,,15.00,MYR,2027-01-31 06:00:00\n"
    );
    let files = Server::answering(move |_| csv.clone()).await;
    let link = format!("{}/secret/statement.csv", files.origin);
    let base = gateway_with("success", &link).await;
    let report = compared(&base).await.unwrap();
    assert_eq!(kinds(&report), [Kind::PaidWithoutRecord]);
    let [scheduled, read] = &base.heads()[..] else {
        panic!("{:?}", base.heads());
    };
    for head in [scheduled, read] {
        assert!(head.contains("authorization: bearer"), "{head}");
    }
    for part in [
        "post /api/v1/company_statements/",
        "paid_from=",
        "brand_id=",
    ] {
        assert!(scheduled.contains(part), "{scheduled}");
    }
    let [fetched] = &files.heads()[..] else {
        panic!("{:?}", files.heads());
    };
    assert!(
        fetched.starts_with("get /secret/statement.csv"),
        "{fetched}"
    );
    assert!(!fetched.contains("authorization"), "{fetched}");
}

#[tokio::test]
async fn a_statement_that_will_never_be_there_is_not_waited_for() {
    for (status, told) in [("error", "error"), ("pending", "not made in time")] {
        let base = gateway_with(status, "").await;
        let stopped = compared(&base).await.unwrap_err();
        let Stopped::NoStatement(NoStatement::Unreadable(why)) = &stopped else {
            panic!("{stopped:?}");
        };
        assert!(why.contains(told), "{why}");
        let advice = stopped.to_string();
        assert!(advice.contains("--statement") && advice.contains("--no-statement"));
    }
}
