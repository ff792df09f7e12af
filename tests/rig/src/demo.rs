//! The scenes of `make demo`.

#![allow(clippy::print_stdout, reason = "what people see")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, ensure};
use chip_sandbox::{Effect, Operation, Rule, TestCard, Time};
use chrono::{SecondsFormat, TimeDelta};
use holdfast::payment::{Payment, PaymentId, Request, State, StateName};

use crate::books::{Line, compare};
use crate::fleet::WorkerProcess;
use crate::works::{PARKS, Pace, RESENDS, Works};

const PATIENCE: Duration = Duration::from_secs(15);
const CUSTOMER: &str = r#""customer":{"email":"guest@test.example","full_name":"Test Guest"}"#;

/// A demo that is running.
pub struct Demo {
    works: Works,
    workers: Vec<WorkerProcess>,
    told: Vec<(PaymentId, String)>,
    listen: String,
}

impl Demo {
    /// Starts Redis, sandbox and two workers, and registers a webhook from the one to the other.
    pub async fn start() -> anyhow::Result<Self> {
        say("starting a private Redis (appendonly yes, appendfsync always) and the sandbox");
        let sandbox = chip_sandbox::Config {
            time: Time::System,
            silence_cap: Duration::from_secs(5),
            ..chip_sandbox::Config::default()
        };
        let mut works = Works::start(Pace::QUICK, sandbox, None).await?;
        let listen = free_address()?;
        let key = register_webhook(&works, &format!("http://{listen}/webhooks/chip/{PARKS}"))?;
        let key_file = works.folder().join("webhook.pem");
        std::fs::write(&key_file, key)?;
        works.set(
            "HOLDFAST__ACCOUNTS__HOTEL__WEBHOOK_PUBLIC_KEY_FILES",
            key_file.display().to_string(),
        );
        works.set("HOLDFAST__HTTP__LISTEN", listen.clone());
        say("starting worker 1, which also listens for webhooks, and worker 2");
        let one = works.worker("worker-1")?;
        works.set("HOLDFAST__HTTP__LISTEN", "");
        let two = works.worker("worker-2")?;
        Ok(Self {
            works,
            workers: vec![one, two],
            told: Vec::new(),
            listen,
        })
    }

    /// Everything that is shown.
    pub async fn scenes(&mut self) -> anyhow::Result<()> {
        let token = self.save_a_card().await?;
        self.holds(&token).await?;
        self.charges(&token).await?;
        self.kill_a_worker(&token).await
    }

    async fn save_a_card(&mut self) -> anyhow::Result<String> {
        let link = r#""checkout":{"success_redirect":"https://hotel.test.example/ok","failure_redirect":"https://hotel.test.example/no"}"#;
        let body = format!(r#""type":"save_card",{link},{CUSTOMER}"#);
        let id = self
            .ask(PARKS, "card", &body, "save a card by checkout")
            .await?;
        self.payer_posts_card(&id).await?;
        self.rests(&id, &[StateName::Saved]).await?;
        match self.works.load(&id).await?.payment.state() {
            State::Saved(token) => Ok(token.as_str().to_owned()),
            state => anyhow::bail!("the card was not saved: {state:?}"),
        }
    }

    async fn holds(&mut self, token: &str) -> anyhow::Result<()> {
        let link = r#"{"checkout":{"success_redirect":"https://hotel.test.example/ok","failure_redirect":"https://hotel.test.example/no"}}"#;
        let by_card = format!(r#"{{"token":"{token}"}}"#);
        let (soon, later) = (self.at(5), self.at(7));
        let room = hold(link, 45_000, &format!(r#"{{"capture_at":"{soon}"}}"#));
        let part = hold(
            &by_card,
            30_000,
            &format!(r#"{{"capture_at":"{soon}","capture_amount":12500}}"#),
        );
        let deposit = hold(&by_card, 20_000, &format!(r#"{{"release_at":"{later}"}}"#));
        let room = self
            .ask(
                PARKS,
                "room",
                &room,
                "hold by checkout, capture on schedule",
            )
            .await?;
        let part = self
            .ask(PARKS, "part", &part, "hold by saved card, capture a part")
            .await?;
        let deposit = self
            .ask(
                RESENDS,
                "deposit",
                &deposit,
                "hold by saved card, release on schedule",
            )
            .await?;
        self.payer_posts_card(&room).await?;
        for id in [&room, &part, &deposit] {
            self.rests(id, &[StateName::Held, StateName::Paid, StateName::Released])
                .await?;
        }
        say("all three are held; captures and release wait for their time");
        Ok(())
    }

    async fn charges(&mut self, token: &str) -> anyhow::Result<()> {
        for (key, amount) in [("minibar", 1_500), ("laundry", 2_400), ("breakfast", 5_800)] {
            self.ask(PARKS, key, &charge(token, amount), "one-click charge")
                .await?;
        }
        self.fault(
            PARKS,
            "refused",
            Operation::Charge,
            Effect::decline("do_not_honour"),
        )?;
        self.ask(
            PARKS,
            "refused",
            &charge(token, 9_900),
            "charge, declined by the bank",
        )
        .await?;
        self.fault(
            PARKS,
            "lost",
            Operation::Charge,
            Effect::timeout_after_commit(),
        )?;
        self.ask(
            PARKS,
            "lost",
            &charge(token, 7_700),
            "charge, the answer is lost after the money moved",
        )
        .await?;
        self.fault(
            RESENDS,
            "never",
            Operation::Charge,
            Effect::timeout_before_commit(),
        )?;
        self.ask(
            RESENDS,
            "never",
            &charge(token, 3_300),
            "charge, the call is lost before it is done",
        )
        .await?;
        Ok(())
    }

    /// Ten charges whose calls take a while; the worker is killed with all of them in flight.
    async fn kill_a_worker(&mut self, token: &str) -> anyhow::Result<()> {
        let rule = Rule::on(Operation::Charge, Effect::Latency(600)).times(10);
        self.works.sandbox.add_fault(rule);
        for number in 0..10 {
            let body = charge(token, 1_000 + number);
            self.ask(
                PARKS,
                &format!("kill-{number}"),
                &body,
                "charge, a worker is killed meanwhile",
            )
            .await?;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        say("kill -9 worker 2, with calls in flight; worker 1 takes over when the leases run out");
        self.workers[1].kill()?;
        Ok(())
    }

    /// Waits until every payment is finished or parked.
    pub async fn settle(&mut self, limit: Duration) -> anyhow::Result<bool> {
        let end = tokio::time::Instant::now() + limit;
        let mut reported = usize::MAX;
        loop {
            let mut waiting = 0;
            for (id, _) in &self.told {
                let name = self.works.load(id).await?.payment.state().name();
                waiting += usize::from(!name.is_finished() && name != StateName::Parked);
            }
            if waiting != reported {
                say(&format!(
                    "{waiting} of {} payments still under way",
                    self.told.len()
                ));
                reported = waiting;
            }
            if waiting == 0 || tokio::time::Instant::now() >= end {
                return Ok(waiting == 0);
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    /// Prints every payment beside the ledger; `false` when they differ.
    pub async fn show_books(&self) -> anyhow::Result<bool> {
        let ledger = self.works.sandbox.ledger();
        let (payment, asked) = ("payment", "what was asked");
        println!(
            "\n{payment:<10} {asked:<50} {:<20} {:>8}",
            "reported", "ledger"
        );
        let (mut moved, mut twice, mut sound) = (0, 0, true);
        for (id, what) in &self.told {
            let line = compare(self.works.load(id).await?.payment, &ledger, true);
            moved += line.ledger.taken_minor;
            twice += usize::from(line.ledger.takes > 1 || line.ledger.holds > 1);
            sound &= line.problems.is_empty();
            println!("{}", row(what, &line));
        }
        println!(
            "\n{} payments, RM {}.{:02} moved, {twice} moved twice{}",
            self.told.len(),
            moved / 100,
            moved % 100,
            if sound {
                ", the books agree"
            } else {
                ", THE BOOKS DIFFER"
            }
        );
        Ok(sound && twice == 0)
    }

    /// Prints where to look, and leaves something to do.
    pub async fn show_doors(&mut self) -> anyhow::Result<()> {
        let link = r#"{"checkout":{}}"#;
        let id = self
            .ask(
                PARKS,
                "yours",
                &hold(link, 12_300, "{}"),
                "a hold for you to pay",
            )
            .await?;
        self.rests(&id, &[StateName::AwaitingPayer]).await?;
        let payment = self.works.load(&id).await?.payment;
        let checkout = payment.checkout_url().map_or("", |url| url.reveal());
        println!("\nledger        {}/sandbox/", self.works.sandbox.origin());
        println!(
            "pay this      {checkout}\n              card 4444 3333 2222 1111, any later date, CVC 123"
        );
        println!("health        http://{}/readyz", self.listen);
        println!("logs          {}", self.works.folder().display());
        let command = self.works.command();
        println!("\nIn another terminal:");
        for (name, value) in command
            .env
            .iter()
            .filter(|(name, _)| name != "RUST_BACKTRACE")
        {
            println!("  export {name}='{value}'");
        }
        println!("  export HOLDFAST_CONFIG='{}'", command.config.display());
        println!("  {} list --state held", command.binary.display());
        println!("  {} show {id}", command.binary.display());
        Ok(())
    }

    /// Stops the workers politely.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.workers.truncate(1);
        for worker in &mut self.workers {
            worker.signal("TERM")?;
            let status = worker.ended_within(Duration::from_secs(10))?;
            ensure!(
                status.is_some_and(|s| s.success()),
                "worker 1 did not stop:\n{}",
                worker.tail(20)
            );
        }
        say("stopped");
        Ok(())
    }

    async fn ask(
        &mut self,
        account: &str,
        key: &str,
        body: &str,
        what: &str,
    ) -> anyhow::Result<PaymentId> {
        let id = self.works.enqueue(&json(account, key, body)).await?;
        say(&format!("{} {what}", short(&id)));
        self.told.push((id.clone(), what.to_owned()));
        Ok(id)
    }

    fn fault(
        &self,
        account: &str,
        key: &str,
        operation: Operation,
        effect: Effect,
    ) -> anyhow::Result<()> {
        let any = charge("5a9e3c1c-0000-4000-8000-000000000001", 1);
        let id = Request::from_json(json(account, key, &any).as_bytes())?.payment_id();
        self.works
            .sandbox
            .add_fault(Rule::on(operation, effect).reference(id.as_str()).times(1));
        Ok(())
    }

    async fn rests(&self, id: &PaymentId, states: &[StateName]) -> anyhow::Result<()> {
        let there = self
            .works
            .until(id, PATIENCE, |name| states.contains(&name))
            .await?;
        let logs = || {
            self.workers
                .iter()
                .map(|w| w.tail(15))
                .collect::<Vec<_>>()
                .join("\n")
        };
        ensure!(
            there,
            "{} did not become {states:?}; the workers said:\n{}",
            short(id),
            logs()
        );
        Ok(())
    }

    /// The payer types a card into the shop's own form, which posts it straight to the gateway.
    async fn payer_posts_card(&self, id: &PaymentId) -> anyhow::Result<()> {
        self.rests(id, &[StateName::AwaitingPayer]).await?;
        let payment = self.works.load(id).await?.payment;
        let url = direct_post_url(&payment)?;
        say(&format!("{} the payer posts a card", short(id)));
        let form = TestCard::Plain.form(false);
        tokio::task::spawn_blocking(move || post(&url, &form)).await?
    }

    fn at(&self, seconds: i64) -> String {
        let time = self.works.clock.now() + TimeDelta::seconds(seconds);
        time.to_rfc3339_opts(SecondsFormat::Millis, true)
    }
}

fn say(line: &str) {
    println!("· {line}");
}

fn short(id: &PaymentId) -> &str {
    id.as_str().get(..10).unwrap_or(id.as_str())
}

fn json(account: &str, key: &str, body: &str) -> String {
    format!(r#"{{"v":1,"account":"{account}","idempotency_key":"{key}",{body}}}"#)
}

fn hold(source: &str, amount: u32, plan: &str) -> String {
    format!(
        r#""type":"authorize","money":{{"amount":{amount},"currency":"MYR"}},"source":{source},"plan":{plan},{CUSTOMER}"#
    )
}

fn charge(token: &str, amount: u32) -> String {
    format!(
        r#""type":"charge","money":{{"amount":{amount},"currency":"MYR"}},"token":"{token}",{CUSTOMER}"#
    )
}

fn row(what: &str, line: &Line) -> String {
    let reported = match line.payment.state() {
        State::Paid(money) => format!("paid {money}"),
        State::Parked { .. } => "parked".to_owned(),
        State::Failed(reason) => match reason {
            holdfast::payment::FailReason::Declined { .. } => "failed (declined)".to_owned(),
            reason => format!("failed ({reason:?})"),
        },
        state => state.name().to_string(),
    };
    let ledger = format!(
        "{}.{:02}",
        line.ledger.taken_minor / 100,
        line.ledger.taken_minor % 100
    );
    let verdict = if line.problems.is_empty() {
        "ok".to_owned()
    } else {
        line.problems.join("; ")
    };
    format!(
        "{:<10} {what:<50} {reported:<20} {ledger:>8}  {verdict}",
        short(line.payment.id())
    )
}

fn direct_post_url(payment: &Payment) -> anyhow::Result<String> {
    let url = payment
        .purchase()
        .and_then(|purchase| purchase.direct_post_url.as_ref());
    Ok(url
        .context("the gateway gave no direct post URL")?
        .reveal()
        .clone())
}

/// One form, posted as a browser would.
fn post(url: &str, form: &str) -> anyhow::Result<()> {
    let rest = url
        .strip_prefix("http://")
        .context("the sandbox speaks http")?;
    let (host, path) = rest.split_once('/').context("a path")?;
    let mut stream = TcpStream::connect(host)?;
    write!(
        stream,
        "POST /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(
        answer.starts_with("HTTP/1.1 3") || answer.starts_with("HTTP/1.1 2"),
        "{answer}"
    );
    Ok(())
}

fn free_address() -> anyhow::Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// Registers a webhook at the gateway and answers the key its deliveries are signed with.
fn register_webhook(works: &Works, url: &str) -> anyhow::Result<String> {
    let body = format!(r#"{{"title":"holdfast","callback":"{url}","all_events":true}}"#);
    let key = chip_sandbox::DEFAULT_SECRET_KEY;
    let answer = works.sandbox.with(|engine, now| {
        engine.answer(
            now,
            chip_sandbox::Request::api("POST", "webhooks/", key, body.into_bytes()),
        )
    });
    let answer: serde_json::Value = serde_json::from_str(&answer.body)?;
    Ok(answer["public_key"]
        .as_str()
        .context("the webhook's public key")?
        .to_owned())
}
