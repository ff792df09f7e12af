//! What a card is known by: a name that is no token, and what people call it by. Nothing else of a
//! card is ever kept: not its masked number, not its expiry, not its holder.

use serde::{Deserialize, Serialize};

use super::id::{CardId, CardToken};
use super::record::Payment;
use super::request::{Ask, Source};
use super::state::State;

/// How long a brand's word may be.
const LONGEST_BRAND: usize = 20;
/// How long a card's number is at least, and at most.
const NUMBER_LENGTHS: std::ops::RangeInclusive<usize> = 12..=23;
/// How many of its digits are known.
const KNOWN_DIGITS: usize = 4;

/// What people call a card by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardFace {
    brand: String,
    last_four: String,
}

impl CardFace {
    /// The face of a card of this brand with this masked number: a word, and its last four digits.
    /// Whatever is neither is not taken.
    #[must_use]
    pub fn of(brand: &str, masked: &str) -> Option<Self> {
        let brand = brand.trim().to_ascii_lowercase();
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        let masked = masked.trim();
        let is_word = (1..=LONGEST_BRAND).contains(&brand.len()) && brand.bytes().all(fits);
        if !is_word || !NUMBER_LENGTHS.contains(&masked.len()) {
            return None;
        }
        let last_four = masked.get(masked.len() - KNOWN_DIGITS..)?;
        let digits = last_four.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| Self {
            brand,
            last_four: last_four.to_owned(),
        })
    }

    /// The brand, as a word such as `visa`.
    #[must_use]
    pub fn brand(&self) -> &str {
        &self.brand
    }

    /// The last four digits of the number.
    #[must_use]
    pub fn last_four(&self) -> &str {
        &self.last_four
    }
}

/// A card, as it is shown with a payment. Whoever reads it can neither pay nor charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownCard {
    /// Its name here; only of a card whose token is known.
    pub id: Option<CardId>,
    /// Its brand, once the gateway has shown it.
    pub brand: Option<String>,
    /// The last four digits of its number, once the gateway has shown them.
    pub last_four: Option<String>,
}

impl Ask {
    /// The saved card that is to pay.
    #[must_use]
    pub const fn token(&self) -> Option<&CardToken> {
        match self {
            Self::Charge(ask) => Some(&ask.token),
            Self::Authorize(ask) => match &ask.source {
                Source::Token(token) => Some(token),
                Source::Checkout(_) => None,
            },
            Self::SaveCard(_) | Self::Adopt(_) => None,
        }
    }

    /// In which field of a request the card stands.
    #[must_use]
    pub const fn token_field(&self) -> &'static str {
        match self {
            Self::Authorize(_) => "source.token",
            Self::Charge(_) | Self::SaveCard(_) | Self::Adopt(_) => "token",
        }
    }
}

impl Payment {
    /// The token of its card: the one that was to pay, or the one that was saved.
    #[must_use]
    pub const fn card_token(&self) -> Option<&CardToken> {
        match &self.state {
            State::Saved(token) => Some(token),
            _ => self.request.ask.token(),
        }
    }

    /// What people call its card by, once the gateway has shown it.
    #[must_use]
    pub const fn face(&self) -> Option<&CardFace> {
        self.face.as_ref()
    }

    /// Its card, as it is shown; `None` while nothing is known of one.
    #[must_use]
    pub fn shown_card(&self) -> Option<ShownCard> {
        let id = self.card_token();
        let id = id.map(|token| CardId::derive(&self.request.account, token));
        let face = self.face.as_ref();
        (id.is_some() || face.is_some()).then(|| ShownCard {
            id,
            brand: face.map(|face| face.brand.clone()),
            last_four: face.map(|face| face.last_four.clone()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::evidence::Standing;
    use crate::payment::scenes::{by_checkout, charge, save_card, sighting};
    use crate::payment::{AccountName, UnknownPolicy};

    fn visa() -> CardFace {
        CardFace::of("visa", "444433******1111").unwrap()
    }

    #[test]
    fn a_face_is_a_word_and_four_digits_and_nothing_else() {
        let face = CardFace::of(" Visa ", "444433******1111").unwrap();
        assert_eq!((face.brand(), face.last_four()), ("visa", "1111"));
        let longest = "a".repeat(20);
        assert!(CardFace::of(&longest, "********1111").is_some());
        let number = format!("{}1111", "*".repeat(19));
        assert!(CardFace::of("american_express", &number).is_some());
        let longer = "a".repeat(21);
        for (brand, number) in [
            ("", "444433******1111"),
            (longer.as_str(), "444433******1111"),
            ("visa 4444", "444433******1111"),
            ("visa2", "444433******1111"),
            ("visa", ""),
            ("visa", "1111"),
            ("visa", "*******1111"),
            ("visa", "444433*********************1111"),
            ("visa", "444433******111*"),
            ("visa", "444433******11é1"),
            ("visa", "4444331******1é"),
        ] {
            assert_eq!(CardFace::of(brand, number), None, "{brand:?} {number:?}");
        }
        let stored = serde_json::to_string(&face).unwrap();
        assert_eq!(stored, r#"{"brand":"visa","last_four":"1111"}"#);
    }

    #[test]
    fn a_payment_keeps_the_face_that_its_own_purchase_showed() {
        let mut scene = crate::payment::scenes::charged(UnknownPolicy::Park);
        assert_eq!(scene.payment.face(), None);
        let before = serde_json::to_value(&scene.payment).unwrap();
        assert!(before.get("face").is_none(), "{before}");
        let mut other = sighting(&scene.payment, Standing::Payable);
        other.purchase = crate::payment::PurchaseId::new("another").unwrap();
        other.face = Some(visa());
        let (now, policy) = (scene.now, scene.policy.clone());
        let mut foreign = scene.payment.clone();
        foreign.saw(&other, now, &policy);
        assert_eq!(foreign.face(), None, "that of another purchase");
        let mut seen = sighting(&scene.payment, Standing::Payable);
        seen.face = Some(visa());
        scene.payment.saw(&seen, now, &policy);
        seen.face = None;
        scene.payment.saw(&seen, now, &policy);
        assert_eq!(scene.payment.face(), Some(&visa()));
        let shown = scene.payment.shown_card().unwrap();
        assert_eq!(shown.last_four.as_deref(), Some("1111"));
        assert_eq!(shown.brand.as_deref(), Some("visa"));
        let stored = serde_json::to_string(&scene.payment).unwrap();
        let read: Payment = serde_json::from_str(&stored).unwrap();
        assert_eq!(read, scene.payment);
    }

    #[test]
    fn a_card_has_one_name_for_each_account_however_its_token_is_spelled() {
        let account = |name| AccountName::new(name).unwrap();
        let token = |text: &str| CardToken::new(text).unwrap();
        let written = token("5a9e3c1c-00ab-4000-8000-0000000000ff");
        let id = CardId::derive(&account("hotel"), &written);
        assert_eq!(id.as_str(), "card_d033576bcd005688b3d24c3faafa0ce6");
        let typed = token("5A9E3C1C00AB400080000000000000FF");
        assert_eq!(CardId::derive(&account("hotel"), &typed), id);
        assert_ne!(CardId::derive(&account("rental"), &written), id);
        assert!(!id.as_str().contains("5a9e3c1c"));
        assert!(CardId::looks_like_one(id.as_str()));
        for other in ["card_", "card_0123", "pay_0123456789abcdef0123456789abcdef"] {
            assert!(!CardId::looks_like_one(other), "{other}");
        }
    }

    #[test]
    fn a_card_is_shown_once_something_is_known_of_one() {
        let shown = |request| {
            let now = crate::clock::from_millis(1_800_000_000_000).unwrap();
            Payment::new(request, now).unwrap().shown_card()
        };
        assert_eq!(shown(by_checkout("{}")), None);
        assert_eq!(shown(save_card()), None);
        let card = shown(charge()).unwrap();
        assert!(card.id.is_some() && card.brand.is_none() && card.last_four.is_none());
    }
}
