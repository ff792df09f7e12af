//! For services in Rust that have nothing but Redis: push a request, read its answer.
//!
//! It is behind the cargo feature `client`, and is `holdfast::client`. Money is in minor units (1500
//! is RM 15.00), times are RFC 3339 with an offset, as everywhere.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use holdfast::client::{Answer, Client};
//! use holdfast::payment::Request;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new(&std::env::var("REDIS_URL")?, "hf")?;
//! let request = Request::from_json(
//!     br#"{"v":1, "type":"authorize", "account":"hotel", "idempotency_key":"booking-8127",
//!     "money":{"amount":45000,"currency":"MYR"}, "source":{"checkout":{}},
//!     "customer":{"email":"guest@example.com"}}"#,
//! )?;
//! let pushed = client.push(&request).await?;
//! match client.answer_within(&pushed, Duration::from_secs(5)).await? {
//!     Some(Answer::Recorded { payment, .. }) => println!("{} is recorded", payment["id"]),
//!     Some(Answer::Refused { code, detail, .. }) => println!("refused, {code}: {detail}"),
//!     None => println!("no answer yet: push the same request again"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`Client::signing`] signs what is pushed, for an installation that takes only what is signed.
//!
//! That an answer says `recorded` means that the payment is recorded, not that it is paid: the
//! payment is in it as it was then. Push the same request again, which changes nothing, to have it
//! answered with the payment as it is by now, its links among it.
//!
//! Each push has a name of its own, and an answer is that to this very push, not to an earlier one of
//! the same request. Whatever is refused an operator may push again once the cause is mended: ask again
//! under the same idempotency key only, and the payment is made once.

mod signing;

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, IntoConnectionInfo, Pipeline, ProtocolVersion};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

pub use self::signing::SigningKey;
use super::pushed::LARGEST_ELEMENT_BYTES;
use crate::clock::Clock;
use crate::payment::{AccountName, Command, IdempotencyKey, PaymentId, Request, Timestamp, hex};

/// How long Redis may take to answer, and to let itself be connected to.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often an answer is looked for: soon at first.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Why a request was not pushed, or an answer not read.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address or the prefix cannot be right.
    #[error("{0}")]
    Setting(&'static str),
    /// The key cannot be used to sign.
    #[error("the signing key {0}")]
    Key(&'static str),
    /// The content names no account or no idempotency key, is too long, or is no JSON: it could never
    /// be answered.
    #[error("{0}")]
    Content(String),
    /// Redis cannot be reached, or refused. Whether it was pushed is unknown; pushing the same
    /// again is safe.
    #[error("Redis: {0}")]
    Redis(String),
    /// The answer is none that this version knows.
    #[error("an answer that this version does not know")]
    Answer,
}

/// Something that was pushed: what its answer is found by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    answer: String,
}

/// Which payment a command is for.
#[derive(Debug, Clone, Copy)]
pub enum Of<'a> {
    /// By its id.
    Payment(&'a PaymentId),
    /// By the idempotency key that it was asked for with. Not an adopted one.
    Key(&'a IdempotencyKey),
}

/// What became of something that was pushed.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// It is recorded, and will be carried out.
    Recorded {
        /// When this was answered.
        at: Timestamp,
        /// Of a command: `accepted`, or `done` if what it asks for was true already.
        command: Option<String>,
        /// The payment as it was when this was answered, as over HTTP.
        payment: Value,
    },
    /// It was refused; nothing was done. An operator may push it again, so ask again only under the
    /// same idempotency key.
    Refused {
        /// When this was answered.
        at: Timestamp,
        /// A word that does not change, such as `idempotency_key_reused`.
        code: String,
        /// The field that is wrong, if it is about one.
        field: Option<String>,
        /// What is wrong, and what to do.
        detail: String,
    },
}

/// A way to the intake in Redis.
pub struct Client {
    redis: redis::Client,
    connection: Mutex<Option<MultiplexedConnection>>,
    prefix: String,
    key: Option<SigningKey>,
    clock: Clock,
}

impl Client {
    /// To the Redis at `url`, such as `redis://user:password@host:port/db`, and the installation of
    /// `prefix`, which is `hf` unless somebody set another. Nothing is connected to yet.
    pub fn new(url: &str, prefix: &str) -> Result<Self, ClientError> {
        let address = || ClientError::Setting("the address is none of a Redis");
        let info = url.into_connection_info().map_err(|_| address())?;
        let settings = info.redis_settings().clone();
        let info = info.set_redis_settings(settings.set_protocol(ProtocolVersion::RESP2));
        if prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(ClientError::Setting("the prefix is letters and digits"));
        }
        Ok(Self {
            redis: redis::Client::open(info).map_err(|_| address())?,
            connection: Mutex::new(None),
            prefix: prefix.to_owned(),
            key: None,
            clock: Clock::system(),
        })
    }

    /// The same; whatever is pushed is signed.
    #[must_use]
    pub fn signing(self, key: SigningKey) -> Self {
        let key = Some(key);
        Self { key, ..self }
    }

    /// The same; when something is signed is told by this clock.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Pushes a request.
    pub async fn push(&self, request: &Request) -> Result<Pushed, ClientError> {
        let wrong = |error: serde_json::Error| ClientError::Content(error.to_string());
        let mut fields = serde_json::to_value(request).map_err(wrong)?;
        // On the wire what is asked stands beside the names, and has no name of its own.
        let ask = fields["ask"].take();
        let mut wire = Map::from_iter([("v".to_owned(), 1.into())]);
        for part in [fields, ask] {
            let named = part.as_object().into_iter().flatten();
            let named = named.filter(|(name, _)| *name != "ask");
            wire.extend(named.map(|(name, value)| (name.clone(), value.clone())));
        }
        self.push_json(Value::Object(wire).to_string().as_bytes())
            .await
    }

    /// Pushes a command for a payment of `account`. `key` is the command's own: the same key with
    /// the same command is the same command.
    pub async fn command(
        &self,
        account: &AccountName,
        of: Of<'_>,
        key: &IdempotencyKey,
        command: &Command,
    ) -> Result<Pushed, ClientError> {
        let wrong = |error: serde_json::Error| ClientError::Content(error.to_string());
        let mut wire = serde_json::to_value(command).map_err(wrong)?;
        wire["v"] = 1.into();
        wire["account"] = account.as_str().into();
        wire["idempotency_key"] = key.as_str().into();
        match of {
            Of::Payment(id) => wire["payment"] = id.as_str().into(),
            Of::Key(key) => wire["payment_key"] = key.as_str().into(),
        }
        self.push_json(wire.to_string().as_bytes()).await
    }

    /// Pushes a request or a command that is JSON already. It is given a name for this push, unless it
    /// has one as `push`; pushing the same again is safe, and needs another.
    pub async fn push_json(&self, json: &[u8]) -> Result<Pushed, ClientError> {
        let wrong = |told: &dyn std::fmt::Display| ClientError::Content(told.to_string());
        let mut fields: Map<String, Value> = serde_json::from_slice(json)
            .map_err(|error| ClientError::Content(format!("it is no JSON object: {error}")))?;
        let text = |name: &str| {
            let text = fields.get(name).and_then(Value::as_str);
            text.ok_or_else(|| ClientError::Content(format!("{name}: is missing")))
        };
        let account = AccountName::new(text("account")?)
            .map_err(|error| wrong(&format!("account: {error}")))?;
        IdempotencyKey::new(text("idempotency_key")?)
            .map_err(|error| wrong(&format!("idempotency_key: {error}")))?;
        let name = || Uuid::new_v4().to_string().into();
        fields.entry("push").or_insert_with(name);
        let json = Value::Object(fields).to_string().into_bytes();
        let element = match &self.key {
            Some(signing) => signing.sign(&json, self.clock.now()),
            None => json,
        };
        if element.len() > LARGEST_ELEMENT_BYTES {
            let told = format!(
                "it has {} bytes; {LARGEST_ELEMENT_BYTES} at most, signature and all",
                element.len()
            );
            return Err(ClientError::Content(told));
        }
        let prefix = &self.prefix;
        let mut pipeline = Pipeline::new();
        // Always the same one, so that what is pushed later comes later.
        let intake = format!("{{{prefix}:0}}:intake");
        pipeline.cmd("RPUSH").arg(intake).arg(&element);
        // A hint: nobody misses it for long.
        pipeline
            .cmd("PUBLISH")
            .arg(format!("{prefix}:wake"))
            .arg("");
        self.ask(&pipeline).await?;
        let sha256 = hex(&Sha256::digest(&element));
        Ok(Pushed {
            answer: format!("{{{prefix}:0}}:answer:{account}:{sha256}"),
        })
    }

    /// The answer, if there is one by now.
    pub async fn answer(&self, pushed: &Pushed) -> Result<Option<Answer>, ClientError> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("GET").arg(&pushed.answer);
        match self.ask(&pipeline).await?.into_iter().next() {
            Some(redis::Value::BulkString(json)) => read(&json).map(Some),
            _ => Ok(None),
        }
    }

    /// The answer as soon as there is one, or `None` after so long: then no worker has taken it yet,
    /// or the answer was there for its time and is gone. If Redis could not be asked to the end, the
    /// last error.
    pub async fn answer_within(
        &self,
        pushed: &Pushed,
        patience: Duration,
    ) -> Result<Option<Answer>, ClientError> {
        let mut last = Ok(None);
        let answered = async {
            let mut pause = FIRST_PAUSE;
            loop {
                last = match self.answer(pushed).await {
                    Ok(Some(answer)) => return Ok(Some(answer)),
                    Err(error @ ClientError::Answer) => return Err(error),
                    other => other,
                };
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        };
        match timeout(patience, answered).await {
            Ok(answered) => answered,
            Err(_) => last,
        }
    }

    async fn connected(&self) -> Result<MultiplexedConnection, ClientError> {
        let mut kept = self.connection.lock().await;
        if let Some(connection) = kept.as_ref() {
            return Ok(connection.clone());
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let making = self
            .redis
            .get_multiplexed_async_connection_with_config(&config);
        let made = making.await.map_err(told)?;
        *kept = Some(made.clone());
        Ok(made)
    }

    /// Asks once. A connection that failed is not used again.
    async fn ask(&self, pipeline: &Pipeline) -> Result<Vec<redis::Value>, ClientError> {
        let mut connection = self.connected().await?;
        let sent = connection.send_packed_commands(pipeline, 0, pipeline.len());
        let replies = match sent.await {
            Ok(replies) => replies,
            Err(error) => {
                *self.connection.lock().await = None;
                return Err(told(error));
            }
        };
        match replies.first() {
            Some(redis::Value::ServerError(error)) => {
                let why = error.details().unwrap_or_default();
                Err(ClientError::Redis(format!("{} {why}", error.code())))
            }
            _ => Ok(replies),
        }
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it is mapped over results")]
fn told(error: redis::RedisError) -> ClientError {
    ClientError::Redis(error.to_string())
}

fn read(json: &[u8]) -> Result<Answer, ClientError> {
    let mut told: Value = serde_json::from_slice(json).map_err(|_| ClientError::Answer)?;
    let word = |value: &Value| value.as_str().map(ToOwned::to_owned);
    let at = serde_json::from_value(told["at"].take()).map_err(|_| ClientError::Answer)?;
    match told["outcome"].as_str() {
        Some("recorded") => Ok(Answer::Recorded {
            at,
            command: word(&told["command"]),
            payment: told["payment"].take(),
        }),
        Some("refused") => {
            let problem = &told["problem"];
            Ok(Answer::Refused {
                at,
                code: word(&problem["code"]).ok_or(ClientError::Answer)?,
                field: word(&problem["field"]),
                detail: word(&problem["detail"]).unwrap_or_default(),
            })
        }
        _ => Err(ClientError::Answer),
    }
}
