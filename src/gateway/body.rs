//! What the create of a purchase carries.

use serde::Serialize;

use super::account::Account;
use crate::payment::{Checkout, CreateOrder, Customer, Private};

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
                    reference: order.reference.as_ref().map(|reference| reference.as_str()),
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
