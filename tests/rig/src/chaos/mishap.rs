//! What can go wrong with a connection, and which side of a worker it belongs to.

/// Whom a worker talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Between workers, producers and Redis.
    Redis,
    /// Between workers and the gateway.
    Gateway,
}

impl Side {
    pub(super) const BOTH: [Self; 2] = [Self::Redis, Self::Gateway];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Redis => "connection to Redis",
            Self::Gateway => "connection to the gateway",
        }
    }
}

/// What can go wrong with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mishap {
    /// It ends in good order instead of passing a request on.
    Cut,
    /// It is reset instead of passing a request on.
    Reset,
    /// It ends in the middle of a request.
    CutInRequest,
    /// A request is passed on, and it ends before the reply.
    CutBeforeReply,
    /// It is reset in the middle of a reply.
    ResetInReply,
    /// It stays open, and nothing is passed on to the server any more.
    MuteClient,
    /// It stays open, and no reply is passed on any more.
    MuteServer,
    /// Replies come in small pieces, with pauses.
    Slow,
}

impl Mishap {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Cut,
        Self::Reset,
        Self::CutInRequest,
        Self::CutBeforeReply,
        Self::ResetInReply,
        Self::MuteClient,
        Self::MuteServer,
        Self::Slow,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Cut => "closed before the request",
            Self::Reset => "reset before the request",
            Self::CutInRequest => "closed within the request",
            Self::CutBeforeReply => "closed before the reply",
            Self::ResetInReply => "reset within the reply",
            Self::MuteClient => "half open, requests lost",
            Self::MuteServer => "half open, replies lost",
            Self::Slow => "slow",
        }
    }
}
