//! What producers push to Redis.

use holdfast::api::KeyName;
use holdfast::api::pushed::{Asked, Element, Producer, Rules};
use holdfast::payment::Timestamp;

use crate::is_fit_to_show;

/// The key of RFC 8037's example. One of the seeds is signed with its other half, and nothing else
/// ever was.
const KEY: [u8; 32] = [
    0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a,
    0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
];
const SIGNED: &[u8] = include_bytes!("../seeds/intake/signed");

/// An element of an intake. Nothing is taken for signed but what was signed, and what is taken
/// unsigned is a request or a command as it is taken over HTTP.
pub fn intake(bytes: &[u8]) {
    let now = Timestamp::UNIX_EPOCH;
    let strict = rules(false);
    match Element::read(bytes, &strict, now).verdict() {
        Ok(_) => assert!(bytes == SIGNED, "taken, and nobody signed it"),
        Err((_, told)) => is_fit_to_show(told),
    }
    let element = Element::read(bytes, &rules(true), now);
    match element.verdict() {
        Ok(Asked::Payment(request)) => {
            let told = (element.account.as_ref(), element.key.as_ref());
            let named = (Some(&request.account), Some(&request.idempotency_key));
            assert_eq!(told, named, "it names where to answer");
            request.fingerprint().expect("an accepted request");
        }
        Ok(Asked::Command(command)) => {
            let told = (element.account.as_ref(), element.key.as_ref());
            let named = (Some(&command.account), Some(&command.key));
            assert_eq!(told, named, "it names where to answer");
        }
        Err((_, told)) => is_fit_to_show(told),
    }
}

fn rules(accept_unsigned: bool) -> Rules {
    Rules {
        accept_unsigned,
        producers: vec![Producer {
            kid: KeyName::new("shop").expect("a name"),
            public_key: KEY,
            types: None,
            accounts: None,
            currencies: None,
            largest_amount_minor: None,
            expires_at: None,
        }],
    }
}
