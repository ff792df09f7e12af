//! Settings: defaults, file, environment; checked once.
