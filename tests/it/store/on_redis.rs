//! Promises that only the store on Redis makes.
