//! Ends of chains, noted where nobody who can write to Redis can change them. A chain that was written
//! anew as a whole is as sound as any other; but what was noted is not in it.

use serde::Deserialize;

use crate::store::StoreError;
use crate::store::audit::{AuditHead, AuditStream};
use crate::store::redis::RedisStore;

/// What was given as noted heads is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no head; give the output of `holdfast audit heads`, or the field `heads` of the event \
     audit_heads in a worker's log"
)]
pub struct InvalidHeads(String);

/// One head as it is noted: `stream:number:link`.
#[must_use]
pub fn shown_head(head: &AuditHead) -> String {
    let AuditHead { stream, n, link } = head;
    format!("{stream}:{n}:{link}")
}

/// Reads what [`shown_head`] wrote, any number of them, or the same as JSON.
pub fn read_heads(text: &str) -> Result<Vec<AuditHead>, InvalidHeads> {
    #[derive(Deserialize)]
    struct Noted {
        heads: Vec<String>,
    }
    match serde_json::from_str::<Noted>(text) {
        Ok(noted) => noted.heads.iter().map(|head| read_head(head)).collect(),
        Err(_) => text.split_whitespace().map(read_head).collect(),
    }
}

fn read_head(text: &str) -> Result<AuditHead, InvalidHeads> {
    let read = || {
        let mut parts = text.split(':');
        let stream = AuditStream::parse(parts.next()?)?;
        let n = parts.next()?.parse().ok()?;
        let link = parts.next().filter(|link| link.len() == 40)?.to_owned();
        let whole = parts.next().is_none();
        whole.then_some(AuditHead { stream, n, link })
    };
    read().ok_or_else(|| InvalidHeads(text.chars().take(80).collect()))
}

/// Writes the heads into the log, from where they are archived.
pub async fn tell_heads(store: &RedisStore) -> Result<(), StoreError> {
    let heads = store.audit_heads().await?;
    let shown: Vec<String> = heads.iter().map(shown_head).collect();
    if !shown.is_empty() {
        tracing::info!(
            event = "audit_heads",
            heads = shown.join(" "),
            "this is how far the audit log goes"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_read_again_in_either_form() {
        let link = "e84b527d5ba83a04f4dd14e16835cb40e493ea34";
        let noted = |stream, n| AuditHead {
            stream,
            n,
            link: link.to_owned(),
        };
        let heads = [
            noted(AuditStream::Partition(3), 12),
            noted(AuditStream::Desk, 1),
        ];
        let shown: Vec<String> = heads.iter().map(shown_head).collect();
        assert_eq!(read_heads(&shown.join("\n")).unwrap(), heads);
        let json = serde_json::json!({"heads": shown}).to_string();
        assert_eq!(read_heads(&json).unwrap(), heads);
        for wrong in [
            "9:1:abc",
            "3:x:abc",
            "3:1:abc",
            "{}",
            &format!("8:1:{link}"),
        ] {
            assert!(read_heads(wrong).is_err(), "{wrong}");
        }
    }
}
