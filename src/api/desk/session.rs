//! Who looks. Whoever shows an API key gets a session: a random name in a cookie, known to this worker
//! alone and forgotten at its end. It ends with its key.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Form, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use maud::html;
use serde::Deserialize;
use subtle::ConstantTimeEq;

use super::Desk;
use super::frame::{self, Trouble};
use super::guard::{comes_from_here, is_this_machine};
use crate::api::v1::guard::Caller;
use crate::api::v1::{ApiKey, KeyHash, KeyRing, Scope};
use crate::payment::Timestamp;

/// How long a session lasts.
const LASTS: TimeDelta = TimeDelta::hours(8);
/// How many there are at most; the ones that end first make room.
const MOST_SESSIONS: usize = 1_000;
/// How many a key has at most; its own oldest makes room.
const MOST_OF_A_KEY: usize = 20;
/// How many keys that are not valid may be shown in a minute, by all together. Whoever holds one that is
/// comes in whatever others try.
const WRONG_A_MINUTE: usize = 30;
const COOKIE: &str = "holdfast_desk";
/// The same over TLS: browsers take it from this very host alone, so that no neighbour under the same
/// domain sets one for it.
const SECURE_COOKIE: &str = "__Host-holdfast_desk";

/// Whoever looks at a page.
#[derive(Clone)]
pub(super) struct Who {
    pub(super) caller: Caller,
    /// What every form of this session carries: nobody else knows it.
    pub(super) mark: Arc<str>,
    /// Whether there is anything to log out of.
    pub(super) entered: Entered,
}

/// How somebody came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entered {
    /// With a key.
    ByKey,
    /// Where none is needed.
    Freely,
}

impl Who {
    /// Whether a form is of this session.
    pub(super) fn sent(&self, mark: &str) -> Result<(), Trouble> {
        if self.mark.as_bytes().ct_eq(mark.as_bytes()).into() {
            return Ok(());
        }
        let told =
            "The form is of another session. Go back, load the page again, and send it anew.";
        Err(Trouble::forbidden(told))
    }
}

struct Session {
    key: KeyHash,
    mark: Arc<str>,
    ends_at: Timestamp,
}

/// All sessions, by the hash of their names.
pub(super) struct Sessions {
    open: Mutex<BTreeMap<KeyHash, Session>>,
    tries: Mutex<Vec<Timestamp>>,
    /// The mark of forms where nobody logs in.
    own_mark: Arc<str>,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            open: Mutex::default(),
            tries: Mutex::default(),
            own_mark: random().into(),
        }
    }
}

fn random() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the cookie is called where the browser thinks that it is.
fn called(headers: &HeaderMap) -> &'static str {
    if is_this_machine(headers) {
        COOKIE
    } else {
        SECURE_COOKIE
    }
}

/// The cookie with this in it, as it is set and cleared. What stands for the whole host in its name must
/// be for all of its paths.
fn cookie(headers: &HeaderMap, name: &str, lasts: TimeDelta) -> String {
    let (called, seconds) = (called(headers), lasts.num_seconds());
    let (path, secure) = match called {
        SECURE_COOKIE => ("/", "; Secure"),
        _ => ("/desk", ""),
    };
    format!("{called}={name}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

/// The name of the session in the cookie.
fn named(headers: &HeaderMap) -> Option<KeyHash> {
    let cookies = headers.get_all(header::COOKIE).iter();
    let pairs = cookies.filter_map(|value| value.to_str().ok());
    let mut pairs = pairs.flat_map(|value| value.split(';'));
    let called = called(headers);
    let name = pairs.find_map(|pair| pair.trim().strip_prefix(called)?.strip_prefix('='))?;
    Some(KeyHash::of(name))
}

impl Sessions {
    /// Whoever comes where no key is needed.
    pub(super) fn anybody(&self) -> Who {
        Who {
            caller: Caller::of(Arc::new(ApiKey::anybody())),
            mark: Arc::clone(&self.own_mark),
            entered: Entered::Freely,
        }
    }

    /// Whose session the cookie names, if its key is valid still.
    pub(super) fn find(&self, headers: &HeaderMap, keys: &KeyRing, now: Timestamp) -> Option<Who> {
        let name = named(headers)?;
        let mut open = locked(&self.open);
        let session = open.get(&name)?;
        let key = keys.of_hash(&session.key, now).ok();
        let Some(key) = key.filter(|_| now < session.ends_at) else {
            open.remove(&name);
            return None;
        };
        Some(Who {
            caller: Caller::of(key),
            mark: Arc::clone(&session.mark),
            entered: Entered::ByKey,
        })
    }

    /// Begins a session of a key, and answers its name.
    fn begin(&self, key: &ApiKey, now: Timestamp) -> String {
        let name = random();
        let session = Session {
            key: key.hash,
            mark: random().into(),
            ends_at: now + LASTS,
        };
        let mut open = locked(&self.open);
        open.retain(|_, session| now < session.ends_at);
        let own = |session: &Session| session.key == key.hash;
        if open.values().filter(|session| own(session)).count() >= MOST_OF_A_KEY {
            leave_first(&mut open, own);
        }
        if open.len() >= MOST_SESSIONS {
            leave_first(&mut open, |_| true);
        }
        open.insert(KeyHash::of(&name), session);
        name
    }

    fn end(&self, headers: &HeaderMap) {
        if let Some(name) = named(headers) {
            locked(&self.open).remove(&name);
        }
    }

    /// Whether one more key that is not valid may be shown now.
    fn may_try(&self, now: Timestamp) -> bool {
        let mut tries = locked(&self.tries);
        let minute = TimeDelta::minutes(1);
        tries.retain(|at| now - *at < minute && *at <= now);
        let may = tries.len() < WRONG_A_MINUTE;
        if may {
            tries.push(now);
        }
        may
    }
}

/// Ends the one of these sessions that would end first.
fn leave_first(open: &mut BTreeMap<KeyHash, Session>, of: impl Fn(&Session) -> bool) {
    let those = open.iter().filter(|(_, session)| of(session));
    let first = those.min_by_key(|(_, session)| session.ends_at);
    if let Some(first) = first.map(|(name, _)| *name) {
        open.remove(&first);
    }
}

/// What is typed to log in.
#[derive(Deserialize)]
pub(super) struct Shown {
    key: String,
}

pub(super) async fn ask(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Response {
    let known = desk.sessions.find(&headers, &desk.keys, desk.clock.now());
    if known.is_some() || desk.keys.is_open() {
        return Redirect::to("/desk").into_response();
    }
    login(StatusCode::OK, None)
}

fn login(status: StatusCode, problem: Option<&str>) -> Response {
    let page = frame::bare(
        "Log in",
        &html! {
            form.login method="post" action="/desk/login" {
                h1 { "Holdfast" }
                p.quiet { "The operator's desk" }
                @if let Some(problem) = problem {
                    p.problem role="alert" { (problem) }
                }
                label for="key" { "API key" }
                input #key type="password" name="key" required autofocus
                    autocomplete="current-password" spellcheck="false";
                button.primary type="submit" { "Log in" }
                p.quiet {
                    "To look, a key needs the scope " code { "read" } "; to act also "
                    code { "command" } " and " code { "operate" } "."
                }
            }
        },
    );
    (status, page).into_response()
}

pub(super) async fn enter(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    shown: Result<Form<Shown>, FormRejection>,
) -> Response {
    let now = desk.clock.now();
    if !comes_from_here(&headers) {
        return login(
            StatusCode::FORBIDDEN,
            Some("The form was not sent from the desk."),
        );
    }
    let key = shown.ok().map(|Form(shown)| shown.key);
    let found = key.and_then(|key| desk.keys.find(key.trim(), now).ok());
    let Some(key) = found else {
        if !desk.sessions.may_try(now) {
            let told =
                "Too many keys that are not valid were shown within a minute. Wait a little.";
            return login(StatusCode::TOO_MANY_REQUESTS, Some(told));
        }
        tracing::info!("a key that is not valid was shown at the desk");
        let told = "The key is not known, or has expired.";
        return login(StatusCode::UNAUTHORIZED, Some(told));
    };
    let caller = Caller::of(Arc::clone(&key));
    if caller.may(Scope::Read).is_err() {
        return login(StatusCode::FORBIDDEN, Some("The key lacks the scope read."));
    }
    tracing::info!(key = caller.name(), "logged in at the desk");
    let name = desk.sessions.begin(&key, now);
    let cookie = cookie(&headers, &name, LASTS);
    with_cookie(Redirect::to("/desk").into_response(), &cookie)
}

/// What every form carries that does nothing else.
#[derive(Deserialize)]
pub(super) struct Marked {
    mark: String,
}

pub(super) async fn leave(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Who>,
    headers: HeaderMap,
    Form(marked): Form<Marked>,
) -> Result<Response, Trouble> {
    who.sent(&marked.mark)?;
    desk.sessions.end(&headers);
    let gone = cookie(&headers, "", TimeDelta::zero());
    let away = Redirect::to("/desk/login").into_response();
    Ok(with_cookie(away, &gone))
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}
