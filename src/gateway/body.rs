//! What the create of a purchase carries.

use serde::Serialize;

use super::account::Account;
use crate::payment::{Checkout, CreateOrder, Customer, Private, Reference};

/// The longest texts that the gateway takes, in characters.
const LONGEST_PRODUCT_NAME: usize = 256;
const LONGEST_FULL_NAME: usize = 128;

/// What a payer reads when the producer gave no description.
const DEFAULT_PRODUCT: &str = "Payment";
const DEFAULT_CARD_CHECK: &str = "Card verification";

/// The body of `POST /purchases/`.
#[derive(Serialize)]
pub(super) struct CreateBody<'a> {
    brand_id: &'a str,
    client: Client<'a>,
    purchase: Purchase<'a>,
    reference: &'a str,
    /// At the top level: inside `purchase` it would be ignored and the money taken at once.
    skip_capture: bool,
    force_recurring: bool,
    due: i64,
    send_receipt: bool,
    platform: &'static str,
    creator_agent: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_method_whitelist: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    success_redirect: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_redirect: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel_redirect: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    success_callback: Option<&'a str>,
}

#[derive(Serialize)]
struct Client<'a> {
    email: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    full_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<&'a str>,
}

#[derive(Serialize)]
struct Purchase<'a> {
    currency: &'a str,
    products: [Product<'a>; 1],
    /// After `due` it cannot be paid any more: only so can a failure be reported for good.
    due_strict: bool,
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
struct Product<'a> {
    name: &'a str,
    price: u64,
    quantity: &'static str,
}

#[derive(Serialize)]
struct Metadata<'a> {
    payment: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
}

impl<'a> CreateBody<'a> {
    pub(super) fn of(order: &'a CreateOrder, account: &'a Account) -> Self {
        let checkout = order.checkout.as_ref();
        let redirect = |which: fn(&Checkout) -> &Option<Private<String>>| {
            checkout.and_then(|checkout| revealed(which(checkout).as_ref()))
        };
        let cards_only = checkout.is_some() && (order.reserve || order.save_card);
        Self {
            brand_id: &account.brand_id,
            client: Client::of(&order.customer),
            purchase: Purchase {
                currency: order.currency.as_str(),
                products: [Product {
                    name: product_name(order),
                    price: order.total_minor,
                    quantity: "1",
                }],
                due_strict: true,
                metadata: Metadata {
                    payment: order.payment.as_str(),
                    reference: order.reference.as_ref().map(Reference::as_str),
                },
            },
            reference: order.payment.as_str(),
            skip_capture: order.reserve,
            force_recurring: order.save_card,
            due: order.due.timestamp(),
            send_receipt: false,
            platform: "api",
            creator_agent: "holdfast",
            payment_method_whitelist: account.card_whitelist.as_deref().filter(|_| cards_only),
            success_redirect: redirect(|checkout| &checkout.success_redirect),
            failure_redirect: redirect(|checkout| &checkout.failure_redirect),
            cancel_redirect: redirect(|checkout| &checkout.cancel_redirect),
            success_callback: revealed(account.success_callback.as_ref()),
        }
    }
}

impl<'a> Client<'a> {
    fn of(customer: &'a Customer) -> Self {
        Self {
            email: customer.email.reveal(),
            full_name: revealed(customer.full_name.as_ref())
                .map(|name| shortened(name, LONGEST_FULL_NAME)),
            phone: revealed(customer.phone.as_ref()),
        }
    }
}

fn revealed(text: Option<&Private<String>>) -> Option<&str> {
    text.map(|text| text.reveal().as_str())
        .filter(|text| !text.is_empty())
}

fn product_name(order: &CreateOrder) -> &str {
    let default = if order.total_minor == 0 {
        DEFAULT_CARD_CHECK
    } else {
        DEFAULT_PRODUCT
    };
    let name = order.description.as_deref().unwrap_or_default();
    if name.trim().is_empty() {
        default
    } else {
        shortened(name, LONGEST_PRODUCT_NAME)
    }
}

fn shortened(text: &str, longest: usize) -> &str {
    text.char_indices()
        .nth(longest)
        .map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::clock::from_millis;
    use crate::gateway::AccountConfig;
    use crate::payment::{AccountName, Currency, PaymentId};

    fn account(card_whitelist: Option<Vec<String>>) -> Account {
        Account::new(AccountConfig {
            secret_key: Private::new("key".to_owned()),
            brand_id: "brand-1".to_owned(),
            base_url: "https://gate.example/api/v1/".to_owned(),
            test: true,
            success_callback: Some(Private::new("https://us.example/callback".to_owned())),
            card_whitelist,
            webhook_keys: Vec::new(),
        })
        .unwrap()
    }

    fn order() -> CreateOrder {
        CreateOrder {
            payment: PaymentId::new("pay_0123").unwrap(),
            account: AccountName::new("hotel").unwrap(),
            total_minor: 1500,
            currency: Currency::MYR,
            reserve: true,
            save_card: false,
            due: from_millis(1_800_000_000_999).unwrap(),
            customer: Customer {
                email: Private::new("a@b.example".to_owned()),
                full_name: Some(Private::new("é".repeat(200))),
                phone: None,
            },
            description: Some("Room 12".to_owned()),
            reference: Some(Reference::new("order-7").unwrap()),
            checkout: Some(Checkout {
                success_redirect: Some(Private::new("https://shop.example/ok".to_owned())),
                ..Checkout::default()
            }),
        }
    }

    fn body(order: &CreateOrder, account: &Account) -> Value {
        serde_json::to_value(CreateBody::of(order, account)).unwrap()
    }

    #[test]
    fn a_hold_is_asked_for_where_the_gateway_looks_for_it() {
        let name = "é".repeat(128);
        let expected = json!({
            "brand_id": "brand-1",
            "client": {"email": "a@b.example", "full_name": name},
            "purchase": {
                "currency": "MYR",
                "products": [{"name": "Room 12", "price": 1500, "quantity": "1"}],
                "due_strict": true,
                "metadata": {"payment": "pay_0123", "reference": "order-7"},
            },
            "reference": "pay_0123",
            "skip_capture": true,
            "force_recurring": false,
            "due": 1_800_000_000,
            "send_receipt": false,
            "platform": "api",
            "creator_agent": "holdfast",
            "success_redirect": "https://shop.example/ok",
            "success_callback": "https://us.example/callback",
        });
        assert_eq!(body(&order(), &account(None)), expected);
    }

    #[test]
    fn a_card_is_saved_for_nothing() {
        let order = CreateOrder {
            total_minor: 0,
            save_card: true,
            description: None,
            ..order()
        };
        let body = body(&order, &account(None));
        assert_eq!(body["purchase"]["products"][0]["price"], 0);
        assert_eq!(body["skip_capture"], true);
        assert_eq!(body["force_recurring"], true);
        assert_eq!(body["purchase"]["products"][0]["name"], "Card verification");
    }

    #[test]
    fn the_whitelist_goes_where_a_payer_chooses_a_card_and_nowhere_else() {
        let account = account(Some(vec!["visa".to_owned()]));
        let whitelisted =
            |order: &CreateOrder| body(order, &account)["payment_method_whitelist"].clone();
        assert_eq!(whitelisted(&order()), json!(["visa"]));
        assert_eq!(
            whitelisted(&CreateOrder {
                checkout: None,
                ..order()
            }),
            Value::Null
        );
        assert_eq!(
            whitelisted(&CreateOrder {
                reserve: false,
                ..order()
            }),
            Value::Null
        );
    }
}
