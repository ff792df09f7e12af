//! The body of `POST /purchases/`: checks it, fills in what is left out, adds it up.

use std::sync::Arc;

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::fields::Fields;
use super::product;
use super::purchase::Terms;
use super::refusal::Refusal;

const METHODS: [&str; 21] = [
    "visa",
    "mastercard",
    "maestro",
    "fpx",
    "fpx_b2b1",
    "duitnow_qr",
    "dnqr",
    "razer",
    "razer_grabpay",
    "razer_tng",
    "razer_shopeepay",
    "razer_maybankqr",
    "razer_atome",
    "shopee_pay",
    "mpgs_google_pay",
    "mpgs_apple_pay",
    "crypto_coin",
    "razer_boost",
    "razer_mb2u",
    "atome",
    "billplz",
];
const CARDS: [&str; 3] = ["visa", "mastercard", "maestro"];
const CLIENT_TEXTS: [(&str, usize); 20] = [
    ("phone", 32),
    ("full_name", 128),
    ("personal_code", 32),
    ("street_address", 128),
    ("country", 64),
    ("city", 128),
    ("zip_code", 32),
    ("state", 128),
    ("shipping_street_address", 128),
    ("shipping_country", 64),
    ("shipping_city", 128),
    ("shipping_zip_code", 32),
    ("shipping_state", 128),
    ("legal_name", 128),
    ("brand_name", 128),
    ("registration_number", 32),
    ("tax_number", 32),
    ("bank_account", 34),
    ("bank_code", 11),
    ("email", 254),
];

/// A checked body.
pub(crate) struct Created {
    pub(crate) terms: Terms,
    pub(crate) client: Payer,
}

/// Who pays.
pub(crate) enum Payer {
    /// The id of a client the merchant made earlier.
    Known(Uuid),
    /// Details given with the purchase; a client is made or found by the e-mail.
    Given(Value),
}

/// Checks a body. `due_default_s` is added to the time when `due` is left out.
pub(crate) fn read(body: &Value, now_s: i64, due_default_s: i64) -> Result<Created, Refusal> {
    let empty = Map::new();
    let mut fields = Fields::of(body.as_object(), &empty);
    let client = payer(&mut fields)?;
    let brand_id = required_uuid(&mut fields, "brand_id");
    let details = details(&mut fields);
    let success_callback = fields.url("success_callback");
    let cancel_redirect = fields.url("cancel_redirect");
    if cancel_redirect.contains(['<', '>', '\'', '"']) {
        fields.fail("cancel_redirect", "invalid", "Enter a valid URL.");
    }
    let platform = fields.text("platform", 64);
    let issued = fields.text("issued", 10);
    let terms = Terms {
        brand_id,
        total: details.total,
        currency: details.currency,
        reference: Arc::from(fields.text("reference", 128)),
        due_s: fields.integer("due").unwrap_or(now_s + due_default_s),
        due_strict: details.due_strict,
        skip_capture: fields.flag("skip_capture"),
        force_recurring: fields.flag("force_recurring"),
        single_attempt: details.single_attempt,
        send_receipt: fields.flag("send_receipt"),
        asks_payer: details.asks_payer,
        issued: if issued.is_empty() {
            date(now_s)
        } else {
            issued
        },
        platform: if platform.is_empty() {
            "api".to_owned()
        } else {
            platform
        },
        creator_agent: fields.text("creator_agent", 32),
        success_redirect: fields.url("success_redirect"),
        failure_redirect: fields.url("failure_redirect"),
        cancel_redirect,
        success_callback,
        whitelist: whitelist(&mut fields),
        metadata: details.metadata,
        client: RawValue::NULL.to_owned(),
        details: details.shown,
    };
    fields
        .finish()
        .map_err(|body| Refusal { status: 400, body })?;
    check_whole(&terms)?;
    Ok(Created { terms, client })
}

fn check_whole(terms: &Terms) -> Result<(), Refusal> {
    if terms.total == 0 && !terms.skip_capture {
        let text =
            "A Purchase with a total of 0 needs `skip_capture` to be true (preauthorization).";
        return Err(Refusal::all(400, "purchase_zero_total", text));
    }
    if let Some(list) = &terms.whitelist {
        let needs_card = terms.skip_capture || terms.force_recurring;
        let usable = |name: &String| {
            if needs_card {
                CARDS.contains(&name.as_str())
            } else {
                name != "razer"
            }
        };
        if !list.iter().all(usable) {
            let text = "A payment method of the whitelist can't be used for this Purchase.";
            return Err(Refusal::all(400, "invalid_payment_method_whitelist", text));
        }
    }
    Ok(())
}

fn payer(fields: &mut Fields<'_>) -> Result<Payer, Refusal> {
    let client = fields.get("client");
    let client_id = fields.get("client_id");
    match (client, client_id) {
        (None, None) => {
            let text = "Either `client` or `client_id` must be specified.";
            Err(Refusal::all(400, "purchase_client_or_id_required", text))
        }
        (Some(_), Some(_)) => {
            let text = "Only one of `client` and `client_id` may be specified.";
            Err(Refusal::all(400, "purchase_client_or_id_only", text))
        }
        (None, Some(_)) => Ok(Payer::Known(required_uuid(fields, "client_id"))),
        (Some(raw), None) => match client_details(raw) {
            Ok(details) => Ok(Payer::Given(details)),
            Err(errors) => {
                fields.fail_with("client", errors);
                Ok(Payer::Given(Value::Null))
            }
        },
    }
}

/// Checks the details of a client; answers them with every key present.
pub(crate) fn client_details(raw: &Value) -> Result<Value, Value> {
    let empty = Map::new();
    let Some(object) = raw.as_object() else {
        return Err(
            json!({ "email": [super::refusal::fault("required", "This field is required.")] }),
        );
    };
    let mut fields = Fields::of(Some(object), &empty);
    let mut shown = Map::new();
    fields.email("email");
    for (name, max) in CLIENT_TEXTS {
        shown.insert(name.to_owned(), Value::String(fields.text(name, max)));
    }
    for name in ["country", "shipping_country"] {
        if let Some(Value::String(country)) = shown.get_mut(name) {
            match country.as_str() {
                "" => {}
                "Malaysia" => "MY".clone_into(country),
                code if code.len() == 2 => {}
                _ => fields.fail(name, "invalid_choice", "Not a valid country."),
            }
        }
    }
    for name in ["cc", "bcc"] {
        shown.insert(
            name.to_owned(),
            fields.get(name).cloned().unwrap_or_else(|| json!([])),
        );
    }
    shown.insert("client_type".to_owned(), Value::Null);
    let methods = json!([{ "method": "email", "options": {} }]);
    shown.insert("delivery_methods".to_owned(), methods);
    fields.finish()?;
    Ok(Value::Object(shown))
}

struct Details {
    total: i64,
    currency: String,
    due_strict: bool,
    single_attempt: bool,
    asks_payer: bool,
    metadata: Option<Value>,
    shown: Box<RawValue>,
}

fn details(outer: &mut Fields<'_>) -> Details {
    let empty = Map::new();
    let object = outer.get("purchase").and_then(Value::as_object);
    if object.is_none() {
        outer.fail("purchase", "required", "This field is required.");
    }
    let mut fields = Fields::of(object, &empty);
    let (products, sum) = products(&mut fields);
    let debt = fields.integer("debt").unwrap_or(0);
    let total_override = fields.amount("total_override");
    let total = total_override.unwrap_or_else(|| sum.saturating_add(debt));
    if total < 0 {
        fields.fail(
            "debt",
            "min_value",
            "Debt can't be lower than the negative total.",
        );
    }
    let currency = or_default(fields.text("currency", 3), "MYR");
    if currency.len() != 3 || !currency.bytes().all(|b| b.is_ascii_uppercase()) {
        fields.fail("currency", "invalid_choice", "Not a valid currency.");
    }
    let due_strict = fields.flag("due_strict");
    let asked = fields
        .get("request_client_details")
        .cloned()
        .unwrap_or_else(|| json!([]));
    let asks_payer = asked.as_array().is_some_and(|list| !list.is_empty());
    let metadata = fields.get("metadata").cloned();
    let single_attempt = fields.flag("single_attempt");
    let mut shown = json!({
        "debt": debt, "notes": fields.text("notes", 10_000), "total": total, "currency": currency,
        "language": or_default(fields.text("language", 2), "en"), "products": products,
        "timezone": or_default(fields.text("timezone", 64), "Asia/Kuala_Lumpur"),
        "due_strict": due_strict, "email_message": fields.text("email_message", 256),
        "total_override": total_override,
        "shipping_options": fields.get("shipping_options").cloned().unwrap_or_else(|| json!([])),
        "subtotal_override": fields.integer("subtotal_override"),
        "total_tax_override": fields.integer("total_tax_override"),
        "has_upsell_products": fields.flag("has_upsell_products"),
        "payment_method_details":
            fields.get("payment_method_details").cloned().unwrap_or_else(|| json!({})),
        "request_client_details": asked,
        "total_discount_override": fields.integer("total_discount_override"),
    });
    if let Some(map) = shown.as_object_mut() {
        if let Some(metadata) = &metadata {
            map.insert("metadata".to_owned(), metadata.clone());
        }
        if single_attempt {
            map.insert("single_attempt".to_owned(), Value::Bool(true));
        }
    }
    if let Err(errors) = fields.finish() {
        outer.fail_with("purchase", errors);
    }
    let shown = to_raw_value(&shown).unwrap_or_else(|_| RawValue::NULL.to_owned());
    Details {
        total,
        currency,
        due_strict,
        single_attempt,
        asks_payer,
        metadata,
        shown,
    }
}

fn products(fields: &mut Fields<'_>) -> (Vec<Value>, i64) {
    let list = match fields.get("products") {
        Some(Value::Array(list)) if !list.is_empty() => list,
        Some(Value::Array(_)) => {
            fields.fail("products", "min_length", "This list may not be empty.");
            return (Vec::new(), 0);
        }
        Some(_) => {
            fields.fail("products", "not_a_list", "Expected a list of items.");
            return (Vec::new(), 0);
        }
        None => {
            fields.fail("products", "required", "This field is required.");
            return (Vec::new(), 0);
        }
    };
    let mut shown = Vec::with_capacity(list.len());
    let mut errors = Vec::with_capacity(list.len());
    let mut sum = 0_i64;
    for raw in list {
        match product::line(raw) {
            Ok((line, total)) => {
                shown.push(line);
                errors.push(json!({}));
                sum = sum.saturating_add(total);
            }
            Err(error) => errors.push(error),
        }
    }
    if shown.len() != list.len() {
        fields.fail_with("products", Value::Array(errors));
    }
    (shown, sum)
}

fn whitelist(fields: &mut Fields<'_>) -> Option<Vec<String>> {
    let name = "payment_method_whitelist";
    let Value::Array(list) = fields.get(name)? else {
        fields.fail(
            name,
            "not_a_list",
            "Expected a list of items but got type dict.",
        );
        return None;
    };
    if list.is_empty() {
        fields.fail(name, "min_length", "This list may not be empty.");
    }
    let mut methods = Vec::with_capacity(list.len());
    for entry in list {
        match entry.as_str() {
            Some(method) if METHODS.contains(&method) => methods.push(method.to_owned()),
            _ => fields.fail(name, "invalid_choice", "Not a valid choice."),
        }
    }
    Some(methods)
}

fn required_uuid(fields: &mut Fields<'_>, name: &str) -> Uuid {
    let Some(value) = fields.get(name) else {
        fields.fail(name, "required", "This field is required.");
        return Uuid::nil();
    };
    value
        .as_str()
        .and_then(|text| Uuid::try_parse(text).ok())
        .unwrap_or_else(|| {
            fields.fail(name, "invalid", "Must be a valid UUID.");
            Uuid::nil()
        })
}

fn or_default(text: String, default: &str) -> String {
    if text.is_empty() {
        default.to_owned()
    } else {
        text
    }
}

/// The day in Kuala Lumpur, which has been eight hours ahead since 1982.
fn date(now_s: i64) -> String {
    let there = chrono::DateTime::from_timestamp(now_s + 8 * 3600, 0).unwrap_or_default();
    there.format("%Y-%m-%d").to_string()
}
