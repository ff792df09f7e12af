//! `make demo KEEP=1`: where to look, and something to do.

use anyhow::Context;
use chip_sandbox::{Effect, Operation, Rule, TestCard};
use holdfast::payment::{AccountName, IdempotencyKey, PaymentId, State, StateName};

use super::table::rm;
use super::{Demo, Desk, scenes};
use crate::works::PARKS;

/// What the hold is of that is left to be paid.
const YOURS: u64 = 12_300;
/// What the charge is of that is left to be lost.
const MINIBAR: u64 = 4_650;
/// The key of the charge that is asked for while its account is paused.
const PAUSED: &str = "minibar-paused";

impl Demo {
    /// Prints where to look, and leaves a hold to pay.
    pub(super) async fn show_doors(&self) -> anyhow::Result<()> {
        let body = scenes::hold(r#"{"checkout":{}}"#, YOURS, "{}");
        let request = scenes::request(PARKS, "yours", &body);
        let id = self.works.enqueue(&request).await?;
        self.rests(&id, &[StateName::AwaitingPayer]).await?;
        let payment = self.works.load(&id).await?.payment;
        let page = payment.payable_links().checkout;
        let page = page.context("a checkout link")?.reveal();
        let origin = self.works.sandbox.origin();
        let folder = self.works.folder();
        std::fs::write(folder.join("card"), TestCard::Plain.form(false))?;
        self.write_settings(page)?;
        self.write_fault().await?;
        let lost = self.asked.iter().find(|asked| asked.what == scenes::LOST);
        let lost = &lost.context("the charge whose answer was lost")?.id;
        let (listen, folder, yours) = (&self.listen, folder.display(), rm(YOURS));
        let paused = PaymentId::derive(&AccountName::new(PARKS)?, &IdempotencyKey::new(PAUSED)?);
        let Desk { address, key } = &self.desk;
        println!(
            "\nEverything runs until Ctrl-C.\n  \
               ledger    {origin}/sandbox/\n  \
               health    http://{listen}/readyz\n  \
               desk      http://{address}/desk\n            \
                         see and command payments; log in with {key}\n  \
               logs      {folder}\n  \
               pay this  {page}\n            \
                         a hold of {yours} for you, within 10 minutes: any name,\n            \
                         card 4444 3333 2222 1111, expires 12/30, CVC 123\n\n\
             In another terminal, pay it and take a part:\n  \
               . {folder}/settings.sh\n  \
               curl -s -o {folder}/page.html -d @{folder}/card $CHECKOUT\n  \
               holdfast list --state held\n  \
               holdfast show {id}\n  \
               holdfast capture {id} --amount 5000\n\n\
             See why a payment was in doubt, and that it was paid once:\n  \
               holdfast show {lost}\n\n\
             Lose the next charge on its way. Nobody knows what became of it, so a person is asked:\n  \
               curl -s -H content-type:application/json -d @{folder}/fault {origin}/sandbox/faults\n  \
               holdfast enqueue --request {folder}/charge.json\n\n\
             After some ten seconds it is parked:\n  \
               holdfast list --state parked\n  \
               holdfast plans make --state parked\n\n\
             The plan's id stands in what that printed; within 15 minutes put it in the place of PLAN:\n  \
               holdfast plans apply PLAN --reason 'the bank says it never came'\n\n\
             Pause the account, ask for a charge, see that it does not start, and let it go on:\n  \
               holdfast pause --account {PARKS} --reason 'trying it out'\n  \
               holdfast switches; holdfast workers\n  \
               holdfast enqueue --request {folder}/paused.json\n  \
               holdfast show {paused}\n  \
               holdfast resume --account {PARKS} --reason 'tried'\n  \
               holdfast show {paused}\n  \
               holdfast audit list"
        );
        Ok(())
    }

    /// What loses the next charge on its way, a charge to be lost, and one to be asked for while it is paused.
    async fn write_fault(&self) -> anyhow::Result<()> {
        let rule = Rule::on(Operation::Charge, Effect::timeout_before_commit()).times(1);
        let folder = self.works.folder();
        std::fs::write(folder.join("fault"), serde_json::to_vec(&rule)?)?;
        let card = self.asked.first().context("the saved card")?;
        let saved = self.works.load(&card.id).await?.payment;
        let State::Saved(token) = saved.state() else {
            anyhow::bail!("the card is not saved");
        };
        let charge = scenes::charge(token.as_str(), MINIBAR);
        for (file, key) in [("charge.json", "minibar-again"), ("paused.json", PAUSED)] {
            let charge = scenes::request(PARKS, key, &charge);
            std::fs::write(folder.join(file), charge)?;
        }
        Ok(())
    }

    /// The workers' environment, to be read by a shell.
    fn write_settings(&self, page: &str) -> anyhow::Result<()> {
        let command = self.works.command();
        let programs = command.binary.parent().context("a folder")?;
        let mut text = format!(
            "export PATH={}:\"$PATH\"\nexport HOLDFAST_CONFIG={}\nCHECKOUT={}\n\
             export USER=\"${{USER:-$(id -un)}}\"\n",
            quoted(&programs.display().to_string()),
            quoted(&command.config.display().to_string()),
            quoted(page)
        );
        let ours = command.env.iter();
        let ours = ours.filter(|(name, _)| name.starts_with("HOLDFAST"));
        text.extend(ours.map(|(name, value)| format!("export {name}={}\n", quoted(value))));
        std::fs::write(self.works.folder().join("settings.sh"), text)?;
        Ok(())
    }
}

/// As one word of a shell, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
