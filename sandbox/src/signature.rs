//! The keys deliveries are signed with.
//!
//! Every key follows from its number and a fixed seed, so it is the same after a restart and
//! made at most once in a process. A signature of the sandbox therefore proves nothing to
//! anybody but a test.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rsa::pkcs1v15::SigningKey;
use rsa::pkcs8::{EncodePublicKey, LineEnding};
use rsa::signature::{SignatureEncoding, Signer};
use rsa::{PrivateKey, PublicKey};
use sha2::Sha256;

const BITS: usize = 2048;
const SEED: u64 = 0x5a4d_b0c5;

struct Key {
    signing: SigningKey<Sha256>,
    public_pem: String,
}

static KEYS: LazyLock<Mutex<HashMap<u32, Arc<Key>>>> = LazyLock::new(Mutex::default);

fn key(number: u32) -> Arc<Key> {
    let mut keys = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(keys.entry(number).or_insert_with(|| Arc::new(make(number))))
}

fn make(number: u32) -> Key {
    let mut dice = StdRng::seed_from_u64(SEED ^ (u64::from(number) << 32));
    let private = PrivateKey::new(&mut dice, BITS).expect("2048 bits are enough for a key");
    let public = PublicKey::from(&private);
    let pem = public
        .to_public_key_pem(LineEnding::LF)
        .expect("a new key has a PEM form");
    Key {
        signing: SigningKey::new(private),
        public_pem: pem.trim_end().to_owned(),
    }
}

/// The public half of a key, as PEM.
pub(crate) fn public_key(number: u32) -> String {
    key(number).public_pem.clone()
}

/// RSA PKCS#1 v1.5 over SHA-256 of the body, in base64.
pub(crate) fn sign(number: u32, body: &[u8]) -> String {
    STANDARD.encode(key(number).signing.sign(body).to_bytes())
}
