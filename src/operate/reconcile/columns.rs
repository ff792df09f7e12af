//! Which column of a statement is which. What CHIP calls them is documented nowhere, so they are read
//! by their names, in any order and spelling; another name can be given, and nothing is guessed.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use chrono::FixedOffset;
use csv::StringRecord;

use super::statement::BadStatement;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// The purchase's id.
    Id,
    /// What became of it.
    Status,
    /// The merchant's reference.
    Reference,
    /// How much was paid.
    Amount,
    /// In which currency.
    Currency,
    /// When it was paid.
    PaidOn,
    /// What sort of line it is. The only one that may be missing: then every line is a purchase.
    Type,
}

impl Column {
    const ALL: [Self; 7] = [
        Self::Id,
        Self::Status,
        Self::Reference,
        Self::Amount,
        Self::Currency,
        Self::PaidOn,
        Self::Type,
    ];

    /// The word for it, and what else it is called, with small letters and digits alone.
    const fn names(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Id => ("id", &["id", "purchaseid", "purchaseuuid"]),
            Self::Status => ("status", &["status", "purchasestatus"]),
            Self::Reference => ("reference", &["reference", "purchasereference"]),
            Self::Amount => ("amount", &["amount", "paymentamount", "grossamount"]),
            Self::Currency => ("currency", &["currency", "paymentcurrency"]),
            Self::PaidOn => ("paid_on", &["paidon", "paidat", "paymentdate"]),
            Self::Type => ("type", &["type", "transactiontype"]),
        }
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.names().0)
    }
}

/// The name that a person gave a column: `paid_on=Date paid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Which.
    pub column: Column,
    /// What the statement calls it.
    pub header: String,
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (word, header) = text.split_once('=').unwrap_or((text, ""));
        let column = Column::ALL
            .into_iter()
            .find(|column| column.names().0 == word);
        match column {
            Some(column) if !plain(header).is_empty() => Ok(Self {
                column,
                header: header.to_owned(),
            }),
            _ => {
                let all = Column::ALL.map(|column| column.names().0).join(", ");
                Err(format!("write COLUMN=HEADER; the columns are {all}"))
            }
        }
    }
}

/// In which unit amounts stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// As 15.00.
    Major,
    /// As 1500, in sen.
    Minor,
}

impl FromStr for Unit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "major" => Ok(Self::Major),
            "minor" => Ok(Self::Minor),
            _ => Err("write major for 15.00, or minor for 1500".to_owned()),
        }
    }
}

/// How a statement is to be read.
#[derive(Debug, Clone)]
pub struct Layout {
    /// What columns are called, if not as expected.
    pub named: Vec<Named>,
    /// The unit of amounts. Without it they must have a decimal point somewhere, which tells.
    pub unit: Option<Unit>,
    /// The offset of times that have none.
    pub offset: FixedOffset,
}

/// Where each column stands.
pub(super) struct Places(BTreeMap<Column, usize>);

impl Places {
    pub(super) fn of(headers: &StringRecord, layout: &Layout) -> Result<Self, BadStatement> {
        let mut places = BTreeMap::new();
        for column in Column::ALL {
            let given = layout.named.iter().rev().find(|it| it.column == column);
            let given = given.map(|given| plain(&given.header));
            let is_meant = |header: &str| match &given {
                Some(given) => plain(header) == *given,
                None => column.names().1.contains(&plain(header).as_str()),
            };
            let mut found = (0..).zip(headers).filter(|(_, header)| is_meant(header));
            match (found.next(), found.next()) {
                (Some((place, _)), None) => {
                    places.insert(column, place);
                }
                (Some(_), Some(_)) => return Err(BadStatement::Twice(column)),
                (None, _) if column == Column::Type && given.is_none() => {}
                (None, _) => return Err(BadStatement::Missing(column)),
            }
        }
        Ok(Self(places))
    }

    /// What stands in a column of a line, without blanks around it.
    pub(super) fn text<'a>(&self, record: &'a StringRecord, column: Column) -> &'a str {
        let place = self.0.get(&column);
        let text = place.and_then(|place| record.get(*place));
        text.unwrap_or_default().trim()
    }
}

/// A name with small letters and digits alone.
fn plain(name: &str) -> String {
    let kept = name.chars().filter(char::is_ascii_alphanumeric);
    kept.map(|c| c.to_ascii_lowercase()).collect()
}
