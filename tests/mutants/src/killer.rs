//! What may kill a mutant.

use serde::Deserialize;

/// A layer, or one test of a layer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Killer {
    /// The simulation.
    Simulation,
    /// The simulation of a gateway that does not serialise charges, with unknown calls parked.
    WeakestGateway,
    /// The tests of the library whose names hold this.
    Library(String),
    /// The tests on real Redis and real HTTP whose names hold this.
    Integration(String),
    /// The examples of the documentation, by the path of what they stand at.
    Examples(String),
    /// The compiler, with this error.
    Compiler(String),
}

impl TryFrom<String> for Killer {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let named = |name: &str| Some(name.to_owned()).filter(|name| !name.is_empty());
        let killer = match text.split_once(' ') {
            None if text == "simulation" => Some(Self::Simulation),
            Some(("weakest", "gateway")) => Some(Self::WeakestGateway),
            Some(("lib", name)) => named(name).map(Self::Library),
            Some(("it", name)) => named(name).map(Self::Integration),
            Some(("doc", name)) => named(name).map(Self::Examples),
            Some(("compiler", code)) => named(code).map(Self::Compiler),
            _ => None,
        };
        killer.ok_or_else(|| {
            format!(
                "{text:?} kills nothing; write simulation, weakest gateway, lib TEST, it TEST, \
                 doc PATH or compiler CODE"
            )
        })
    }
}

impl Killer {
    /// The layer, as it is told.
    #[must_use]
    pub const fn layer(&self) -> &'static str {
        match self {
            Self::Simulation => "simulation",
            Self::WeakestGateway => "simulation, weakest gateway",
            Self::Library(_) => "tests of the library",
            Self::Integration(_) => "tests on Redis and HTTP",
            Self::Examples(_) => "examples",
            Self::Compiler(_) => "compiler",
        }
    }

    /// The test, if it is one.
    #[must_use]
    pub fn test(&self) -> Option<&str> {
        match self {
            Self::Library(name) | Self::Integration(name) => Some(name),
            Self::Simulation | Self::WeakestGateway | Self::Examples(_) | Self::Compiler(_) => None,
        }
    }
}
