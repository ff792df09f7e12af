//! What was measured of the gateway, held against the settings.

use url::Url;

use super::Config;
use super::problem::Problems;
use super::secret::in_file;
use super::sections::AccountSettings;
use crate::operate::probe::{Manner, ProbeReport, Question, Verdict};
use crate::payment::{Timestamp, UnknownPolicy};

/// The report that the account at `path` points to, if it stands against none of its settings.
pub(super) fn report(
    path: &str,
    settings: &AccountSettings,
    unknown: UnknownPolicy,
    problems: &mut Problems,
) -> Option<ProbeReport> {
    let file = settings.probe_report_file.as_ref()?;
    let setting = format!("{path}probe_report_file");
    let text = in_file(file, &setting, problems)?;
    let report = ProbeReport::read(&text)
        .map_err(|error| problems.add(&setting, file.display(), error.to_string()))
        .ok()?;
    let against = report.against_sending_again();
    if let (UnknownPolicy::ResendSame, Some((why, at))) = (unknown, against) {
        let day = at.format("%Y-%m-%d");
        problems.add(
            &format!("{path}unknown"),
            "\"resend_same\"",
            format!("must be \"park\": {why}, says the report of {day} in probe_report_file"),
        );
    }
    Some(report)
}

/// Scheme, host and port of an address, as a report names its gateway.
fn origin_of(base_url: &str) -> String {
    Url::parse(base_url).map_or_else(|_| String::new(), |url| url.origin().ascii_serialization())
}

impl Config {
    /// What is to be known of the reports at `now` before they are relied on, for people.
    #[must_use]
    pub fn doubts(&self, now: Timestamp) -> Vec<String> {
        let mut doubts = Vec::new();
        for (name, account) in &self.accounts {
            let Some(report) = &account.probed else {
                continue;
            };
            let mut doubt = |what: &str| {
                doubts.push(format!("accounts.{name}.probe_report_file: {what}"));
            };
            report.doubts(now).iter().for_each(|what| doubt(what));
            let gateway = origin_of(&account.base_url);
            let is_of_here = report.gateway == gateway;
            if !is_of_here {
                let there = &report.gateway;
                doubt(&format!(
                    "it was measured at {there}, and says nothing of {gateway}, which this account uses"
                ));
            }
            let serialised = report.verdict(Question::ConcurrentCharges);
            let is_measured = is_of_here && serialised == Some(Verdict::Always(Manner::OneTaken));
            if account.unknown == UnknownPolicy::ResendSame && !is_measured {
                doubt("it does not say that charges are serialised, which resend_same relies on");
            }
        }
        doubts
    }
}
