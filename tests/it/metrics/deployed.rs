//! Rules, dashboard, page and code speak of the same figures, and each rule has its paragraph.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use holdfast::telemetry::Metrics;
use holdfast::telemetry::metrics::{
    CATALOGUE, EndpointSeen, Kind, Observed, Row, Sending, Stopped,
};
use serde::Deserialize;
use serde_json::Value;

use crate::tidy::root;

/// What a label may be: each has few values, and none of them is about one payment or person.
const LABELS: [&str; 16] = [
    "account",
    "class",
    "currency",
    "ending",
    "endpoint",
    "link",
    "operation",
    "outcome",
    "reason",
    "scope",
    "script",
    "state",
    "step",
    "verdict",
    "version",
    "within",
];
/// Those that Prometheus adds.
const ADDED: [&str; 3] = ["job", "instance", "le"];
const RUNBOOK: &str = "docs/runbook.md#";

#[derive(Deserialize)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    alert: String,
    expr: String,
    #[serde(default, rename = "for")]
    _lasts: Option<String>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn rules() -> Vec<Rule> {
    let rules: Rules = serde_saphyr::from_str(&read("deploy/prometheus/alerts.yml")).unwrap();
    let rules: Vec<Rule> = rules.groups.into_iter().flat_map(|g| g.rules).collect();
    assert!(rules.len() > 15);
    rules
}

fn dashboard() -> Value {
    serde_json::from_str(&read("deploy/grafana/holdfast.json")).unwrap()
}

/// Everything the dashboard asks Prometheus for.
fn asked(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                match inner {
                    Value::String(asks) if ["expr", "definition"].contains(&name.as_str()) => {
                        found.push(asks.clone());
                    }
                    inner => asked(inner, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|inner| asked(inner, found)),
        _ => {}
    }
}

fn expressions() -> Vec<String> {
    let mut found: Vec<String> = rules().into_iter().map(|rule| rule.expr).collect();
    asked(&dashboard(), &mut found);
    assert!(found.len() > 50, "{}", found.len());
    found
}

/// Our names in a text.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("holdfast_")).collect()
}

/// The row that a scraped name belongs to.
fn row(name: &str) -> Option<&'static Row> {
    CATALOGUE.iter().find(|row| match row.kind {
        Kind::Histogram(_) => {
            let part = name.strip_prefix(row.name);
            part.is_some_and(|part| ["_bucket", "_sum", "_count"].contains(&part))
        }
        Kind::Counter | Kind::Gauge => row.name == name,
    })
}

/// What stands behind `by` or in the braces of a selector.
fn labels(expression: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for part in expression.split("by (").skip(1) {
        let names = part.split(')').next().unwrap().split(',');
        found.extend(names.map(|name| name.trim().to_owned()));
    }
    for part in expression.split('{').skip(1) {
        let Some((selector, _)) = part.split_once('}') else {
            continue;
        };
        // Between two quotes stands a value.
        let outside = selector.split('"').step_by(2);
        let names =
            outside.filter_map(|text| text.trim_start_matches(',').split(['=', '!']).next());
        found.extend(names.map(|name| name.trim().to_owned()));
    }
    found.remove("");
    found
}

#[test]
fn rules_and_dashboard_ask_for_figures_that_there_are_by_labels_that_they_have() {
    for expression in expressions() {
        let asked = names(&expression);
        assert!(
            !asked.is_empty() || expression.contains("up{"),
            "{expression}"
        );
        let mut known: BTreeSet<&str> = ADDED.into();
        for name in asked {
            let row = row(name).unwrap_or_else(|| panic!("{name} is not told: {expression}"));
            known.extend(row.labels);
        }
        // `sum by (…)` over what a function of Grafana's variables names.
        let unknown: Vec<String> = labels(&expression)
            .into_iter()
            .filter(|label| !known.contains(label.as_str()))
            .collect();
        assert!(unknown.is_empty(), "{unknown:?} in {expression}");
    }
}

/// The rule of this name.
fn rule(name: &str) -> Rule {
    let found = rules().into_iter().find(|rule| rule.alert == name);
    found.unwrap_or_else(|| panic!("there is no rule {name}"))
}

/// A dead worker tells nothing of itself: only `up`, by the name of its job, does.
#[test]
fn an_installation_that_is_dead_is_missed_though_another_one_lives() {
    let gone = rule("HoldfastNoWorker");
    let of_each = r#"sum by (job) (up{job=~"holdfast.*"}) == 0"#;
    assert!(gone.expr.starts_with(of_each), "{}", gone.expr);
    assert!(gone.expr.ends_with("or absent(holdfast_build_info)"));
    // Nor by targets that vanished with it.
    let vanished = r#"or count by (job) (count_over_time(up{job=~"holdfast.*"}[1h])) unless"#;
    assert!(gone.expr.contains(vanished), "{}", gone.expr);
    let all = expressions().join("\n").replace("_up{", "");
    for selector in all.split("up{").skip(1) {
        assert!(selector.starts_with(r#"job=~"holdfast.*"}"#), "{selector}");
    }
    let misnamed = rule("HoldfastJobMisnamed").expr;
    assert!(misnamed.contains(r#"job!~"holdfast.*""#), "{misnamed}");
    let jobs = read("deploy/prometheus/prometheus.yml");
    let named = jobs.split("job_name: ").skip(1);
    assert!(named.clone().count() > 0);
    assert!(named.into_iter().all(|name| name.starts_with("holdfast")));
}

/// A worker that has lost Redis goes on telling what was.
#[test]
fn rules_about_what_is_read_now_and_then_go_by_workers_that_have_read_it_lately() {
    let metrics = Metrics::default();
    let now = "2027-01-31T06:00:00Z".parse().unwrap();
    metrics.observed(Observed {
        at: now,
        by_state: Vec::new(),
        unfinished: 0,
        due: 0,
        next_due: Some(now),
        endpoints: vec![EndpointSeen {
            name: "shop".to_owned(),
            pending: 1,
            oldest: Some(now),
            sends: Sending::Off,
        }],
        pushed: 0,
        quarantined: 0,
        cards: 0,
        stopped: Stopped {
            all: Sending::On,
            parts: Vec::new(),
        },
    });
    let observed = metrics.encode();
    let mut count = 0;
    for rule in rules().iter().filter(|it| it.alert != "HoldfastFiguresOld") {
        for name in names(&rule.expr) {
            let told = format!("# TYPE {name} gauge");
            let of_tally = [
                "_lapsing_",
                "_lapsed_",
                "_unknown_",
                "_held_",
                "_parked_payments",
            ];
            let mark = if observed.contains(&told) && !of_itself(name) {
                "observed"
            } else if of_tally.iter().any(|part| name.contains(part)) {
                "tallied"
            } else {
                continue;
            };
            count += 1;
            let fresh = format!("time() - holdfast_{mark}_timestamp_seconds <");
            let words: Vec<&str> = rule.expr.split_whitespace().collect();
            let expr = words.join(" ");
            let lately = expr.contains(&format!("and on (job, instance) {fresh}"));
            assert!(lately, "{}: {expr}", rule.alert);
        }
    }
    assert!(count > 10, "{count}");
    let old = rule("HoldfastFiguresOld").expr;
    assert!(!old.contains("max by"), "each worker by itself: {old}");
    for mark in ["observed", "tallied"] {
        let never = format!(
            "holdfast_build_info unless on (job, instance) holdfast_{mark}_timestamp_seconds"
        );
        assert!(old.contains(&never), "{old}");
    }
}

/// What a worker tells of itself, not of Redis.
fn of_itself(name: &str) -> bool {
    ["holdfast_build_info", "holdfast_turns_"]
        .iter()
        .any(|own| name.starts_with(own))
}

#[test]
fn one_account_of_many_that_fails_is_told_by_itself() {
    let fails = rule("HoldfastGatewayFails").expr;
    let sums = fails.matches("sum by (").count();
    assert!(sums >= 6, "{fails}");
    assert_eq!(
        fails.matches("sum by (job, account) (").count(),
        sums,
        "{fails}"
    );
}

/// What the log's table calls a reason to page and no gauge tells.
#[test]
fn a_missing_account_and_a_record_that_cannot_be_read_page_somebody() {
    let cannot = rule("HoldfastCannotWork");
    assert_eq!(cannot.labels["severity"], "page");
    for reason in ["account_missing", "record_unreadable"] {
        let counted = format!(r#"holdfast_unworkable_total{{reason="{reason}"}}"#);
        assert!(cannot.expr.contains(&counted), "{}", cannot.expr);
    }
}

#[test]
fn money_that_people_have_stopped_is_not_drawn_as_moving_and_is_told_in_the_end() {
    assert!(rule("HoldfastStopped").expr.contains("holdfast_stopped"));
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let moves = panels.iter().find(|p| p["title"] == "Money may move");
    let mut asks = Vec::new();
    asked(moves.unwrap(), &mut asks);
    let stopped = r#"* (1 - max(holdfast_stopped{job="$job", scope="all"}"#;
    assert!(asks[0].contains(stopped), "{asks:?}");
}

#[test]
fn money_is_drawn_with_money_alone() {
    for panel in dashboard()["panels"].as_array().unwrap() {
        let mut asks = Vec::new();
        asked(panel, &mut asks);
        let is_money = |asked: &String| asked.contains("_minor{");
        let some = asks.iter().any(is_money);
        assert!(!some || asks.iter().all(is_money), "{}", panel["title"]);
    }
}

#[test]
fn every_figure_is_drawn_or_watched() {
    let all = expressions().join("\n");
    let asked = names(&all);
    for told in CATALOGUE {
        let drawn = asked.iter().any(|name| row(name) == Some(told));
        assert!(drawn, "nobody looks at {}", told.name);
    }
}

#[test]
fn the_page_has_the_table_of_the_code() {
    let page = read("docs/operations.md");
    let section = page.split_once("\n## Metrics\n").unwrap().1;
    let section = section.split("\n## ").next().unwrap();
    let written: Vec<&str> = section.lines().filter(|l| l.starts_with("| `")).collect();
    let told: Vec<String> = CATALOGUE.iter().map(of_the_page).collect();
    for (written, told) in written.iter().zip(&told) {
        assert_eq!(written, told);
    }
    assert_eq!(written.len(), told.len());
}

fn of_the_page(row: &Row) -> String {
    let labels: Vec<String> = row.labels.iter().map(|l| format!("`{l}`")).collect();
    let labels = match labels.join(", ") {
        none if none.is_empty() => String::new(),
        some => format!(" {some}"),
    };
    let (name, kind, help) = (row.name, row.kind.as_str(), row.help);
    format!("| `{name}` | {kind} |{labels} | {help} |")
}

#[test]
fn every_page_names_figures_that_there_are() {
    for page in [
        "docs/operations.md",
        "docs/runbook.md",
        "CHANGELOG.md",
        "README.md",
        "config/default.toml",
    ] {
        let text = read(page);
        for name in names(&text) {
            let told = row(name).is_some() || CATALOGUE.iter().any(|row| row.name == name);
            assert!(told, "{page} speaks of {name}");
        }
    }
}

#[test]
fn no_label_has_values_without_number() {
    for row in CATALOGUE {
        for label in row.labels {
            assert!(LABELS.contains(label), "{} by {label}", row.name);
        }
        let counts = matches!(row.kind, Kind::Counter);
        assert_eq!(counts, row.name.ends_with("_total"), "{}", row.name);
        assert!(row.name.starts_with("holdfast_"), "{}", row.name);
    }
}

#[test]
fn every_rule_has_its_paragraph_and_every_paragraph_its_rule() {
    let page = read("docs/runbook.md");
    let section = page.split_once("\n## Alert rules\n").unwrap().1;
    let section = section.split("\n## ").next().unwrap();
    let mut paragraphs = BTreeMap::new();
    for part in section.split("\n### ").skip(1) {
        let (title, text) = part.split_once('\n').unwrap();
        paragraphs.insert(title.to_owned(), text.trim().len());
    }
    for rule in rules() {
        let name = &rule.alert;
        let length = paragraphs.remove(name);
        assert!(length > Some(100), "{name} has no paragraph: {length:?}");
        let runbook = &rule.annotations["runbook_url"];
        assert_eq!(*runbook, format!("{RUNBOOK}{}", name.to_lowercase()));
        assert!(rule.annotations.contains_key("summary"), "{name}");
        let severity = rule.labels["severity"].as_str();
        assert!(["page", "ticket"].contains(&severity), "{name}: {severity}");
    }
    assert!(paragraphs.is_empty(), "of no rule: {paragraphs:?}");
}

#[test]
fn the_dashboard_can_be_imported_anywhere() {
    let dashboard = dashboard();
    assert_eq!(dashboard["uid"], "holdfast");
    let text = dashboard.to_string();
    for source in text.split("\"datasource\":{").skip(1) {
        let source = source.split('}').next().unwrap();
        assert!(source.contains("\"uid\":\"${datasource"), "{source}");
    }
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().filter_map(|p| p["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len(), "two panels have one id");
    let mut taken = BTreeSet::new();
    for panel in panels {
        let at = |side: &str| panel["gridPos"][side].as_u64().unwrap();
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(
                    x < 24 && taken.insert((x, y)),
                    "{} overlaps",
                    panel["title"]
                );
            }
        }
    }
}
