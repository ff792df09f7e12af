//! Settings that can be exchanged while they are used.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// What is current now; clones share it. Whoever reads keeps what was current when the reading
/// began, however often it is exchanged meanwhile: nothing is ever decided by half of the old
/// settings and half of the new ones.
pub struct Current<T>(Arc<RwLock<Arc<T>>>);

impl<T> Current<T> {
    /// What is current at the beginning.
    #[must_use]
    pub fn new(first: T) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(first))))
    }

    /// What is current now.
    #[must_use]
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on this is current.
    pub fn replace(&self, next: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
    }
}

impl<T> Clone for Current<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> From<T> for Current<T> {
    fn from(first: T) -> Self {
        Self::new(first)
    }
}

impl<T: fmt::Debug> fmt::Debug for Current<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_begun_keeps_what_was_current_then() {
        let current = Current::new(1);
        let (shared, begun) = (current.clone(), current.get());
        shared.replace(2);
        assert_eq!((*begun, *current.get()), (1, 2));
    }
}
