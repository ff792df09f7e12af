//! CHIP, for one account. Nothing is made there: what only a purchase would show is not looked at.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::check::Check;
use crate::config::Mode;
use crate::gateway::{Brand, ChipGateway, Entrance, NotRegistered, Registered};
use crate::payment::{AccountName, LookUp, Timestamp};

pub(super) const fn is_open(entrance: &Entrance) -> bool {
    matches!(entrance, Entrance::Open)
}

pub(super) fn key(name: &AccountName, entrance: &Entrance) -> Check {
    match entrance {
        Entrance::Open => Check::fine("key", "the gateway takes the secret key"),
        Entrance::Refused { status, codes } => Check::wrong(
            "key",
            format!(
                "the gateway refuses the secret key with {status} ({codes}); its payments wait"
            ),
            format!(
                "copy the key anew from CHIP's portal into accounts.{name}.secret_key (or its file); \
                 workers take it within half a minute, or at SIGHUP"
            ),
        ),
        Entrance::Unknown(why) => Check::wrong(
            "key",
            format!("the gateway cannot be asked: {why}; payments wait, and nothing is lost"),
            "correct the network or base_url; if CHIP itself is down, wait",
        ),
    }
}

/// The key decides, and only a purchase tells: the newest one that is recorded, as it is `shown` now.
pub(super) fn mode(mode: Mode, shown: Option<&LookUp>) -> Check {
    let word = |test| if test { "test" } else { "live" };
    let (test, said) = (mode == Mode::Test, word(mode == Mode::Test));
    match shown {
        Some(LookUp::Shown(shown)) if shown.test == test => {
            Check::fine("mode", format!("{said}, as the newest purchase shows"))
        }
        Some(LookUp::Shown(shown)) => Check::wrong(
            "mode",
            format!(
                "the settings say {said}, and the newest purchase is {}: its payments are parked",
                word(shown.test)
            ),
            "put the key of the other mode back, or give it an account of its own",
        ),
        Some(LookUp::NotFound | LookUp::Failed { .. }) | None => Check::not_checked(
            "mode",
            format!(
                "the settings say {said}; only a purchase shows what the key is, none is made here, and \
                 none of before is shown: each one is compared before money moves on it"
            ),
        ),
    }
}

pub(super) fn brand(name: &AccountName, brand: &Brand) -> Check {
    match brand {
        Brand::Shown(methods) if methods.is_empty() => Check::warning(
            "brand",
            "the brand has no payment method that can hold money",
            "ask CHIP to enable cards for it, if money is to be held or cards are to be saved",
        ),
        Brand::Shown(methods) => Check::fine(
            "brand",
            format!("it can hold money by {}", methods.join(", ")),
        ),
        Brand::Refused(codes) => Check::wrong(
            "brand",
            format!("the gateway does not know the brand under this key ({codes})"),
            format!(
                "put the UUID from CHIP's portal (Collect, Brands) into accounts.{name}.brand_id"
            ),
        ),
        Brand::Unknown(why) => Check::not_checked("brand", why.clone()),
    }
}

/// And whether one is registered that posts to us.
pub(super) async fn webhook(
    gateway: &ChipGateway,
    name: &AccountName,
    listens: bool,
) -> (Check, bool) {
    let all = match gateway.registered(name).await {
        Ok(all) => all,
        Err(error) => return (unlisted(&error), false),
    };
    let path = format!("/webhooks/chip/{name}");
    let ours = |webhook: &&Registered| webhook.callback.trim_end_matches('/').ends_with(&path);
    let ours: Vec<&Registered> = all.iter().filter(ours).collect();
    let check = judge(name, &Those::of(gateway, name, &ours), listens);
    (check, !ours.is_empty())
}

fn unlisted(error: &NotRegistered) -> Check {
    Check::not_checked(
        "webhook",
        format!("the gateway's webhooks cannot be listed: {error}"),
    )
}

/// The webhooks that post to an address of this account.
struct Those {
    /// Those that post all that matters under a key that is configured.
    good: usize,
    /// Those whose key is configured, and that do not post all.
    deaf: usize,
    /// Those that post under a key that is not configured.
    foreign: usize,
    /// Those that are begun: nothing that matters, and the key is not configured.
    begun: usize,
    /// Where they post: whether that is here, people can tell.
    at: String,
}

impl Those {
    fn of(gateway: &ChipGateway, name: &AccountName, ours: &[&Registered]) -> Self {
        let count = |known: bool, hears: bool| {
            let same = |webhook: &&&Registered| {
                gateway.knows(name, webhook) == known && webhook.hears_enough() == hears
            };
            ours.iter().filter(same).count()
        };
        let hosts: BTreeSet<String> = ours.iter().filter_map(|webhook| webhook.host()).collect();
        Self {
            good: count(true, true),
            deaf: count(true, false),
            foreign: count(false, true),
            begun: count(false, false),
            at: hosts.into_iter().collect::<Vec<_>>().join(", "),
        }
    }
}

fn judge(name: &AccountName, those: &Those, listens: bool) -> Check {
    let register = format!(
        "see \"CHIP's webhooks\" in the operations guide, then `holdfast webhooks list --account {name}`"
    );
    let refused = "what it posts is refused, and holds back later events of the same purchase";
    let own_key = format!(
        "if it posts here, name its key in accounts.{name}.webhook_public_key_files: `holdfast webhooks \
         list --account {name}` shows which it is"
    );
    let at = &those.at;
    match those {
        Those {
            good: 0,
            foreign: 1..,
            ..
        } => Check::wrong(
            "webhook",
            format!("the key of the webhook at {at} is not in these settings: {refused}"),
            own_key,
        ),
        Those { foreign: 1.., .. } => Check::warning(
            "webhook",
            format!(
                "the key of one more webhook is not in these settings: if it posts here, {refused}"
            ),
            own_key,
        ),
        Those { good: 1.., .. } => Check::fine(
            "webhook",
            format!("it posts all that matters to {at}, under a key that is configured"),
        ),
        Those { deaf: 1.., .. } | Those { begun: 1.., .. } => Check::warning(
            "webhook",
            format!("it posts to {at}, but not all that matters"),
            "run the same holdfast webhooks register (or rotate) once more, with its key in the settings",
        ),
        _ if listens => Check::warning(
            "webhook",
            "none is registered: what happens at the gateway is found later, by look-ups",
            register,
        ),
        _ => Check::fine(
            "webhook",
            "none, and http.listen is empty: what happens is found by look-ups",
        ),
    }
}

/// By how much the noted time of the last webhook may be older than that of what it told: it is noted about
/// once a minute.
const NOTED_WITHIN: TimeDelta = TimeDelta::minutes(2);

/// When the gateway last reached us, and when something last happened there that it must have told by now.
pub(super) fn heard(
    (at, happened): (Option<Timestamp>, Option<Timestamp>),
    now: Timestamp,
    expected: bool,
) -> Check {
    let look = "can CHIP reach its address, does the proxy pass /webhooks/chip/ on to http.listen, and does \
                the log say webhooks_refused?";
    match at {
        Some(at) => {
            let ago = now - at;
            let ago = match ago.num_hours() {
                ..=0 => format!("{} min", ago.num_minutes().max(0)),
                hours @ 1..48 => format!("{hours} h"),
                hours => format!("{} days", hours / 24),
            };
            let last = format!("the gateway last posted something {ago} ago");
            if expected && happened.is_some_and(|happened| happened - at > NOTED_WITHIN) {
                let what =
                    format!("{last}, and payments went on since then: webhooks do not arrive");
                return Check::warning("heard", what, look);
            }
            Check::fine("heard", last)
        }
        None if expected => Check::warning(
            "heard",
            "a webhook is registered, and none ever arrived here",
            format!("once a payment was made: {look}"),
        ),
        None => Check::fine(
            "heard",
            "nothing was posted yet, and no webhook is expected",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operate::doctor::Found;
    use crate::payment::{Links, PurchaseId, Sighting, Standing};

    fn judged(good: usize, deaf: usize, foreign: usize, listens: bool) -> Found {
        let those = Those {
            good,
            deaf,
            foreign,
            begun: 0,
            at: "pay.example.com".to_owned(),
        };
        judge(&AccountName::new("hotel").unwrap(), &those, listens).found
    }

    #[test]
    fn what_the_newest_purchase_shows_is_held_against_the_settings() {
        let shown = |test| {
            LookUp::Shown(Box::new(Sighting {
                purchase: PurchaseId::new("a-purchase").unwrap(),
                standing: Standing::Payable,
                total: 1_500,
                currency: "MYR".to_owned(),
                converted: false,
                brand: "a-brand".to_owned(),
                test,
                reference: String::new(),
                taken: None,
                by_hand: false,
                card: None,
                face: None,
                tries: Vec::new(),
                held_since: None,
                due: None,
                links: Links::default(),
            }))
        };
        for (of, test, found) in [
            (Mode::Test, true, Found::Fine),
            (Mode::Live, false, Found::Fine),
            (Mode::Test, false, Found::Wrong),
            (Mode::Live, true, Found::Wrong),
        ] {
            let told = mode(of, Some(&shown(test)));
            assert_eq!(told.found, found, "{told:?}");
            assert!(!told.what.contains("a-purchase"), "{told:?}");
        }
        let unknown = mode(Mode::Live, Some(&LookUp::NotFound));
        assert_eq!(unknown.found, Found::NotChecked);
    }

    #[test]
    fn a_foreign_webhook_is_wrong_only_where_there_is_none_of_ours() {
        assert_eq!(judged(0, 0, 1, true), Found::Wrong);
        assert_eq!(judged(1, 0, 1, true), Found::Warning);
        assert_eq!(judged(1, 0, 0, true), Found::Fine);
        assert_eq!(judged(0, 1, 0, true), Found::Warning);
        assert_eq!(judged(0, 0, 0, true), Found::Warning);
        assert_eq!(judged(0, 0, 0, false), Found::Fine);
    }
}
