//! Every metric there is: its name, its kind, its labels, what it says. `docs/operations.md` has the
//! same table, `deploy/` uses these names, and a test holds all three together.
//!
//! A label has few values, which the settings or the code name: accounts, endpoints, steps, states.
//! Never a payment, a purchase, a reference, a person, an address, or what a caller wrote.

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// It only grows, from the start of the process.
    Counter,
    /// It is as it is now.
    Gauge,
    /// How often it was at most so much, for each of these.
    Histogram(&'static [f64]),
}

impl Kind {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// One metric.
#[derive(Debug)]
pub(super) struct Metric<const N: usize> {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) labels: [&'static str; N],
    pub(super) help: &'static str,
}

/// The same for whoever reads the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Its name, as it is scraped; a histogram's has `_bucket`, `_sum` and `_count` behind it.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// By what it is told apart.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

macro_rules! catalogue {
    ($($ident:ident[$count:literal] = $kind:expr, $name:literal, $labels:expr, $help:literal;)*) => {
        $(pub(super) static $ident: Metric<$count> = Metric {
            name: $name,
            kind: $kind,
            labels: $labels,
            help: $help,
        };)*

        /// All metrics, in the order of the table.
        pub const CATALOGUE: &[Row] = &[$(Row {
            name: $name,
            kind: $kind,
            labels: &$labels,
            help: $help,
        }),*];
    };
}

use Kind::{Counter, Gauge, Histogram};

const LATENESS: &[f64] = &[0.01, 0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0];
const TURN: &[f64] = &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];
const CALL: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0];
const LOOKS: &[f64] = &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 12.0, 20.0, 30.0];
const DOUBT: &[f64] = &[
    2.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0,
];
const REDIS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5,
];

catalogue! {
    BUILD[1] = Gauge, "holdfast_build_info", ["version"],
        "1, and which version runs";
    TURNS[1] = Counter, "holdfast_turns_total", ["ending"],
        "Turns that ended: waits, finished, lost (to another worker), dropped (at a stop), panicked";
    TURNS_RUNNING[0] = Gauge, "holdfast_turns_running", [],
        "Turns under way in this worker";
    TURNS_LIMIT[0] = Gauge, "holdfast_turns_limit", [],
        "How many may be under way at once (worker.concurrency)";
    LATE[0] = Histogram(LATENESS), "holdfast_turn_lateness_seconds", [],
        "How long after its due time a payment's turn began";
    TURN_SECONDS[0] = Histogram(TURN), "holdfast_turn_seconds", [],
        "How long a turn took, the calls in it included";
    CHANGES[2] = Counter, "holdfast_payment_changes_total", ["account", "state"],
        "Payments that this worker brought into a state";
    PARKINGS[2] = Counter, "holdfast_parkings_total", ["account", "reason"],
        "Payments that this worker parked, by reason";
    UNWORKABLE[1] = Counter, "holdfast_unworkable_total", ["reason"],
        "How often a payment that was due could not be worked on: account_missing, record_unreadable, record_newer";
    ATTEMPTS[3] = Counter, "holdfast_attempts_total", ["account", "step", "verdict"],
        "Calls whose effect is known and recorded by now: done, not_sent, refused, declined, did_not_happen";
    LOOKED[1] = Histogram(LOOKS), "holdfast_attempt_looks", ["step"],
        "How many look-ups it took to know what a call did, where its answer left that open";
    DOUBTED[1] = Histogram(DOUBT), "holdfast_attempt_doubt_seconds", ["step"],
        "How long it took to know that, from when the call was noted";
    ANSWERS[3] = Counter, "holdfast_gateway_answers_total", ["account", "operation", "class"],
        "Calls of the gateway, by what the answer means";
    GATEWAY[2] = Histogram(CALL), "holdfast_gateway_seconds", ["operation", "class"],
        "How long they took";
    BREAKER[1] = Gauge, "holdfast_breaker_until_timestamp_seconds", ["account"],
        "Until when an account is left alone because the gateway refused its key; 0 once it takes it";
    REDIS_SECONDS[2] = Histogram(REDIS), "holdfast_redis_seconds", ["script", "outcome"],
        "Round trips to Redis by script (claim, save, …; read and write are any plain ones): answered or failed";
    REDIS_UP[1] = Gauge, "holdfast_redis_up", ["link"],
        "1 while the connection to Redis stands, of each part that has its own";
    REDIS_DURABLE[1] = Gauge, "holdfast_redis_durable", ["link"],
        "1 while Redis is good enough to move money; the log says what it lacks";
    REDIS_LINEAGES[1] = Counter, "holdfast_redis_replaced_total", ["link"],
        "How often another Redis, or the same one restarted, was met";
    REDIS_CONNECTIONS[1] = Counter, "holdfast_redis_connections_total", ["link"],
        "Connections made; more than one means that some broke";
    DELIVERIES[2] = Counter, "holdfast_event_deliveries_total", ["endpoint", "outcome"],
        "Events posted to endpoints: delivered, unwanted, waits (is tried again), stuck, disabled";
    WEBHOOKS[1] = Counter, "holdfast_webhooks_total", ["outcome"],
        "Webhooks and callbacks of the gateway: nudged, unmatched, unsigned, deferred, against_record";
    OBSERVED[0] = Gauge, "holdfast_observed_timestamp_seconds", [],
        "When Redis was last asked for what is not counted as it happens: states, what is due, what waits";
    PAYMENTS[1] = Gauge, "holdfast_payments", ["state"],
        "Payments in each state, finished ones for as long as they are kept";
    UNFINISHED[0] = Gauge, "holdfast_payments_unfinished", [],
        "Payments that are not finished";
    DUE[0] = Gauge, "holdfast_payments_due", [],
        "Payments that are due and that nobody works on";
    NEXT_DUE[0] = Gauge, "holdfast_next_due_timestamp_seconds", [],
        "When the first payment is due; in the past while work is waiting";
    PENDING[1] = Gauge, "holdfast_events_pending", ["endpoint"],
        "Events that an endpoint has not accepted yet, as far as they were copied for it";
    PENDING_OLDEST[1] = Gauge, "holdfast_events_oldest_timestamp_seconds", ["endpoint"],
        "When the oldest of them happened, those that were not copied yet included";
    ENDPOINT_OFF[1] = Gauge, "holdfast_endpoint_disabled", ["endpoint"],
        "1 while nothing is sent to an endpoint because it failed for too long, or a person said so";
    PUSHED[0] = Gauge, "holdfast_pushes_waiting", [],
        "Pushes that were not taken in yet";
    QUARANTINED[0] = Gauge, "holdfast_pushes_quarantined", [],
        "Pushes that were refused, and that nobody has decided about";
    CARDS[0] = Gauge, "holdfast_cards_wanted", [],
        "Saved cards that are to be looked at or deleted";
    STOPPED[1] = Gauge, "holdfast_stopped", ["scope"],
        "1 while people keep it stopped: all (0 while it is not), account:…, step:…, kind:…, drain, unknown";
    TALLIED[0] = Gauge, "holdfast_tallied_timestamp_seconds", [],
        "When the unfinished payments were last gone through: money held and lapsing, unknown, parked";
    HELD[2] = Gauge, "holdfast_held_minor", ["account", "currency"],
        "Money held, in minor units";
    HOLDS[2] = Gauge, "holdfast_holds", ["account", "currency"],
        "How many holds that is";
    LAPSING[3] = Gauge, "holdfast_lapsing_minor", ["account", "currency", "within"],
        "Money whose hold lapses within 24h, 48h, 72h; each of these holds the ones before";
    LAPSING_HOLDS[3] = Gauge, "holdfast_lapsing_holds", ["account", "currency", "within"],
        "How many holds that is";
    LAPSED_HOLDS[2] = Gauge, "holdfast_lapsed_holds", ["account", "currency"],
        "Holds that should have lapsed by now, and that nobody knows to be captured or released";
    UNKNOWN[2] = Gauge, "holdfast_unknown_payments", ["account", "step"],
        "Payments with a call of which it is not known what it did";
    UNKNOWN_OLDEST[0] = Gauge, "holdfast_oldest_unknown_timestamp_seconds", [],
        "When the oldest such call was noted that is about money: a charge, a capture, a release";
    PARKED[2] = Gauge, "holdfast_parked_payments", ["account", "reason"],
        "Payments that wait for a person, by reason";
    UNCOUNTED[0] = Gauge, "holdfast_uncounted_payments", [],
        "Unfinished payments that the figures before do not know: an older version saved them last";
}
