//! Reruns that are planned and applied in the browser.

use anyhow::ensure;
use chip_sandbox::{Effect, MovementKind, Operation, Rule};
use holdfast::payment::PaymentId;

use super::Visit;
use super::scenes::Scenes;

impl Visit {
    /// What is parked is planned from its list, and applied: what nobody knows of is charged by none of
    /// it, and what was declined is charged once.
    pub(super) async fn plans(&self) -> anyhow::Result<()> {
        let list = self.at("/payments?state=parked&account=hotel");
        self.browser.open(&list).await?;
        self.browser.click("a[href^='/desk/plans/new?']").await?;
        self.browser.until("Plan a rerun?").await?;
        self.pictures("plan-new").await?;
        self.says("the acquirer mended our set-up").await?;
        self.browser.until("Nothing was done yet.").await?;
        self.pictures("plan-ready").await?;
        self.browser.click("a[href$='/apply']").await?;
        self.pictures("confirm-apply").await?;
        self.says("looked through, all as it must be").await?;
        self.browser.until("All of it was done.").await?;
        self.pictures("plan-done").await?;
        for id in &self.scenes.declined {
            let charged = self.charges_of(id);
            ensure!(charged == 1, "{id} was charged {charged} times");
        }
        let charged = self.charges_of(&self.scenes.parked);
        ensure!(charged == 0, "a rerun under park charged {charged} times");
        println!("what is parked was planned to be rerun, and was, once each");
        Ok(())
    }

    /// A plan of which everything comes out otherwise than foreseen: it stops by itself at the first.
    pub(super) async fn stops(&self) -> anyhow::Result<()> {
        let both = Scenes::two_declined(&self.works).await?;
        let list = self.at("/payments?state=parked&reason=declined_for_operator");
        self.browser.open(&list).await?;
        self.browser.click("a[href^='/desk/plans/new?']").await?;
        self.browser.until("2 payments").await?;
        self.says("to see whether they go through").await?;
        self.browser.until("Nothing was done yet.").await?;
        for id in &both {
            let refusal = Effect::decline("acquirer_configuration_error");
            let rule = Rule::on(Operation::Charge, refusal).reference(id.as_str());
            self.works.sandbox.add_fault(rule.times(1));
        }
        self.browser.click("a[href$='/apply']").await?;
        self.says("the acquirer says that it is mended").await?;
        self.browser
            .until("1 came out otherwise than foreseen")
            .await?;
        self.pictures("plan-stopped").await?;
        self.browser.click("a[href$='/resume']").await?;
        self.says("looked at it: only that one").await?;
        self.browser
            .until("2 came out otherwise than foreseen.")
            .await?;
        self.pictures("plan-odd").await?;
        let charged = both.iter().map(|id| self.charges_of(id)).sum::<usize>();
        ensure!(charged == 0, "declines charged {charged} times");
        self.browser.types("body", "gr").await?;
        self.browser.until("the newest first").await?;
        self.pictures("plans").await?;
        println!("what comes out otherwise is told");
        Ok(())
    }

    /// Gives a reason, and sends the form.
    async fn says(&self, why: &str) -> anyhow::Result<()> {
        self.browser.types("[name=reason]", why).await?;
        self.browser.click(".confirm .primary").await
    }

    async fn pictures(&self, name: &str) -> anyhow::Result<()> {
        self.photographs(name).await?;
        self.is_sound(name).await?;
        println!("{name}: seen");
        Ok(())
    }

    fn charges_of(&self, id: &PaymentId) -> usize {
        let ledger = self.works.sandbox.ledger();
        let moved = ledger.movements_for_reference(id.as_str());
        let charges = moved.iter().filter(|it| it.kind == MovementKind::Charge);
        charges.count()
    }
}
