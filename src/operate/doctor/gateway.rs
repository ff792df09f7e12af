//! CHIP, for one account. Nothing is made there: what only a purchase would show is not looked at.

use super::check::Check;
use crate::config::Mode;
use crate::gateway::{Brand, ChipGateway, Entrance, NotRegistered, Registered};
use crate::payment::{AccountName, Timestamp};

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
            "mend the network or base_url; if CHIP itself is disturbed, wait",
        ),
    }
}

/// The key decides, and only a purchase tells.
pub(super) fn mode(mode: Mode) -> Check {
    let word = match mode {
        Mode::Test => "test",
        Mode::Live => "live",
    };
    Check::not_checked(
        "mode",
        format!(
            "the settings say {word}; only a purchase shows what the key is, and none is made here: each \
             one is compared before money moves on it"
        ),
    )
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
}

impl Those {
    fn of(gateway: &ChipGateway, name: &AccountName, ours: &[&Registered]) -> Self {
        let count = |known: bool, hears: bool| {
            let same = |webhook: &&&Registered| {
                gateway.knows(name, webhook) == known && webhook.hears_enough() == hears
            };
            ours.iter().filter(same).count()
        };
        Self {
            good: count(true, true),
            deaf: count(true, false),
            foreign: count(false, true),
            begun: count(false, false),
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
    match those {
        Those {
            good: 0,
            foreign: 1..,
            ..
        } => Check::wrong(
            "webhook",
            format!("the key of the webhook is not in these settings: {refused}"),
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
            "registered; it posts all that matters, under a key that is configured",
        ),
        Those { deaf: 1.., .. } | Those { begun: 1.., .. } => Check::warning(
            "webhook",
            "registered, and it does not post all that matters",
            "run the same holdfast webhooks register (or rotate) once more, with its key in the settings",
        ),
        _ if listens => Check::warning(
            "webhook",
            "none is registered: what happens at the gateway is found later, by looking",
            register,
        ),
        _ => Check::fine(
            "webhook",
            "none, and http.listen is empty: what happens is found by looking",
        ),
    }
}

/// When the gateway last reached us.
pub(super) fn heard(at: Option<&Timestamp>, now: Timestamp, expected: bool) -> Check {
    match at {
        Some(at) => {
            let ago = now - *at;
            let ago = match ago.num_hours() {
                ..=0 => format!("{} min", ago.num_minutes().max(0)),
                hours @ 1..48 => format!("{hours} h"),
                hours => format!("{} days", hours / 24),
            };
            Check::fine(
                "heard",
                format!("the gateway last posted something {ago} ago"),
            )
        }
        None if expected => Check::warning(
            "heard",
            "a webhook is registered, and none ever arrived here",
            "once a payment was made: can CHIP reach its address, does the proxy pass /webhooks/chip/ on to \
             http.listen, and does the log say webhooks_refused?",
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

    fn judged(good: usize, deaf: usize, foreign: usize, listens: bool) -> Found {
        let those = Those {
            good,
            deaf,
            foreign,
            begun: 0,
        };
        judge(&AccountName::new("hotel").unwrap(), &those, listens).found
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
