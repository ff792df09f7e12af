//! What a list is asked for: as it stands in an address, as what is looked for, and in words.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::show::words;
use crate::operate::Filter as PlanFilter;
use crate::operate::find::{Doubt, Filter};
use crate::payment::{AccountName, PaymentId, Reference, StateName, Timestamp};

/// How long an id is: what is longer is part of none.
const LONGEST_ID: usize = 36;
/// Farther ahead than any hold lasts.
const EVER: TimeDelta = TimeDelta::days(36_500);

/// What is asked for, as it stands in the address. What is empty is not asked for.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Asked {
    pub(super) state: String,
    pub(super) account: String,
    pub(super) reference: String,
    pub(super) reason: String,
    pub(super) id: String,
    pub(super) least: String,
    pub(super) most: String,
    /// In its state for so many hours.
    pub(super) age: String,
    /// Lapses within so many hours, or `any`.
    pub(super) lapses: String,
    /// Planned within so many hours.
    pub(super) due: String,
    pub(super) doubt: String,
    #[serde(skip_serializing)]
    pub(super) after: String,
}

impl Asked {
    pub(super) fn told(&self) -> &'static str {
        match self.state.parse::<StateName>() {
            Ok(state) if state.is_finished() => "those that ended so, the last recorded first",
            Ok(_) => "the longest in that state first",
            Err(_) => "all that has not ended, by state; name a state to see what has",
        }
    }

    /// Whether those that are looked for can be planned to be rerun: not what has ended, and not
    /// everything there is.
    pub(super) fn can_be_planned(&self) -> bool {
        let named = [&self.account, &self.reference, &self.id];
        match self.state.parse::<StateName>() {
            Ok(state) => !state.is_finished(),
            Err(_) => self.narrows() || named.into_iter().any(|text| !text.is_empty()),
        }
    }

    /// Whether anything is asked for that stands further down in the form.
    pub(super) fn narrows(&self) -> bool {
        let further = [
            &self.reason,
            &self.least,
            &self.most,
            &self.age,
            &self.lapses,
            &self.due,
            &self.doubt,
        ];
        further.into_iter().any(|text| !text.is_empty())
    }

    pub(super) fn filter(
        &self,
        accounts: &[&AccountName],
        now: Timestamp,
    ) -> Result<Filter, String> {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let account = given(&self.account).map(AccountName::new).transpose();
        let account = account.map_err(|error| error.to_string())?;
        let reference = given(&self.reference).map(Reference::new).transpose();
        let reference = reference.map_err(|error| error.to_string())?;
        // With one account alone there is nothing to choose.
        let only = match accounts {
            [only] if reference.is_some() => Some((*only).clone()),
            _ => None,
        };
        // As the overview counts them: what should have lapsed by now lapses no more.
        let (lapses_after, lapses_by) = match given(&self.lapses).as_deref() {
            None => (None, None),
            Some("any") => (None, Some(now + EVER)),
            Some("past") => (None, Some(now)),
            Some(text) => (Some(now), Some(now + hours(text)?)),
        };
        let due = given(&self.due).map(|due| hours(&due)).transpose()?;
        let id_part = given(&self.id);
        if id_part.as_ref().is_some_and(|part| part.len() > LONGEST_ID) {
            return Err(format!("An id has {LONGEST_ID} characters at most."));
        }
        let state = given(&self.state).map(|state| state.parse()).transpose()?;
        Ok(Filter {
            state,
            account: account.or(only),
            reference,
            for_at_least: given(&self.age).map(|age| hours(&age)).transpose()?,
            for_at_most: None,
            at_least: given(&self.least).map(|text| minor(&text)).transpose()?,
            at_most: given(&self.most).map(|text| minor(&text)).transpose()?,
            reason: given(&self.reason),
            doubt: match given(&self.doubt) {
                Some(_) => Doubt::Only,
                None => Doubt::Any,
            },
            lapses_after,
            lapses_by,
            planned_before: due.map(|ahead| now + ahead),
            id_part,
        })
    }
}

impl Asked {
    /// The list that shows what a plan is of, if one can.
    pub(super) fn of_plan(filter: &PlanFilter) -> Option<Self> {
        let age = match filter.older_than_ms {
            None => String::new(),
            Some(ms) if ms % 3_600_000 == 0 => (ms / 3_600_000).to_string(),
            Some(_) => return None,
        };
        let account = filter.account.as_ref().map(ToString::to_string);
        Some(Self {
            state: filter.state.as_str().to_owned(),
            account: account.unwrap_or_default(),
            reason: filter.reason.clone().unwrap_or_default(),
            age,
            ..Self::default()
        })
    }

    /// What is asked for, in words.
    pub(super) fn described(&self) -> Vec<(&'static str, String)> {
        let hours = |text: &str| match text {
            "any" => "at any time".to_owned(),
            "past" => "it should have by now".to_owned(),
            hours => format!("within {hours} h"),
        };
        let all = [
            ("state", &self.state, words(&self.state)),
            ("account", &self.account, self.account.clone()),
            ("reference", &self.reference, self.reference.clone()),
            ("reason", &self.reason, words(&self.reason)),
            ("id", &self.id, format!("with {} in it", self.id)),
            ("from", &self.least, self.least.clone()),
            ("to", &self.most, self.most.clone()),
            (
                "in its state",
                &self.age,
                format!("for {} h and more", self.age),
            ),
            ("hold lapses", &self.lapses, hours(&self.lapses)),
            ("planned", &self.due, hours(&self.due)),
            ("outcome", &self.doubt, "unknown".to_owned()),
        ];
        let given = all.into_iter().filter(|(_, text, _)| !text.is_empty());
        given.map(|(name, _, told)| (name, told)).collect()
    }

    /// Whether what has ended is not among what is shown.
    pub(super) fn passes_over_the_ended(&self) -> bool {
        self.state.is_empty()
            && self.reference.is_empty()
            && !PaymentId::looks_like_one(self.id.trim())
    }

    /// The address of the same question with something changed.
    pub(super) fn with(&self, change: impl FnOnce(&mut Self)) -> String {
        let mut changed = self.clone();
        change(&mut changed);
        format!("/desk/payments?{}", changed.written())
    }

    /// As an address has it, from its beginning.
    pub(super) fn written(&self) -> String {
        self.query(None)
    }

    /// The same, further on.
    pub(super) fn further(&self, after: &str) -> String {
        self.query(Some(after))
    }

    fn query(&self, after: Option<&str>) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let fields = serde_json::to_value(self).unwrap_or_default();
        for (name, value) in fields.as_object().into_iter().flatten() {
            if let Some(text) = value.as_str().filter(|text| !text.is_empty()) {
                query.append_pair(name, text);
            }
        }
        query.extend_pairs(after.map(|after| ("after", after)));
        query.finish()
    }
}

fn hours(text: &str) -> Result<TimeDelta, String> {
    let hours = text.parse::<u16>().ok().map(i64::from);
    let hours = hours.and_then(TimeDelta::try_hours);
    hours.ok_or_else(|| format!("{text:?} is no number of hours"))
}

/// An amount as people type it, in minor units: `1,500` and `1500.50`. A comma parts thousands and nothing
/// else: where it stands for a point, `1,50` would be a hundred times too much.
pub(super) fn minor(text: &str) -> Result<u64, String> {
    let wrong = || {
        format!(
            "{text:?} is no amount; type one such as 1500, 1,500 or 1500.50, with a point before the sen"
        )
    };
    let (whole, rest) = text.split_once('.').unwrap_or((text, "00"));
    let digits = |part: &str| part.bytes().all(|digit| digit.is_ascii_digit());
    let grouped = match whole.split_once(',') {
        None => !whole.is_empty(),
        Some((first, later)) => {
            (1..=3).contains(&first.len()) && later.split(',').all(|group| group.len() == 3)
        }
    };
    let whole = whole.replace(',', "");
    if rest.len() != 2 || !grouped || !digits(&whole) || !digits(rest) {
        return Err(wrong());
    }
    format!("{whole}{rest}").parse().map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_read_as_people_type_it_and_nothing_else_is_taken_for_one() {
        for (text, expected) in [
            ("15", Some(1_500)),
            ("15.05", Some(1_505)),
            ("1,500.00", Some(150_000)),
            ("1,234,567", Some(123_456_700)),
            ("1,50", None),
            ("40,00", None),
            ("1,5.00", None),
            ("15,00,000", None),
            ("1500,000", None),
            (",500", None),
            ("1.500,00", None),
            ("15.5", None),
            ("", None),
            (".50", None),
            ("-1", None),
            ("1e5", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(minor(text).ok(), expected, "{text}");
        }
    }
}
