//! What is put to the schema and to the code.

use holdfast::payment::LARGEST_MINOR;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::TOKEN;

/// Texts that one field or another takes, and texts that are not quite so.
const TEXTS: [&str; 102] = [
    "",
    " ",
    "a",
    "a b",
    "a\tb",
    "a\u{0}",
    "a\u{7f}",
    "a\u{85}",
    "é",
    "1",
    "1500",
    "MYR",
    "myr",
    "RM",
    "MYRS",
    "ＭＹＲ",
    "MYR\n",
    "release",
    "Release",
    "hold",
    "authorize",
    "charge",
    "capture",
    "cancel",
    "2027-01-31T14:00:00+08:00",
    "2027-01-31T14:00:00Z",
    "2027-01-31t14:00:00.123456789012z",
    "2027-01-31 14:00:00-00:00",
    "2027-01-31T14:00:00\u{2212}08:00",
    "2027-01-31T23:59:60Z",
    "2027-01-31T14:00:60Z",
    "2027-01-31T14:00:61Z",
    "2027-01-31T14:00:00+23:59",
    "2027-01-31T14:00:00",
    "2027-01-31T14:00Z",
    "2027-01-31",
    "2027-01-31T14:00:00+0800",
    "2027-01-31T14:00:00+08",
    "2027-01-31T14:00:00+24:00",
    "2027-01-31T14:00:00+08:60",
    "2027-01-31T14:00:00.Z",
    "2027-01-31T14:00:00,5Z",
    "2027-01-31T24:00:00Z",
    "2027-13-01T14:00:00Z",
    "2027-00-01T14:00:00Z",
    "2027-01-00T14:00:00Z",
    "0000-01-01T00:00:00Z",
    "9999-12-31T23:59:59-23:59",
    "12027-01-31T14:00:00Z",
    "27-01-31T14:00:00Z",
    " 2027-01-31T14:00:00Z",
    "2027-01-31T14:00:00Z ",
    "2027-01-31T14:00:00Z\n",
    "2027-01-31_14:00:00Z",
    "2027-02-29T14:00:00Z",
    "2028-02-29T14:00:00Z",
    "2027-04-31T14:00:00Z",
    "5A9E3C1C-0000-4000-8000-00000000BEEF",
    "5a9e3c1c000040008000 00000000beef",
    "{5a9e3c1c-0000-4000-8000-00000000beef}",
    "{5a9e3c1c-0000-4000-8000-00000000beef",
    "URN:uuid:5a9e3c1c-0000-4000-8000-00000000beef",
    "urn:uuid:{5a9e3c1c00004000800000000000beef}",
    " \u{a0}5a9e3c1c-0000-4000-8000-00000000beef\n\u{85}",
    "urn:uuid: 5a9e3c1c00004000800000000000beef",
    "\u{1c}5a9e3c1c00004000800000000000beef",
    "\u{feff}5a9e3c1c00004000800000000000beef",
    "https://a",
    "HTTP://a",
    "https://",
    "https:///a",
    "https://u@a/",
    "https://@",
    "https://u@.a",
    "https://a:80",
    "https://:80",
    "https://a b",
    "https://a\\b",
    "https://a?<>'\"#",
    "ftp://a",
    "https://é/é",
    "https://a/\u{a0}",
    "//a",
    "https://u@b@a",
    "https://a/\u{2028}",
    "a@b.example",
    "a@b",
    "@b.example",
    "a@b@c.example",
    "a@-b.example",
    "a@b-.example",
    "a@b--c.example",
    "a@b..example",
    "a@b.example.",
    "a@é.example",
    "a@b_c.example",
    "a b@c.example",
    "a@€.example",
    "<a@b.example>",
    "é@b.example",
    "a@b.e\u{300}",
    "a@\u{200b}.example",
];

/// Values of all sorts, at the limits and just outside, for any field.
pub(super) fn anything() -> Vec<Value> {
    let mut all: Vec<Value> = vec![
        json!(null),
        json!(true),
        json!([]),
        json!({}),
        json!(["MYR"]),
        json!({"release": null}),
        json!(0),
        json!(1),
        json!(2),
        json!(-1),
        json!(-0.0),
        json!(1.0),
        json!(1500.0),
        json!(0.5),
        json!(1e30),
        json!(LARGEST_MINOR),
        json!(LARGEST_MINOR + 1),
        json!(u64::MAX),
        json!([1, "MYR"]),
        json!({"amount": 1, "currency": "MYR"}),
        json!({"checkout": {}}),
        json!({"token": TOKEN}),
        json!({"checkout": {}, "token": TOKEN}),
        json!({"card": TOKEN}),
    ];
    all.extend(TEXTS.map(Value::from));
    for length in [32, 64, 128, 255, 256, 500] {
        for letter in ["a", "é", "😀"] {
            all.extend([letter.repeat(length), letter.repeat(length + 1)].map(Value::from));
        }
        for (begin, end) in [("https://a/", ""), ("", "@b.example")] {
            let fill = length - begin.len() - end.len();
            all.extend([fill, fill + 1].map(|n| json!(format!("{begin}{}{end}", "a".repeat(n)))));
        }
    }
    all.extend([243, 244].map(|n| json!(format!("{}@b.example", "é".repeat(n)))));
    all.push(json!(format!("{}@b.example", "é".repeat(245))));
    all
}

fn maybe(value: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Option<Value>> {
    prop_oneof![
        4 => value.prop_map(Some),
        2 => Just(None),
        1 => Just(Some(Value::Null)),
    ]
    .boxed()
}

fn given(value: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Option<Value>> {
    value.prop_map(Some).boxed()
}

/// There or not, but never null.
fn or_none(value: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Option<Value>> {
    proptest::option::of(value).boxed()
}

type Fields = Vec<(&'static str, BoxedStrategy<Option<Value>>)>;

/// An object of these fields, of which some may be left out.
fn object(fields: Fields) -> BoxedStrategy<Value> {
    let (names, values): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
    let filled = move |values: Vec<Option<Value>>| {
        let given = names.iter().zip(values);
        let given = given.filter_map(|(name, value)| Some(((*name).to_owned(), value?)));
        Value::Object(given.collect())
    };
    values.prop_map(filled).boxed()
}

fn text(pattern: &'static str) -> BoxedStrategy<Value> {
    pattern.prop_map(Value::from).boxed()
}

/// A time in this month of 2027, however written.
fn in_month(month: u32) -> BoxedStrategy<Value> {
    let clock = (1..=28_u32, 0..24_u32, 0..60_u32);
    let between = select(vec!["T", "t", " "]);
    let fraction = select(vec!["", ".5", ".123456789"]);
    let zone = select(vec!["Z", "z", "+08:00", "-11:30", "\u{2212}03:00"]);
    let written =
        move |((day, hour, minute), t, fraction, zone): ((u32, u32, u32), &str, &str, &str)| {
            json!(format!(
                "2027-{month:02}-{day:02}{t}{hour:02}:{minute:02}:00{fraction}{zone}"
            ))
        };
    (clock, between, fraction, zone).prop_map(written).boxed()
}

fn amount(from: u64, to: u64) -> impl Strategy<Value = Value> {
    prop_oneof![Just(from), from..=to, Just(to)].prop_map(Value::from)
}

/// Never below what `plan` captures at most.
fn money() -> BoxedStrategy<Value> {
    object(vec![
        ("amount", given(amount(1_000, LARGEST_MINOR))),
        ("currency", given(text("[A-Z]{3}"))),
    ])
}

fn url() -> impl Strategy<Value = Value> {
    let url = text("(https?|HTTP)://[a-zé0-9]{1,20}(:80)?(/[!-;=?-Z^-~é]{0,99})?|");
    url.prop_filter("markup", |url| {
        !url.as_str().unwrap().contains(['<', '>', '\'', '"'])
    })
}

fn checkout() -> BoxedStrategy<Value> {
    object(vec![
        ("success_redirect", maybe(url())),
        ("failure_redirect", maybe(url())),
        ("cancel_redirect", maybe(url())),
        ("pay_by", maybe(in_month(1))),
    ])
}

fn customer() -> BoxedStrategy<Value> {
    let email = "[!-?A-Zé]{1,60}@([a-z0-9é]([a-z-]{0,9}[a-z])?\\.){1,3}[a-z]{2,9}";
    object(vec![
        ("email", given(text(email))),
        ("full_name", maybe(text("[ -~é]{0,128}"))),
        ("phone", maybe(text("\\+?[0-9 ]{0,31}"))),
    ])
}

fn plan() -> BoxedStrategy<Value> {
    let guard = select(vec!["release", "capture", "park"]);
    object(vec![
        ("capture_at", maybe(in_month(2))),
        ("capture_amount", maybe(amount(1, 1_000))),
        ("release_at", maybe(in_month(4))),
        ("expires_at", maybe(in_month(6))),
        ("before_expiry", maybe(guard.prop_map(Value::from))),
    ])
}

fn token() -> BoxedStrategy<Value> {
    text("[0-9A-Za-z_-]{1,64}")
}

fn source() -> impl Strategy<Value = Value> {
    prop_oneof![
        checkout().prop_map(|checkout| json!({ "checkout": checkout })),
        token().prop_map(|token| json!({ "token": token })),
    ]
}

fn description() -> BoxedStrategy<Option<Value>> {
    maybe(text("[ -~é]{1,256}"))
}

fn of_kind(kind: &'static str, more: Fields) -> BoxedStrategy<Value> {
    let mut fields = vec![
        ("v", given(Just(json!(1)))),
        ("type", given(Just(json!(kind)))),
        ("account", given(token())),
        ("idempotency_key", given(text("[ -~]{1,255}|é{1,127}"))),
        ("reference", maybe(text("[ -~]{1,128}|é{1,64}"))),
    ];
    fields.extend(more);
    object(fields)
}

/// Requests within all limits.
pub(super) fn fine_request() -> impl Strategy<Value = Value> {
    let uuid = text(" ?(urn:uuid:)?[0-9A-Fa-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\n?");
    let authorize = vec![
        ("money", given(money())),
        ("source", given(source())),
        ("plan", or_none(plan())),
        ("customer", given(customer())),
        ("description", description()),
    ];
    let save_card = vec![
        ("checkout", or_none(checkout())),
        ("customer", given(customer())),
        ("currency", or_none(text("[A-Z]{3}"))),
        ("description", description()),
    ];
    let charge = vec![
        ("money", given(money())),
        ("token", given(token())),
        ("customer", given(customer())),
        ("not_before", maybe(in_month(2))),
        ("not_after", maybe(in_month(4))),
        ("description", description()),
    ];
    let adopt = vec![
        ("purchase", given(prop_oneof![token(), uuid])),
        ("money", given(money())),
        ("plan", or_none(plan())),
    ];
    prop_oneof![
        of_kind("authorize", authorize),
        of_kind("save_card", save_card),
        of_kind("charge", charge),
        of_kind("adopt", adopt),
    ]
}
