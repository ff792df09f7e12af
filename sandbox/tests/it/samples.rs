//! Our objects have the keys of real ones, where real ones are at hand.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

use crate::gate::Gate;

fn keys(value: &Value) -> BTreeSet<&str> {
    value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| key.as_str())
        .collect()
}

#[test]
fn a_captured_purchase_has_the_keys_of_a_real_one() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/chip/samples");
    let Ok(text) = std::fs::read_to_string(folder.join("webhook-10-event-Purchase-captured.json"))
    else {
        return;
    };
    let mut real: Value = serde_json::from_str(&text).unwrap();
    real.as_object_mut().unwrap().remove("event_type");
    let mut gate = Gate::new();
    let id = gate.held(100);
    gate.act(id, "capture", &Value::Null);
    let ours = gate.get(id);
    assert_eq!(keys(&ours), keys(&real));
    for path in [
        "/payment",
        "/purchase",
        "/purchase/products/0",
        "/transaction_data",
        "/transaction_data/attempts/0",
        "/transaction_data/attempts/0/extra",
        "/client",
        "/issuer_details",
        "/issuer_details/bank_accounts/0",
        "/status_history/0",
    ] {
        let (ours, real) = (ours.pointer(path).unwrap(), real.pointer(path).unwrap());
        let missing: Vec<_> = keys(real)
            .difference(&keys(ours))
            .copied()
            .collect::<Vec<_>>();
        assert!(missing.is_empty(), "{path} lacks {missing:?}");
    }
}
