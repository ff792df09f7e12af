//! A statement as CSV, read into lines. What cannot be read with certainty is an error that says
//! where: a line that was passed over would make the books agree that do not.

use chrono::{DateTime, NaiveDateTime};
use csv::{Reader, ReaderBuilder, StringRecord};
use uuid::Uuid;

use super::columns::{Column, Layout, Places, Unit};
use crate::clock::from_millis;
use crate::payment::{Currency, PaymentId, PurchaseId, Timestamp};

/// Why a statement cannot be read. Nothing of what stands in it is repeated: it may be about people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadStatement {
    /// A column is not there.
    #[error(
        "the statement has no column `{0}`; if it is called otherwise, say --column {0}=HEADER"
    )]
    Missing(Column),
    /// A column is there twice.
    #[error("the statement has two columns that could be `{0}`; say which: --column {0}=HEADER")]
    Twice(Column),
    /// Whole amounts could be ringgit or sen.
    #[error(
        "no amount of the statement has a decimal point, so nobody can tell whether they are ringgit \
         or sen; say --unit major or --unit minor"
    )]
    WhichUnit,
    /// A field is not what its column says.
    #[error("line {line} of the statement: the column `{column}` cannot be read ({expected})")]
    Field {
        /// Which line of the file.
        line: u64,
        /// Which column.
        column: Column,
        /// What should stand there.
        expected: &'static str,
    },
    /// It is no CSV.
    #[error("line {0} of the statement cannot be read as CSV in UTF-8")]
    NotCsv(u64),
}

/// Whom a line says that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// One of our payments, by the digits of its id.
    Ours(u128),
    /// Somebody else's reference, or none.
    Foreign(Option<Box<str>>),
}

/// A line about money that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    purchase: u128,
    /// Whose it is, by its reference.
    pub whose: Whose,
    /// In minor units.
    pub amount: u64,
    /// In this currency.
    pub currency: Currency,
    /// When it was paid.
    pub paid_at: Timestamp,
}

impl Line {
    /// The purchase's id.
    #[must_use]
    pub fn purchase(&self) -> Option<PurchaseId> {
        PurchaseId::new(Uuid::from_u128(self.purchase).to_string()).ok()
    }

    pub(super) const fn is_of_same_purchase(&self, other: &Self) -> bool {
        self.purchase == other.purchase
    }

    /// The payment that its reference names.
    #[must_use]
    pub fn payment(&self) -> Option<PaymentId> {
        match self.whose {
            Whose::Ours(digits) => PaymentId::new(format!("pay_{digits:032x}")).ok(),
            Whose::Foreign(_) => None,
        }
    }
}

/// A statement, as far as it is about taken money. A line takes some hundred bytes.
#[derive(Debug, Clone, Default)]
pub struct Statement {
    /// By purchase.
    lines: Vec<Line>,
    /// How many lines are about money that was given back.
    pub given_back: u64,
    /// How many lines are about something else.
    pub other: u64,
}

impl Statement {
    /// Reads a statement.
    pub fn read(bytes: &[u8], layout: &Layout) -> Result<Self, BadStatement> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut reader = reader(bytes);
        let headers = reader.headers().map_err(|error| not_csv(&error))?;
        let rows = Rows {
            places: Places::of(headers, layout)?,
            unit: Unit::Major,
            layout,
        };
        let rows = Rows {
            unit: rows.unit_of(bytes)?,
            ..rows
        };
        let mut statement = Self::default();
        let mut record = StringRecord::new();
        while reader
            .read_record(&mut record)
            .map_err(|error| not_csv(&error))?
        {
            match rows.row(&record)? {
                Row::Taken(line) => statement.lines.push(line),
                Row::GivenBack => statement.given_back += 1,
                Row::Other => statement.other += 1,
            }
        }
        statement
            .lines
            .sort_by_key(|line| (line.purchase, line.paid_at));
        Ok(statement)
    }

    /// All lines about taken money, those of one purchase side by side.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Where the lines of a purchase stand.
    #[must_use]
    pub fn places_of(&self, purchase: &PurchaseId) -> std::ops::Range<usize> {
        let Ok(id) = Uuid::try_parse(purchase.as_str()) else {
            return 0..0;
        };
        let id = id.as_u128();
        let from = self.lines.partition_point(|line| line.purchase < id);
        let to = self.lines.partition_point(|line| line.purchase <= id);
        from..to
    }
}

fn reader(bytes: &[u8]) -> Reader<&[u8]> {
    let head = bytes.split(|byte| *byte == b'\n').next();
    let semicolons = head.is_some_and(|head| head.contains(&b';') && !head.contains(&b','));
    // Short lines, as of totals, are no error: they have no id.
    ReaderBuilder::new()
        .flexible(true)
        .delimiter(if semicolons { b';' } else { b',' })
        .from_reader(bytes)
}

fn not_csv(error: &csv::Error) -> BadStatement {
    BadStatement::NotCsv(error.position().map_or(1, csv::Position::line))
}

enum Row {
    Taken(Line),
    GivenBack,
    Other,
}

struct Rows<'a> {
    places: Places,
    unit: Unit,
    layout: &'a Layout,
}

impl Rows<'_> {
    /// A decimal point anywhere tells of all.
    fn unit_of(&self, bytes: &[u8]) -> Result<Unit, BadStatement> {
        if let Some(unit) = self.layout.unit {
            return Ok(unit);
        }
        let mut any = false;
        for record in reader(bytes).into_records() {
            let record = record.map_err(|error| not_csv(&error))?;
            let amount = self.places.text(&record, Column::Amount);
            if amount.contains('.') {
                return Ok(Unit::Major);
            }
            any |= !self.places.text(&record, Column::Id).is_empty();
        }
        if any {
            Err(BadStatement::WhichUnit)
        } else {
            Ok(Unit::Major)
        }
    }

    fn row(&self, record: &StringRecord) -> Result<Row, BadStatement> {
        let word = |column| {
            let text = self.places.text(record, column);
            text.to_ascii_lowercase().replace(' ', "_")
        };
        let bad = |column, expected| BadStatement::Field {
            line: record.position().map_or(0, csv::Position::line),
            column,
            expected,
        };
        if self.is_of_totals(record) {
            return Ok(Row::Other);
        }
        match word(Column::Type).as_str() {
            "" | "purchase" | "purchase_charge" | "payment" | "bank_payment" | "charge"
            | "capture" | "custom" => {}
            "refund" | "chargeback" => return Ok(Row::GivenBack),
            "payout" => return Ok(Row::Other),
            _ => return Err(bad(Column::Type, "a type as the API names it")),
        }
        match word(Column::Status).as_str() {
            "paid" | "cleared" | "settled" | "pending_refund" | "refunded" | "chargeback"
            | "success" => {}
            "created" | "sent" | "viewed" | "error" | "blocked" | "overdue" | "expired"
            | "cancelled" | "pending_execute" | "pending_charge" | "hold" | "pending_capture"
            | "pending_release" | "released" | "preauthorized" => return Ok(Row::Other),
            _ => return Err(bad(Column::Status, "a status as the API names it")),
        }
        let amount = self.places.text(record, Column::Amount);
        if amount.starts_with('-') {
            return Ok(Row::GivenBack);
        }
        let amount = minor(amount, self.unit);
        let id = Uuid::try_parse(self.places.text(record, Column::Id));
        let currency = word(Column::Currency).to_ascii_uppercase();
        let paid_at = self.time(self.places.text(record, Column::PaidOn));
        Ok(Row::Taken(Line {
            purchase: id.map_err(|_| bad(Column::Id, "a UUID"))?.as_u128(),
            whose: whose(self.places.text(record, Column::Reference)),
            amount: amount.ok_or_else(|| bad(Column::Amount, "an amount such as 15.00"))?,
            currency: Currency::new(&currency)
                .map_err(|_| bad(Column::Currency, "three letters, such as MYR"))?,
            paid_at: paid_at
                .ok_or_else(|| bad(Column::PaidOn, "a time such as 2027-01-31 14:00:00"))?,
        }))
    }

    /// A line about no purchase: whatever was paid has an id, or a word of what became of it, for whom
    /// or when.
    fn is_of_totals(&self, record: &StringRecord) -> bool {
        let named = [
            Column::Id,
            Column::Status,
            Column::Reference,
            Column::PaidOn,
        ];
        let mut texts = named.iter().map(|column| self.places.text(record, *column));
        texts.all(str::is_empty)
    }

    fn time(&self, text: &str) -> Option<Timestamp> {
        if let Ok(at) = DateTime::parse_from_rfc3339(text) {
            return Some(at.to_utc());
        }
        if let Ok(seconds) = text.parse::<i64>() {
            return from_millis(seconds.checked_mul(1000)?);
        }
        let formats = [
            "%Y-%m-%d %H:%M:%S%.f",
            "%Y-%m-%dT%H:%M:%S%.f",
            "%Y-%m-%d %H:%M",
        ];
        let mut read = formats
            .into_iter()
            .filter_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
        let at = read.next()?.and_local_timezone(self.layout.offset);
        at.single().map(|at| at.to_utc())
    }
}

fn whose(reference: &str) -> Whose {
    let digits = reference
        .strip_prefix("pay_")
        .filter(|_| PaymentId::looks_like_one(reference));
    match digits.and_then(|digits| u128::from_str_radix(digits, 16).ok()) {
        Some(digits) => Whose::Ours(digits),
        None => Whose::Foreign((!reference.is_empty()).then(|| reference.into())),
    }
}

/// An amount in minor units; commas may stand between thousands, never for a decimal point.
fn minor(text: &str, unit: Unit) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let mut groups = whole.split(',');
    let first = groups.next()?;
    let grouped = groups.all(|group| group.len() == 3) && (1..).contains(&first.len());
    let digits = whole.replace(',', "");
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !grouped || !all_digits(&digits) || !all_digits(part) {
        return None;
    }
    let whole: u64 = digits.parse().ok()?;
    match unit {
        Unit::Minor if part.bytes().all(|byte| byte == b'0') => Some(whole),
        Unit::Minor => None,
        Unit::Major => {
            let (cents, rest) = part.split_at_checked(2).unwrap_or((part, ""));
            let nothing = rest.bytes().all(|byte| byte == b'0');
            let cents: u64 = format!("{cents:0<2}").parse().ok()?;
            let sen = whole.checked_mul(100)?.checked_add(cents)?;
            nothing.then_some(sen)
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{Offset, Utc};

    use super::*;

    const ID: &str = "5a9e3c1c-0000-4000-8000-00000000beef";

    fn layout(unit: Option<Unit>, named: &[&str]) -> Layout {
        Layout {
            named: named.iter().map(|text| text.parse().unwrap()).collect(),
            unit,
            offset: Utc.fix(),
        }
    }

    fn read(text: &str) -> Result<Statement, BadStatement> {
        Statement::read(text.as_bytes(), &layout(None, &[]))
    }

    fn one(row: &str) -> Result<Statement, BadStatement> {
        read(&format!(
            "id,status,reference,amount,currency,paid_on\n{row}\n"
        ))
    }

    #[test]
    fn columns_are_found_by_name_in_any_order_and_spelling() {
        let pay = format!("pay_{:032x}", 0xfeed);
        let text = format!(
            "\u{feff}Paid On;Currency;\"Payment Amount\";Reference;STATUS;Purchase ID;Payer\n\
             2027-01-31 14:00:00;myr;1,505.50;{pay};Paid;{ID};somebody\n;;1505.50;;;;total\n"
        );
        let statement = read(&text).unwrap();
        let [line] = statement.lines() else {
            panic!("{statement:?}");
        };
        assert_eq!(line.payment().unwrap().as_str(), pay);
        assert_eq!(line.purchase().unwrap().as_str(), ID);
        assert_eq!((line.amount, line.currency), (150_550, Currency::MYR));
        assert_eq!(
            line.paid_at,
            "2027-01-31T14:00:00Z".parse::<Timestamp>().unwrap()
        );
        assert_eq!(statement.other, 1);
        assert_eq!(statement.places_of(&line.purchase().unwrap()), 0..1);
    }

    #[test]
    fn a_column_that_is_missing_or_there_twice_is_named_and_can_be_given() {
        let text = "id,status,reference,amount,currency,when\n";
        let error = read(text).unwrap_err();
        assert_eq!(error, BadStatement::Missing(Column::PaidOn));
        assert!(
            error.to_string().contains("--column paid_on=HEADER"),
            "{error}"
        );
        let named = layout(None, &["paid_on=When"]);
        assert!(Statement::read(text.as_bytes(), &named).is_ok());
        let twice = "id,status,reference,amount,gross_amount,currency,paid_on\n";
        assert_eq!(
            read(twice).unwrap_err(),
            BadStatement::Twice(Column::Amount)
        );
        for wrong in ["paid=When", "paid_on", "paid_on=", "=When"] {
            assert!(
                wrong.parse::<crate::operate::reconcile::Named>().is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn whole_amounts_are_not_guessed_at() {
        let text = format!(
            "id,status,reference,amount,currency,paid_on\n{ID},paid,,1500,MYR,2027-01-31 14:00:00\n"
        );
        assert_eq!(read(&text).unwrap_err(), BadStatement::WhichUnit);
        for (unit, amount) in [(Unit::Major, 150_000), (Unit::Minor, 1_500)] {
            let layout = layout(Some(unit), &[]);
            let statement = Statement::read(text.as_bytes(), &layout).unwrap();
            assert_eq!(statement.lines()[0].amount, amount);
        }
    }

    #[test]
    fn amounts_are_read_to_the_sen_or_not_at_all() {
        for (text, sen) in [
            ("15.00", Some(1500)),
            ("15.5", Some(1550)),
            ("0.05", Some(5)),
            ("15", Some(1500)),
            ("15.0000", Some(1500)),
            ("1,234,567.89", Some(123_456_789)),
            ("15.005", None),
            ("15,00", None),
            ("RM 15.00", None),
            (".50", None),
            ("", None),
            ("1e3", None),
        ] {
            assert_eq!(minor(text, Unit::Major), sen, "{text}");
        }
        assert_eq!(minor("1500", Unit::Minor), Some(1500));
        assert_eq!(minor("15.50", Unit::Minor), None);
    }

    #[test]
    fn a_field_that_cannot_be_read_is_named_with_its_line_and_not_repeated() {
        for (row, column) in [
            ("secret,paid,,1.00,MYR,2027-01-31 14:00:00", Column::Id),
            (",paid,,1.00,MYR,2027-01-31 14:00:00", Column::Id),
            (",settled,,1.00,,", Column::Id),
            ("ID,secret,,1.00,MYR,2027-01-31 14:00:00", Column::Status),
            ("ID,paid,,secret.,MYR,2027-01-31 14:00:00", Column::Amount),
            ("ID,paid,,1.00,secret,2027-01-31 14:00:00", Column::Currency),
            ("ID,paid,,1.00,MYR,31/01/2027 secret", Column::PaidOn),
        ] {
            let error = one(&row.replace("ID", ID)).unwrap_err();
            let told = error.to_string();
            assert!(!told.contains("secret"), "{told}");
            assert!(told.contains("line 2"), "{told}");
            let BadStatement::Field { column: named, .. } = error else {
                panic!("{error:?}");
            };
            assert_eq!(named, column, "{row}");
        }
    }

    #[test]
    fn every_type_of_taken_money_counts_and_an_unknown_one_is_no_line_to_pass_over() {
        let typed = |kind: &str| {
            read(&format!(
                "id,type,status,reference,amount,currency,paid_on\n\
                 {ID},{kind},paid,,1.00,MYR,2027-01-31 14:00:00\n"
            ))
        };
        for kind in ["purchase", "Purchase charge", "bank_payment", "custom", ""] {
            assert_eq!(typed(kind).unwrap().lines().len(), 1, "{kind}");
        }
        assert_eq!(typed("refund").unwrap().given_back, 1);
        assert_eq!(typed("payout").unwrap().other, 1);
        let error = typed("mystery").unwrap_err();
        let BadStatement::Field { column, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!(column, Column::Type);
    }

    #[test]
    fn what_was_given_back_or_never_taken_is_no_taken_money() {
        let at = "MYR,2027-01-31 14:00:00";
        for (row, given_back, other) in [
            (format!("{ID},paid,,-1.00,{at}"), 1, 0),
            (format!("{ID},hold,,1.00,{at}"), 0, 1),
            (format!("{ID},pending_charge,,1.00,{at}"), 0, 1),
        ] {
            let statement = one(&row).unwrap();
            assert!(statement.lines().is_empty(), "{row}");
            assert_eq!((statement.given_back, statement.other), (given_back, other));
        }
    }

    #[test]
    fn times_are_read_with_their_offset_or_with_the_one_that_was_given() {
        let mut layout = layout(None, &[]);
        layout.offset = "+08:00".parse().unwrap();
        for text in [
            "2027-01-31 14:00:00",
            "2027-01-31T06:00:00Z",
            "2027-01-31T14:00:00",
            "2027-01-31 14:00",
            "1801375200",
        ] {
            let csv = format!(
                "id,status,reference,amount,currency,paid_on\n{ID},paid,,1.00,MYR,{text}\n"
            );
            let statement = Statement::read(csv.as_bytes(), &layout).unwrap();
            let expected: Timestamp = "2027-01-31T06:00:00Z".parse().unwrap();
            assert_eq!(statement.lines()[0].paid_at, expected, "{text}");
        }
    }
}
