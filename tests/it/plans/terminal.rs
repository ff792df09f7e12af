//! Plans, as they are typed.

use clap::Parser;
use futures_util::future::{Either, select};
use holdfast::cli::{Around, Cli, Desk, Failure};
use serde_json::Value;

use super::*;

impl Room<MemoryStore> {
    /// What is typed, beside a worker that works.
    async fn types(&self, line: &[&str]) -> (String, Option<Failure>) {
        let cli = Cli::try_parse_from(["holdfast"].iter().chain(line)).unwrap();
        let policies = Policies::from([(account(), policy(UnknownPolicy::Park))]);
        let desk = Desk {
            store: &*self.stage.store,
            clock: &self.stage.clock,
            policies: &policies,
            as_json: cli.json,
        };
        let env = [("USER".to_owned(), "aina".to_owned())];
        let mut around = Around {
            env: &env,
            input: &mut std::io::empty(),
            warnings: &mut std::io::sink(),
        };
        let mut out = Vec::new();
        let failure = {
            let typing = Box::pin(desk.serve(cli.verb, &mut around, &mut out));
            let working = Box::pin(async {
                loop {
                    self.planner.carry_out().await.unwrap();
                    self.stage.work().await;
                    self.stage.pass(TimeDelta::seconds(1));
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
            });
            match select(typing, working).await {
                Either::Left((done, _)) => done.err(),
                Either::Right(((), _)) => unreachable!(),
            }
        };
        (String::from_utf8(out).unwrap(), failure)
    }

    async fn types_json(&self, line: &[&str]) -> Value {
        let (out, failure) = self.types(&[line, &["--json"]].concat()).await;
        assert!(failure.is_none(), "{failure:?}");
        serde_json::from_str(&out).unwrap()
    }
}

#[tokio::test]
async fn a_plan_is_made_looked_at_and_applied_from_a_terminal() {
    let room = Room::open().await;
    let id = room.parked_charge("k", 1_500).await;
    let line = ["plans", "make", "--state", "parked"];
    let narrowed = ["--account", "hotel", "--reason-is", "declined_for_operator"];
    let made = room.types_json(&[&line[..], &narrowed].concat()).await;
    assert_eq!(made["phase"], "ready", "{made}");
    assert_eq!(made["payments"][0]["payment"], id.as_str());
    assert_eq!(
        (&made["touches"][0]["how"], &made["touches"][0]["amount"]),
        (&"takes".into(), &1_500.into())
    );
    let plan = made["id"].as_str().unwrap();
    let (shown, _) = room.types(&["plans", "show", plan]).await;
    assert!(
        shown.contains("takes          at most 1500 minor units of MYR"),
        "{shown}"
    );
    assert!(shown.contains("gateway: payable  charges"), "{shown}");
    assert_eq!(room.stage.taken(&id), (0, 0));
    let done = room
        .types_json(&["plans", "apply", plan, "--reason", "mended"])
        .await;
    assert_eq!(
        (&done["phase"], &done["applied_by"]),
        (&"done".into(), &"aina".into())
    );
    assert_eq!(done["payments"][0]["came_to"], "paid");
    assert_eq!(room.stage.taken(&id), (1_500, 1));
    let (again, refused) = room
        .types(&["plans", "apply", plan, "--reason", "mended"])
        .await;
    assert_eq!((again.as_str(), refused.unwrap().exit_code()), ("", 3));
    let listed = room.types_json(&["plans", "list"]).await;
    assert_eq!(listed["plans"][0]["fates"]["as_foreseen"], 1);
    for secret in [
        room.stage
            .payment(&id)
            .await
            .purchase()
            .unwrap()
            .id
            .as_str(),
        "payer@test.example",
    ] {
        assert!(!format!("{made}{done}{listed}{shown}").contains(secret));
    }
}

#[tokio::test]
async fn a_run_that_is_stopped_ends_with_a_code_of_its_own() {
    let room = Room::open().await;
    let id = room.parked_charge("k", 1_500).await;
    let other = room.parked_charge("l", 1_500).await;
    room.refuse_for_the_operator(&id, 1);
    room.refuse_for_the_operator(&other, 1);
    let made = room
        .types_json(&["plans", "make", id.as_str(), other.as_str()])
        .await;
    let plan = made["id"].as_str().unwrap();
    let (out, failure) = room.types(&["plans", "apply", plan, "--reason", "x"]).await;
    assert_eq!(failure.unwrap().exit_code(), 9, "{out}");
    assert!(out.contains("odd: parked declined_for_operator"), "{out}");
}

#[tokio::test]
async fn a_payment_of_which_a_rerun_is_still_wanted_says_since_when() {
    let room = Room::open().await;
    let id = room.parked_charge("k", 1_500).await;
    let show = ["show", id.as_str()];
    let (shown, _) = room.types(&show).await;
    assert!(!shown.contains("wanted"), "{shown}");
    assert!(room.types_json(&show).await["rerun_wanted_since"].is_null());
    let missing = Rule::on(Operation::Retrieve, Effect::status_before_commit(404));
    room.stage.fault(missing.times(1_000));
    room.stage.command(&id, "by-hand", rerun()).await;
    let since = room.stage.payment(&id).await.commands()[0].at;
    room.stage.work().await;
    let (shown, _) = room.types(&show).await;
    let since = holdfast::operate::words::time(since);
    let line = format!("wanted     a rerun, since {since}; it goes on once");
    assert!(shown.contains(&line), "{shown}");
    let told = room.types_json(&show).await;
    let told: Timestamp = told["rerun_wanted_since"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(holdfast::operate::words::time(told), since);
}

#[test]
fn payments_are_named_or_described_and_not_both() {
    let typed =
        |line: &[&str]| Cli::try_parse_from(["holdfast", "plans", "make"].iter().chain(line));
    assert!(typed(&[]).is_err());
    assert!(typed(&["pay_1", "--state", "parked"]).is_err());
    assert!(typed(&["pay_1", "--older-than", "2h"]).is_err());
    assert!(typed(&["--state", "parked", "--older-than", "2 weeks"]).is_err());
    assert!(typed(&["pay_1", "pay_2"]).is_ok());
}
