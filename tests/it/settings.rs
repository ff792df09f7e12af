//! Promises of the settings.
