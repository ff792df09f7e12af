//! Amounts in minor units, and their currency.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The largest amount accepted, in minor units: far above any card payment, far below overflow.
pub const LARGEST_MINOR: u64 = 1_000_000_000_000;

/// Why an amount or a currency was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMoney {
    /// Zero, negative, fractional or absurdly large.
    #[error(
        "amount must be a whole number of minor units (sen) from 1 to {LARGEST_MINOR}, \
         such as 1500 for RM 15.00; got {0}"
    )]
    Amount(String),
    /// Not an ISO 4217 code.
    #[error("currency must be three capital letters (ISO 4217), such as MYR; got {0:?}")]
    Currency(String),
}

/// How much, in minor units (sen for MYR). Never zero, never negative, never a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "serde_json::Number", into = "u64")]
pub struct Amount(u64);

impl Amount {
    /// An amount of `minor` units; 1 to [`LARGEST_MINOR`].
    pub fn new(minor: u64) -> Result<Self, InvalidMoney> {
        if (1..=LARGEST_MINOR).contains(&minor) {
            Ok(Self(minor))
        } else {
            Err(InvalidMoney::Amount(minor.to_string()))
        }
    }

    /// The amount in minor units.
    #[must_use]
    pub const fn minor(self) -> u64 {
        self.0
    }
}

impl TryFrom<serde_json::Number> for Amount {
    type Error = InvalidMoney;
    fn try_from(number: serde_json::Number) -> Result<Self, InvalidMoney> {
        let minor = number
            .as_u64()
            .ok_or_else(|| InvalidMoney::Amount(number.to_string()))?;
        Self::new(minor)
    }
}

impl From<Amount> for u64 {
    fn from(amount: Amount) -> Self {
        amount.0
    }
}

/// An ISO 4217 currency code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    /// The Malaysian ringgit, what the gateway's payment methods trade in.
    pub const MYR: Self = Self(*b"MYR");

    /// Checks that the code is three capital letters.
    pub fn new(code: &str) -> Result<Self, InvalidMoney> {
        match <[u8; 3]>::try_from(code.as_bytes()) {
            Ok(letters) if letters.iter().all(u8::is_ascii_uppercase) => Ok(Self(letters)),
            _ => Err(InvalidMoney::Currency(code.to_owned())),
        }
    }

    /// The code, such as `MYR`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for Currency {
    type Error = InvalidMoney;
    fn try_from(code: String) -> Result<Self, InvalidMoney> {
        Self::new(&code)
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.as_str().to_owned()
    }
}

/// An amount of a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// In minor units.
    pub amount: Amount,
    /// ISO 4217.
    pub currency: Currency,
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minor = self.amount.minor();
        write!(
            f,
            "{} {}.{:02}",
            self.currency.as_str(),
            minor / 100,
            minor % 100
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Money, String> {
        serde_json::from_str(json).map_err(|e| e.to_string())
    }

    #[test]
    fn zero_negative_and_fractional_amounts_are_refused_with_the_unit_to_use() {
        for amount in ["0", "-5", "15.0", "1e30", "18446744073709551615"] {
            let error = parse(&format!(r#"{{"amount":{amount},"currency":"MYR"}}"#)).unwrap_err();
            assert!(error.contains("minor units"), "{amount}: {error}");
        }
        assert!(parse(r#"{"amount":"15","currency":"MYR"}"#).is_err());
    }

    #[test]
    fn an_amount_is_from_one_to_the_largest() {
        for fits in [1, 1500, LARGEST_MINOR] {
            assert_eq!(Amount::new(fits).map(Amount::minor), Ok(fits));
            let amount = Amount::new(fits).unwrap();
            assert_eq!(serde_json::to_string(&amount).unwrap(), fits.to_string());
        }
        for bad in [0, LARGEST_MINOR + 1, u64::MAX] {
            assert_eq!(Amount::new(bad), Err(InvalidMoney::Amount(bad.to_string())));
        }
    }

    #[test]
    fn a_currency_is_written_as_it_is_read() {
        let ringgit = Currency::new("MYR").unwrap();
        assert_eq!(ringgit, Currency::MYR);
        assert_eq!(format!("{ringgit:?} {}", String::from(ringgit)), "MYR MYR");
        assert_eq!(serde_json::to_string(&ringgit).unwrap(), r#""MYR""#);
    }

    #[test]
    fn a_currency_is_three_capital_letters() {
        for code in ["", "RM", "myr", "RINGGIT", "M1R"] {
            let error = parse(&format!(r#"{{"amount":1,"currency":"{code}"}}"#)).unwrap_err();
            assert!(error.contains("three capital letters"), "{code}: {error}");
        }
        let money = parse(r#"{"amount":1505,"currency":"MYR"}"#).unwrap();
        assert_eq!(money.to_string(), "MYR 15.05");
    }
}
