//! HOW one payment moves.
