//! What the workers hear of the gateway: webhooks and success callbacks.

use crate::works::{PARKS, RESENDS, Works, free_address};

/// Settings of one worker process.
pub(super) type OwnSettings = Vec<(String, String)>;

/// Registers a webhook for each account and asks for success callbacks. Answers what lets one
/// worker listen: all of them run on one machine, so at one time only one of them can.
pub(super) fn prepare(works: &mut Works) -> anyhow::Result<OwnSettings> {
    let address = free_address()?;
    for account in [PARKS, RESENDS] {
        let key = works.register_webhook(&format!("http://{address}/webhooks/chip/{account}"))?;
        let file = works.folder().join(format!("{account}.pem"));
        std::fs::write(&file, key)?;
        let setting = format!("HOLDFAST__ACCOUNTS__{}", account.to_uppercase());
        works.set(
            &format!("{setting}__WEBHOOK_PUBLIC_KEY_FILES"),
            file.display().to_string(),
        );
        works.set(
            &format!("{setting}__SUCCESS_CALLBACK"),
            format!("http://{address}/callbacks/chip/{account}"),
        );
    }
    Ok(vec![("HOLDFAST__HTTP__LISTEN".to_owned(), address)])
}
