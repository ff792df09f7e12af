//! What is wrong with endpoints.

use crate::cli::view::time;
use crate::config::Config;
use crate::store::redis::RedisStore;
use crate::store::{Mark, Sends, StoreError};
use crate::worker::outbox::{Endpoint, is_off};

/// What is wrong with endpoints, for whoever looks at something else: what kind of trouble, and in words.
pub(in crate::cli) async fn trouble(
    config: &Config,
    store: &RedisStore,
) -> Result<Vec<(&'static str, String)>, StoreError> {
    let configured = &config.events.endpoints;
    let marks = store.marks().await?;
    let mut told = Vec::new();
    for (name, mark) in &marks {
        let known = configured.iter().find(|known| known.name == *name);
        let off = known.map_or(mark.sends == Sends::Disabled, |known| is_off(known, mark));
        if off {
            let (since, why) = (time(mark.at), &mark.why);
            let kept = match mark.sends {
                Sends::Forgotten => "nothing is kept for it",
                Sends::Enabled | Sends::Disabled => "its events are kept",
            };
            let text = format!("endpoint {name} is disabled since {since} ({why}); {kept}");
            told.push(("endpoint_disabled", text));
        }
    }
    for endpoint in configured.iter().filter(|endpoint| !endpoint.enabled) {
        let name = &endpoint.name;
        let text = format!("endpoint {name} is off in the settings; its events are kept");
        told.push(("endpoint_off", text));
    }
    for name in store.known_endpoints().await? {
        if !configured.iter().any(|known| known.name == name) {
            let text = format!(
                "endpoint {name} is not configured here, and events are kept for it; if no worker \
                 has it, `holdfast endpoints forget {name} --reason \"…\"`"
            );
            told.push(("endpoint_unconfigured", text));
        }
    }
    for name in store.pinned(config.events.keep).await? {
        let text = format!(
            "events are kept beyond events.keep_days, as endpoint {name} has not had them yet: Redis \
             grows"
        );
        told.push(("events_pinned", text));
    }
    Ok(told)
}

/// Whether events are sent, in a word.
pub(super) fn status(endpoint: Option<&Endpoint>, mark: Option<&Mark>) -> &'static str {
    let Some(endpoint) = endpoint else {
        return "not configured";
    };
    match mark.filter(|mark| is_off(endpoint, mark)) {
        _ if !endpoint.enabled => "off in the settings",
        Some(mark) if mark.sends == Sends::Forgotten => "forgotten",
        Some(_) => "disabled",
        None => "enabled",
    }
}
