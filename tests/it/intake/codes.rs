//! Every code that a push can be refused with is told by docs/redis-intake.md, and comes up when it should.

use std::collections::BTreeSet;

use chip_sandbox::{Effect, Operation, Rule};
use chrono::TimeDelta;
use holdfast::api::pushed::{Kind, REFUSALS};
use holdfast::api::v1::ProblemCode;
use holdfast::store::Cards as _;

use super::*;

/// A dock, and the codes that it told so far.
struct Codes {
    dock: Dock,
    token: String,
    told: BTreeSet<String>,
}

impl Codes {
    /// Has it taken in; how it is refused is what is told.
    async fn refused(&mut self, element: impl AsRef<[u8]>) {
        let answer = self.dock.answered(element).await;
        assert_eq!(answer["outcome"], "refused", "{answer}");
        self.told(answer["problem"]["code"].as_str().unwrap());
    }

    fn told(&mut self, code: &str) {
        self.told.insert(code.to_owned());
    }

    async fn give(&mut self, key: &str, of: &str, command: &str) {
        self.refused(given(key, of, command)).await;
    }

    /// A payment that is held.
    async fn held(&mut self, key: &str) -> PaymentId {
        let element = authorize(key, &self.token).to_string();
        let id = is_recorded(&self.dock.answered(element).await);
        self.dock.stage.work().await;
        id
    }
}

fn given(key: &str, of: &str, command: &str) -> String {
    json!({"push": PUSH, "account": "hotel", "idempotency_key": key, "payment_key": of,
        "command": command})
    .to_string()
}

#[tokio::test]
async fn every_code_comes_up_and_is_told_by_its_page() {
    let limited = Producer {
        types: Some([Kind::Charge].into()),
        accounts: Some([account()].into()),
        currencies: Some([Currency::MYR].into()),
        largest_amount_minor: Some(1_500),
        ..shop()
    };
    let old = Producer {
        expires_at: Some(start_time()),
        ..producer("old", 9)
    };
    let dock = Dock::with(Rules {
        accept_unsigned: true,
        producers: vec![limited, old],
    });
    let dock = dock.await;
    let mut codes = Codes {
        token: dock.token(),
        told: BTreeSet::new(),
        dock,
    };
    of_who_signed(&mut codes).await;
    of_the_content(&mut codes).await;
    of_commands(&mut codes).await;
    of_what_is_in_doubt(&mut codes).await;
    codes.dock.producers.replace(Rules::default());
    codes
        .refused(charge("bare", "a-token", 1_500).to_string())
        .await;

    let words = |all: &[ProblemCode]| -> BTreeSet<String> {
        all.iter().map(|code| code.as_str().to_owned()).collect()
    };
    assert_eq!(codes.told, words(&REFUSALS));
    assert!(codes.told.is_superset(&words(&ProblemCode::OF_PUSHES)));
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/redis-intake.md");
    let page = std::fs::read_to_string(page).unwrap();
    for word in codes.told {
        assert!(page.contains(&format!("`{word}`")), "{word} is not told");
    }
}

async fn of_who_signed(codes: &mut Codes) {
    let json = charge("one", &codes.token, 1_500);
    let bytes = json.to_string();
    codes
        .refused(signed_with(8, &header("shop"), bytes.as_bytes()))
        .await;
    codes
        .refused(signed_with(9, &header("old"), bytes.as_bytes()))
        .await;
    codes
        .refused(signed(&authorize("hold", &codes.token)))
        .await;
    codes
        .refused(signed(&charge("dear", &codes.token, 1_501)))
        .await;
    let mut foreign = json.clone();
    foreign["money"]["currency"] = "SGD".into();
    codes.refused(signed(&foreign)).await;
    let mut rental = json;
    rental["account"] = "rental".into();
    let element = signed(&rental);
    codes.dock.push(&element).await;
    codes.dock.take_in().await;
    let answer = codes.dock.answer("rental", &element).await.unwrap();
    codes.told(answer["problem"]["code"].as_str().unwrap());
}

async fn of_the_content(codes: &mut Codes) {
    let mut no_key = charge("", &codes.token, 1_500);
    no_key.as_object_mut().unwrap().remove("idempotency_key");
    codes.refused(no_key.to_string()).await;
    let mut no_name = charge("no-name", &codes.token, 1_500);
    no_name.as_object_mut().unwrap().remove("push");
    codes.refused(no_name.to_string()).await;
    is_recorded(
        &codes
            .dock
            .answered(charge("k", &codes.token, 1_500).to_string())
            .await,
    );
    codes
        .refused(charge("k", &codes.token, 1_600).to_string())
        .await;
    let adopt = |key: &str| {
        json!({"v": 1, "push": PUSH, "type": "adopt", "account": "hotel", "idempotency_key": key,
            "purchase": "5a9e3c1c-0000-4000-8000-000000000009",
            "money": {"amount": 1_500, "currency": "MYR"}})
        .to_string()
    };
    is_recorded(&codes.dock.answered(adopt("a")).await);
    codes.refused(adopt("b")).await;
    let stage = &codes.dock.stage;
    let gone = stage.sandbox.save_card("payer@test.example").to_string();
    let evidence = CardEvidence {
        payment: PaymentId::derive(&account(), &IdempotencyKey::new("k").unwrap()),
        account: account(),
        token: CardToken::new(gone.as_str()).unwrap(),
        face: None,
        sign: CardSign::Dead(Death::InvalidRecurringToken),
        at: stage.clock.now(),
    };
    let card = KnownCard::first(&evidence);
    codes.dock.store.keep_card(None, &card).await.unwrap();
    codes
        .refused(charge("gone", &gone, 1_500).to_string())
        .await;
    let broken = charge("broken", &codes.token, 1_500);
    let id = PaymentId::derive(&account(), &IdempotencyKey::new("broken").unwrap());
    let at = format!("{{hf:{}}}:payment:{id}", id.spread() % 8);
    codes.dock.ask::<()>(&["SET", &at, "something else"]).await;
    codes.refused(broken.to_string()).await;
    // It is not known to whom this one would be told.
    codes.dock.push(vec![b'{'; 300_000]).await;
    codes.dock.take_in().await;
    let notes = codes.dock.quarantine().await;
    let long = notes.iter().find(|(_, note)| note.bytes == 300_000);
    codes.told(&long.unwrap().1.code);
}

async fn of_commands(codes: &mut Codes) {
    let quarantined = codes.dock.quarantine().await.len();
    codes.held("stay").await;
    codes.give("x0", "stay", "cancel").await;
    is_recorded(&codes.dock.answered(given("r", "stay", "release")).await);
    codes.give("c0", "stay", "capture").await;
    codes.dock.stage.work().await;
    codes.give("c", "stay", "capture").await;
    codes.held("night").await;
    is_recorded(&codes.dock.answered(given("c", "night", "capture")).await);
    codes.dock.stage.work().await;
    codes.give("r", "night", "release").await;
    let mut open = authorize("open", "");
    open["source"] = json!({"checkout": {}});
    is_recorded(&codes.dock.answered(open.to_string()).await);
    is_recorded(&codes.dock.answered(given("x", "open", "cancel")).await);
    codes.dock.stage.work_for(TimeDelta::hours(1)).await;
    codes.give("c1", "open", "capture").await;
    let mut late = authorize("late", "");
    late["source"] = json!({"checkout": {}});
    is_recorded(&codes.dock.answered(late.to_string()).await);
    codes.dock.stage.work_for(TimeDelta::days(2)).await;
    codes.give("x1", "late", "cancel").await;
    let now = codes.dock.quarantine().await.len();
    assert_eq!(now, quarantined, "what is decided is no poison");
    codes.give("c", "nobody", "capture").await;
}

async fn of_what_is_in_doubt(codes: &mut Codes) {
    codes.held("doubt").await;
    let lost = Rule::on(Operation::Capture, Effect::timeout_before_commit());
    codes.dock.stage.fault(lost.times(1));
    is_recorded(&codes.dock.answered(given("c", "doubt", "capture")).await);
    codes.dock.stage.work().await;
    codes.give("r", "doubt", "release").await;
    codes.dock.stage.work_for(TimeDelta::days(2)).await;
    codes.give("r2", "doubt", "release").await;
}
