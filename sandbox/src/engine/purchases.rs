//! Creating, reading and cancelling purchases, and what time does to them.

use uuid::Uuid;

use super::body;
use super::purchase::{Purchase, Realm};
use super::refusal::Refusal;
use super::request::Response;
use super::route::Operation;
use super::status::Status;
use super::timer::Timer;
use super::view::{self, Face, Setting};
use super::{Engine, LateCall};
use crate::fault::Effect;

type Answer = Result<Response, Refusal>;

impl Engine {
    /// Calls that do not go to the acquirer. Answers the purchase they turned out to be about.
    pub(crate) fn simple(&mut self, now_ms: i64, call: &LateCall) -> (Answer, Option<Uuid>) {
        let id = call.route.id;
        let Some(realm) = call.realm else {
            let answer = match call.route.operation {
                Operation::StatementDownload => self.download_statement(id),
                _ => self.visit(now_ms, id),
            };
            return (answer, None);
        };
        let answer = match call.route.operation {
            Operation::Create => return self.create(now_ms, call, realm),
            Operation::Retrieve => self.retrieve(now_ms, call, realm),
            Operation::Cancel => self.cancel(now_ms, id, realm),
            Operation::MarkAsPaid => self.mark_as_paid(now_ms, call, realm),
            Operation::PublicKey => Ok(public_key(realm)),
            Operation::PaymentMethods => Ok(Self::payment_methods(&call.query)),
            Operation::WebhookCreate
            | Operation::WebhookList
            | Operation::WebhookRead
            | Operation::WebhookWrite
            | Operation::WebhookDelete => self.webhook_call(now_ms, call, realm),
            Operation::StatementSchedule
            | Operation::StatementList
            | Operation::StatementRead
            | Operation::StatementCancel => self.statement_call(now_ms, call, realm),
            _ => self.client_call(now_ms, call, realm),
        };
        (answer, None)
    }

    fn create(&mut self, now_ms: i64, call: &LateCall, realm: Realm) -> (Answer, Option<Uuid>) {
        let at_s = now_ms.div_euclid(1000);
        let read = body::read(&call.body, at_s, self.behaviour.due_default_s);
        let made = read.and_then(|created| {
            let mut terms = created.terms;
            if !self.accounts[realm.account]
                .brands
                .contains(&terms.brand_id)
            {
                let text = "Brand does not exist.";
                return Err(Refusal::field("brand_id", "does_not_exist", text));
            }
            let (client_id, details) = self.payer(at_s, realm, created.client)?;
            terms.client = details;
            Ok((terms, client_id))
        });
        let (terms, client_id) = match made {
            Ok(made) => made,
            Err(refusal) => return (Err(refusal), None),
        };
        let id = self.new_id();
        let due_ms = terms.due_s.saturating_mul(1000).max(now_ms);
        self.purchases.insert(
            id,
            Purchase {
                id,
                realm,
                client_id,
                created_ms: now_ms,
                created_s: at_s,
                created_from_ip: call.client_ip.clone(),
                number: self.purchases.len() as u64 + 1,
                terms,
                history: vec![(Status::Created, at_s)],
                attempts: Vec::new(),
                face: Face {
                    status: Status::Created,
                    updated_s: at_s,
                    viewed_s: None,
                    taken: None,
                    hides_payment: false,
                    marked_as_paid: false,
                    refunded: 0,
                    is_token: false,
                    paid_by_token: None,
                    history_shown: 1,
                    attempts_shown: 0,
                },
                past: Vec::new(),
                before: None,
                held: None,
                card: None,
                charges_in_flight: 0,
                confirmation: None,
            },
        );
        self.timers.at(due_ms, Timer::Due(id));
        self.emit(now_ms, id, "purchase.created");
        let answer = self.shown(id).map(|response| Response {
            status: 201,
            ..response
        });
        (answer, Some(id))
    }

    fn retrieve(&self, now_ms: i64, call: &LateCall, realm: Realm) -> Answer {
        let purchase = self.purchase(realm, call.route.id)?;
        let face = match call.stale {
            Some(Effect::StaleBy(age_ms)) => {
                let at_ms = now_ms.saturating_sub_unsigned(age_ms);
                purchase.face_at(at_ms).ok_or_else(Refusal::not_found)?
            }
            Some(Effect::StaleStatus) => purchase.face_before(),
            Some(Effect::BeforeOperation) => purchase.before.as_ref().unwrap_or(&purchase.face),
            _ => &purchase.face,
        };
        let setting = self.setting(purchase.realm, None);
        Ok(Response::json(
            200,
            view::purchase(purchase, face, &setting),
        ))
    }

    fn cancel(&mut self, now_ms: i64, id: Uuid, realm: Realm) -> Answer {
        let purchase = self.purchase(realm, id)?;
        let is_racing = self.behaviour.cancel_races_charge
            && purchase.face.status == Status::PendingCharge
            && purchase.charges_in_flight > 0;
        if !purchase.face.status.is_payable() && !is_racing {
            let text = "Only purchases that can be paid for can be cancelled.";
            return Err(self.wrong_status("purchase_cancel_wrong_status", text));
        }
        if let Some(purchase) = self.purchases.get_mut(&id) {
            purchase.confirmation = None;
            purchase.begin();
            purchase.enter(now_ms, Status::Cancelled);
        }
        self.emit(now_ms, id, "purchase.cancelled");
        self.shown(id)
    }

    /// A person says that it was paid some other way: no money moves here.
    fn mark_as_paid(&mut self, now_ms: i64, call: &LateCall, realm: Realm) -> Answer {
        let id = call.route.id;
        let purchase = self.purchase(realm, id)?;
        if !purchase.face.status.is_payable() {
            let text = "Only purchases that can be paid for can be marked as paid.";
            return Err(self.wrong_status("purchase_mark_as_paid_wrong_status", text));
        }
        let total = purchase.terms.total;
        if let Some(purchase) = self.purchases.get_mut(&id) {
            purchase.begin();
            purchase.change(now_ms, |face| face.marked_as_paid = true);
        }
        self.take(now_ms, id, total, "custom");
        self.emit(now_ms, id, "purchase.paid");
        self.shown(id)
    }

    pub(crate) fn fall_due(&mut self, now_ms: i64, id: Uuid) {
        let Some(purchase) = self.purchases.get_mut(&id) else {
            return;
        };
        if !purchase.face.status.is_payable() {
            return;
        }
        let status = if purchase.terms.due_strict {
            Status::Expired
        } else {
            Status::Overdue
        };
        if purchase.face.status != status {
            purchase.enter(now_ms, status);
        }
    }

    /// A purchase of a data set; one of another data set is not found.
    pub(crate) fn purchase(&self, realm: Realm, id: Uuid) -> Result<&Purchase, Refusal> {
        let found = self
            .purchases
            .get(&id)
            .filter(|purchase| purchase.realm == realm);
        found.ok_or_else(Refusal::not_found)
    }

    pub(crate) fn shown(&self, id: Uuid) -> Answer {
        let purchase = self.purchases.get(&id).ok_or_else(Refusal::not_found)?;
        let setting = self.setting(purchase.realm, None);
        Ok(Response::json(
            200,
            view::purchase(purchase, &purchase.face, &setting),
        ))
    }

    pub(crate) fn setting<'a>(&'a self, realm: Realm, event: Option<&'a str>) -> Setting<'a> {
        let account = &self.accounts[realm.account];
        Setting {
            base_url: &self.base_url,
            company: &account.name,
            company_id: account.company_id,
            event,
            offers_direct_post: self.behaviour.offers_direct_post,
        }
    }
}

fn public_key(realm: Realm) -> Response {
    let pem = crate::signature::public_key(realm.key_number());
    Response::json(200, serde_json::Value::String(pem).to_string())
}
