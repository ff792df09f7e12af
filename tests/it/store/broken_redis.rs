//! What happens when Redis breaks.
