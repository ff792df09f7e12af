//! The resting state: what must be true of the store when no worker runs and all has settled.

use std::collections::BTreeMap;

use holdfast::payment::{PaymentId, StateName};
use holdfast::store::{Loaded, Store};

/// What is wrong with the store at rest; empty when all is well. `ids` are all payments there are.
pub async fn unrest(store: &impl Store, ids: &[PaymentId]) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    let mut states: BTreeMap<PaymentId, StateName> = BTreeMap::new();
    for id in ids {
        let Some(loaded) = store.load(id).await? else {
            problems.push(format!("{id}: it is not there any more"));
            continue;
        };
        problems.extend(of_one(id, &loaded));
        states.insert(id.clone(), loaded.stored);
    }
    let unfinished = states.values().filter(|state| !state.is_finished()).count();
    let due = store.stats().await?.unfinished;
    if due != u64::try_from(unfinished)? {
        problems.push(format!(
            "{unfinished} are unfinished, {due} are in the due index"
        ));
    }
    problems.extend(of_the_index(store, &states).await?);
    Ok(problems)
}

fn of_one(id: &PaymentId, loaded: &Loaded) -> Vec<String> {
    let mut problems = Vec::new();
    let mut wrong = |what: &str| problems.push(format!("{id}: {what}"));
    if loaded.claimed {
        wrong("a lease is left behind");
    }
    if loaded.stored != loaded.payment.state().name() {
        wrong("it is stored under another state than its own");
    }
    match loaded.due {
        None if !loaded.stored.is_finished() => wrong("it is unfinished and not in the due index"),
        Some(_) if loaded.stored.is_finished() => wrong("it is finished and in the due index"),
        _ => {}
    }
    problems
}

/// Each payment stands in the state index once, under its state.
async fn of_the_index(
    store: &impl Store,
    states: &BTreeMap<PaymentId, StateName>,
) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    let mut listed: BTreeMap<PaymentId, Vec<StateName>> = BTreeMap::new();
    for state in StateName::ALL {
        let mut cursor = None;
        loop {
            let page = store.list(&state.into(), cursor.as_ref(), 500).await?;
            for loaded in page.payments {
                listed
                    .entry(loaded.payment.id().clone())
                    .or_default()
                    .push(state);
            }
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
    }
    for (id, state) in states {
        let found = listed.remove(id).unwrap_or_default();
        if found != [*state] {
            problems.push(format!("{id}: it is {state} and listed as {found:?}"));
        }
    }
    problems.extend(
        listed
            .into_keys()
            .map(|id| format!("{id}: nobody asked for it")),
    );
    Ok(problems)
}
