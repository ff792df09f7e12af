//! Every answer that any test hears is one that the document has, with the body that it has.

use std::collections::BTreeSet;

use boon::{Compiler, Schemas};
use holdfast::api::v1::{DOCUMENT, ProblemCode};

use super::*;

const ADDRESS: &str = "http://document.example/openapi.json";

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The path of the document that a request's path fits.
fn template(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').collect();
    let written = match parts[..] {
        ["", "v1", "payments", _] => "/v1/payments/{id}".to_owned(),
        ["", "v1", "cards", _] => "/v1/cards/{card}".to_owned(),
        ["", "v1", "cards", _, "look"] => "/v1/cards/{card}/look".to_owned(),
        ["", "v1", "plans", _] => "/v1/plans/{plan}".to_owned(),
        ["", "v1", "plans", _, run] => format!("/v1/plans/{{plan}}/{run}"),
        ["", "v1", "payments", _, command] => format!("/v1/payments/{{id}}/{command}"),
        _ => path.to_owned(),
    };
    DOCUMENT["paths"].get(&written).map(|_| written)
}

/// Panics unless the document has such an answer.
pub(super) fn is_documented(method: &str, path: &str, heard: &Heard) {
    let method = method.to_lowercase();
    let Some(template) = template(path).filter(|at| DOCUMENT["paths"][at].get(&method).is_some())
    else {
        assert!(
            [401, 404, 405].contains(&heard.status),
            "{method} {path}: {heard:?}"
        );
        return;
    };
    let kind = heard.header("content-type").unwrap();
    let answer = format!(
        "/paths/{}/{method}/responses/{}/content/{}/schema",
        escaped(&template),
        heard.status,
        escaped(kind)
    );
    assert!(
        DOCUMENT.pointer(&answer).is_some(),
        "not documented: {method} {template} answers {} as {kind}",
        heard.status
    );
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.add_resource(ADDRESS, DOCUMENT.clone()).unwrap();
    let schema = compiler.compile(
        &format!(
            "{ADDRESS}#{}",
            answer.replace('{', "%7B").replace('}', "%7D")
        ),
        &mut schemas,
    );
    let schema = schema.unwrap();
    if let Err(error) = schemas.validate(&heard.body, schema) {
        panic!("{method} {template} answers what the document does not have: {error:#}");
    }
}

#[test]
fn the_document_in_the_repository_is_that_of_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/openapi.v1.json");
    let made = format!("{:#}\n", *DOCUMENT);
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        made == kept,
        "schema/openapi.v1.json is old: holdfast schema openapi > schema/openapi.v1.json"
    );
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get("$ref") {
                    found.insert(reference.clone());
                }
                fields.values().for_each(|inner| references(inner, found));
            }
            Value::Array(items) => items.iter().for_each(|inner| references(inner, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    references(&DOCUMENT, &mut found);
    assert!(found.len() > 20);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(
            DOCUMENT.pointer(pointer).is_some(),
            "{reference} leads nowhere"
        );
    }
}

#[test]
fn a_code_is_one_word_everywhere_and_stands_in_the_document() {
    let told = DOCUMENT.to_string();
    let mut words = BTreeSet::new();
    for code in ProblemCode::ALL {
        assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        assert!(words.insert(code.as_str()));
        let somewhere = format!("`{}`: ", code.as_str());
        // These two are answers of no operation.
        let everywhere = matches!(code, ProblemCode::NotFound | ProblemCode::MethodNotAllowed)
            || ProblemCode::OF_PUSHES.contains(&code);
        assert!(
            everywhere || told.contains(&somewhere),
            "{} is documented nowhere",
            code.as_str()
        );
    }
}

/// Among the tests beside this one; those of pushes have a list of their own.
#[test]
fn every_code_is_provoked_by_a_test() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/service");
    let tests: String = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    let provoked = |code: &ProblemCode| {
        let status = code.status().as_u16();
        tests.contains(&format!("is({status}, \"{}\")", code.as_str()))
    };
    let of_http = |code: &&ProblemCode| !ProblemCode::OF_PUSHES.contains(code);
    for code in ProblemCode::ALL.iter().filter(of_http) {
        assert!(provoked(code), "nothing provokes {}", code.as_str());
    }
}

#[tokio::test]
async fn anybody_may_read_the_document() {
    let shop = Shop::open().await;
    let url = format!("http://{}/v1/openapi.json", shop.served.address);
    let heard = shop.served.client.get(url).send().await.unwrap();
    let document: Value = serde_json::from_slice(&heard.bytes().await.unwrap()).unwrap();
    assert_eq!(document, *DOCUMENT);
}
