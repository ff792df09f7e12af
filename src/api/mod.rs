//! HTTP in: webhooks, callbacks, health.
