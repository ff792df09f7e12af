//! A simulator of the CHIP Collect payment gateway.
