//! The figures of a worker: each of what happened once and nothing else, told at once whatever Redis
//! does, without a secret; and rules, dashboard and page that speak of no other figures.

mod counted;
mod deployed;
mod scraped;

use std::collections::BTreeMap;

/// What was scraped, line by line.
#[derive(Debug)]
pub(crate) struct Scrape {
    text: String,
    samples: Vec<(String, BTreeMap<String, String>, f64)>,
}

impl Scrape {
    pub(crate) fn read(text: String) -> Self {
        assert!(text.ends_with("# EOF\n"), "it is not whole: {text}");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let samples = lines.map(sample).collect();
        Self { text, samples }
    }

    /// The one figure of this name that has these labels, among others.
    #[track_caller]
    pub(crate) fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let fits = |of: &BTreeMap<String, String>| {
            let has = |(label, value): &(&str, &str)| of.get(*label).is_some_and(|v| v == value);
            labels.iter().all(has)
        };
        let found: Vec<f64> = (self.samples.iter())
            .filter(|(told, of, _)| told == name && fits(of))
            .map(|(_, _, value)| *value)
            .collect();
        assert!(found.len() < 2, "{name}{labels:?} is told {found:?}");
        found.first().copied()
    }

    #[track_caller]
    pub(crate) fn is(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        let told = self.get(name, labels);
        let same = told.is_some_and(|told| (told - value).abs() < 1e-6);
        assert!(
            same,
            "{name}{labels:?} is {told:?}, not {value}\n{}",
            self.text
        );
    }

    /// All figures of this name together.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        let of_it = self.samples.iter().filter(|(told, _, _)| told == name);
        of_it.map(|(_, _, value)| value).sum()
    }
}

fn sample(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let labels = labels.strip_suffix('}').unwrap();
    let pairs = labels.split("\",").filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| {
        let (label, value) = pair.split_once("=\"").unwrap();
        (label.to_owned(), value.trim_end_matches('"').to_owned())
    });
    (name.to_owned(), pairs.collect(), value)
}
