//! WHO is next: apalis over the due index.
