//! A purchase as the JSON object the gateway answers.

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::purchase::{Attempt, Card, Purchase};
use super::status::Status;

/// The part of a purchase that changes.
#[derive(Clone, Debug)]
pub(crate) struct Face {
    pub(crate) status: Status,
    pub(crate) updated_s: i64,
    pub(crate) viewed_s: Option<i64>,
    pub(crate) taken: Option<Taken>,
    /// Whether `payment` is still null although money was taken.
    pub(crate) hides_payment: bool,
    pub(crate) marked_as_paid: bool,
    pub(crate) refunded: i64,
    pub(crate) is_token: bool,
    pub(crate) paid_by_token: Option<Uuid>,
    pub(crate) history_shown: usize,
    pub(crate) attempts_shown: usize,
}

/// Money that was taken.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) amount: i64,
    pub(crate) at_s: i64,
    pub(crate) kind: &'static str,
}

/// What surrounds a purchase in its JSON form.
pub(crate) struct Setting<'a> {
    pub(crate) base_url: &'a str,
    pub(crate) company: &'a str,
    pub(crate) company_id: Uuid,
    pub(crate) event: Option<&'a str>,
    pub(crate) offers_direct_post: bool,
}

#[derive(Serialize)]
struct HistoryView {
    status: Status,
    timestamp: i64,
}

#[derive(Serialize)]
#[serde(untagged)]
enum CardView<'a> {
    Nothing {},
    Card {
        card_type: &'static str,
        card_brand: &'static str,
        masked_pan: &'a str,
        card_issuer: &'static str,
        expiry_year: u32,
        expiry_month: u32,
        cardholder_name: &'a str,
        card_issuer_country: &'static str,
    },
}

impl<'a> CardView<'a> {
    fn of(card: Option<&'a Card>) -> Self {
        card.map_or(Self::Nothing {}, |card| Self::Card {
            card_type: "credit",
            card_brand: card.brand,
            masked_pan: &card.masked_pan,
            card_issuer: "",
            expiry_year: card.expiry_year,
            expiry_month: card.expiry_month,
            cardholder_name: &card.holder,
            card_issuer_country: "MY",
        })
    }
}

#[derive(Serialize)]
struct ErrorView<'a> {
    code: &'a str,
    message: &'a str,
}

#[derive(Serialize)]
struct AttemptView<'a> {
    flow: &'static str,
    r#type: &'static str,
    error: Option<ErrorView<'a>>,
    extra: CardView<'a>,
    country: &'static str,
    client_ip: &'a str,
    fee_amount: i64,
    successful: bool,
    payment_method: &'static str,
    processing_time: i64,
}

impl<'a> AttemptView<'a> {
    fn of(attempt: &'a Attempt) -> Self {
        let card = attempt.card.as_deref();
        Self {
            flow: attempt.flow,
            r#type: attempt.kind,
            error: attempt.error.as_ref().map(|e| ErrorView {
                code: &e.code,
                message: &e.message,
            }),
            extra: CardView::of(card),
            country: card.map_or("", |_| "MY"),
            client_ip: &attempt.client_ip,
            fee_amount: 0,
            successful: attempt.error.is_none(),
            payment_method: card.map_or("", |card| card.brand),
            processing_time: attempt.at_s,
        }
    }
}

#[derive(Serialize)]
struct TransactionView<'a> {
    flow: &'static str,
    extra: CardView<'a>,
    country: &'static str,
    attempts: Vec<AttemptView<'a>>,
    payment_method: &'static str,
}

#[derive(Serialize)]
struct PaymentView<'a> {
    amount: i64,
    paid_on: i64,
    currency: &'a str,
    fee_amount: i64,
    net_amount: i64,
    description: &'static str,
    is_outgoing: bool,
    payment_type: &'static str,
    pending_amount: i64,
    remote_paid_on: i64,
    owned_bank_code: Option<()>,
    owned_bank_account: Option<()>,
    pending_unfreeze_on: Option<i64>,
    owned_bank_account_id: Option<()>,
}

#[derive(Serialize)]
struct IssuerView<'a> {
    website: &'static str,
    brand_name: &'a str,
    legal_city: &'static str,
    legal_name: &'a str,
    tax_number: &'static str,
    bank_accounts: [BankView; 1],
    legal_country: &'static str,
    legal_zip_code: &'static str,
    registration_number: &'static str,
    legal_street_address: &'static str,
}

#[derive(Serialize)]
struct BankView {
    bank_code: &'static str,
    bank_account: &'static str,
}

#[derive(Serialize)]
#[allow(clippy::struct_excessive_bools, reason = "the gateway's own fields")]
struct PurchaseView<'a> {
    id: Uuid,
    due: i64,
    r#type: &'static str,
    client: &'a RawValue,
    issued: &'a str,
    status: Status,
    is_test: bool,
    payment: Option<PaymentView<'a>>,
    product: &'static str,
    user_id: Option<()>,
    brand_id: Uuid,
    order_id: Option<()>,
    platform: &'a str,
    purchase: &'a RawValue,
    client_id: Uuid,
    reference: &'a str,
    viewed_on: Option<i64>,
    company_id: Uuid,
    created_on: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_type: Option<&'a str>,
    updated_on: i64,
    invoice_url: Option<()>,
    can_retrieve: bool,
    checkout_url: String,
    send_receipt: bool,
    skip_capture: bool,
    creator_agent: &'a str,
    referral_code: Option<()>,
    can_chargeback: bool,
    issuer_details: IssuerView<'a>,
    marked_as_paid: bool,
    status_history: Vec<HistoryView>,
    cancel_redirect: &'a str,
    created_from_ip: &'a str,
    direct_post_url: Option<String>,
    force_recurring: bool,
    recurring_token: Option<Uuid>,
    failure_redirect: &'a str,
    success_callback: &'a str,
    success_redirect: &'a str,
    transaction_data: TransactionView<'a>,
    upsell_campaigns: [(); 0],
    refundable_amount: i64,
    is_recurring_token: bool,
    billing_template_id: Option<()>,
    currency_conversion: Option<()>,
    reference_generated: String,
    refund_availability: &'static str,
    referral_campaign_id: Option<()>,
    retain_level_details: Option<()>,
    referral_code_details: Option<()>,
    referral_code_generated: Option<()>,
    payment_method_whitelist: Option<&'a [String]>,
}

/// Renders a purchase with one of its faces.
pub(crate) fn purchase(purchase: &Purchase, face: &Face, setting: &Setting<'_>) -> String {
    let view = view(purchase, face, setting);
    serde_json::to_string(&view).expect("a purchase of strings and numbers is always JSON")
}

/// The same as a value, for the control endpoints.
pub(crate) fn purchase_value(p: &Purchase, setting: &Setting<'_>) -> Value {
    serde_json::to_value(view(p, &p.face, setting)).unwrap_or_default()
}

fn view<'a>(p: &'a Purchase, face: &Face, setting: &Setting<'a>) -> PurchaseView<'a> {
    let terms = &p.terms;
    let taken = face.taken.as_ref().map_or(0, |taken| taken.amount);
    let is_card_payment = face.taken.is_some() && p.card.is_some();
    PurchaseView {
        id: p.id,
        due: terms.due_s,
        r#type: "purchase",
        client: &terms.client,
        issued: &terms.issued,
        status: face.status,
        is_test: !p.realm.live,
        payment: face
            .taken
            .as_ref()
            .filter(|_| !face.hides_payment)
            .map(|taken| payment(taken, &terms.currency)),
        product: "purchases",
        user_id: None,
        brand_id: terms.brand_id,
        order_id: None,
        platform: &terms.platform,
        purchase: &terms.details,
        client_id: p.client_id,
        reference: &terms.reference,
        viewed_on: face.viewed_s,
        company_id: setting.company_id,
        created_on: p.created_s,
        event_type: setting.event,
        updated_on: face.updated_s,
        invoice_url: None,
        can_retrieve: is_card_payment,
        checkout_url: checkout_url(p.id, face.status, setting.base_url),
        send_receipt: terms.send_receipt,
        skip_capture: terms.skip_capture,
        creator_agent: &terms.creator_agent,
        referral_code: None,
        can_chargeback: is_card_payment,
        issuer_details: issuer(setting.company),
        marked_as_paid: face.marked_as_paid,
        status_history: history(p, face),
        cancel_redirect: &terms.cancel_redirect,
        created_from_ip: &p.created_from_ip,
        direct_post_url: direct_post_url(p, face.status, setting.base_url)
            .filter(|_| setting.offers_direct_post),
        force_recurring: terms.force_recurring,
        recurring_token: face.paid_by_token,
        failure_redirect: &terms.failure_redirect,
        success_callback: &terms.success_callback,
        success_redirect: &terms.success_redirect,
        transaction_data: transaction(p, face),
        upsell_campaigns: [],
        refundable_amount: taken - face.refunded,
        is_recurring_token: face.is_token,
        billing_template_id: None,
        currency_conversion: None,
        reference_generated: reference_generated(p),
        refund_availability: refund_availability(face, taken),
        referral_campaign_id: None,
        retain_level_details: None,
        referral_code_details: None,
        referral_code_generated: None,
        payment_method_whitelist: terms.whitelist.as_deref(),
    }
}

pub(crate) fn reference_generated(p: &Purchase) -> String {
    format!("CH{}", p.number)
}

fn history(p: &Purchase, face: &Face) -> Vec<HistoryView> {
    let shown = p.history.iter().take(face.history_shown);
    shown
        .map(|(status, timestamp)| HistoryView {
            status: *status,
            timestamp: *timestamp,
        })
        .collect()
}

fn transaction<'a>(p: &'a Purchase, face: &Face) -> TransactionView<'a> {
    let shown = &p.attempts[..face.attempts_shown.min(p.attempts.len())];
    let good = shown.iter().rev().find(|attempt| attempt.error.is_none());
    let card = good.and_then(|attempt| attempt.card.as_deref());
    TransactionView {
        flow: shown.first().map_or("payform", |attempt| attempt.flow),
        extra: CardView::of(card),
        country: card.map_or("", |_| "MY"),
        attempts: shown.iter().rev().map(AttemptView::of).collect(),
        payment_method: card.map_or("", |card| card.brand),
    }
}

fn payment<'a>(taken: &Taken, currency: &'a str) -> PaymentView<'a> {
    PaymentView {
        amount: taken.amount,
        paid_on: taken.at_s,
        currency,
        fee_amount: 0,
        net_amount: taken.amount,
        description: "",
        is_outgoing: false,
        payment_type: taken.kind,
        pending_amount: 0,
        remote_paid_on: taken.at_s,
        owned_bank_code: None,
        owned_bank_account: None,
        pending_unfreeze_on: None,
        owned_bank_account_id: None,
    }
}

fn issuer(company: &str) -> IssuerView<'_> {
    IssuerView {
        website: "",
        brand_name: company,
        legal_city: "Kuala Lumpur",
        legal_name: company,
        tax_number: "",
        bank_accounts: [BankView {
            bank_code: "SBX",
            bank_account: "0000000000",
        }],
        legal_country: "MY",
        legal_zip_code: "50000",
        registration_number: "",
        legal_street_address: "1 Sandbox Street",
    }
}

fn refund_availability(face: &Face, taken: i64) -> &'static str {
    let refundable = face.status.is_taken() || face.status == Status::Refunded;
    if refundable && taken > face.refunded {
        "all"
    } else {
        "none"
    }
}

fn checkout_url(id: Uuid, status: Status, base_url: &str) -> String {
    let is_link = status.is_payable() || status == Status::Expired;
    let tail = if is_link { "" } else { "invoice/" };
    format!("{base_url}/p/{id}/{tail}")
}

fn direct_post_url(p: &Purchase, status: Status, base_url: &str) -> Option<String> {
    let terms = &p.terms;
    let has_redirects = !terms.success_redirect.is_empty() && !terms.failure_redirect.is_empty();
    let open = status.is_payable() && has_redirects && !terms.asks_payer;
    open.then(|| format!("{base_url}/p/{}/", p.id))
}
