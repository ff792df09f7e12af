//! A model of how a payment moves: one saved-card charge, from `New` to its end, with everything
//! that can happen to it on the way. It is searched from end to end, so that "never" means never
//! within the model, and not "not in this test".
//!
//! `cargo run -p holdfast-model --release` searches all [`rows`] and prints what it found;
//! `--row NAME` tells the story of one. A row is a promise of the protocol, or a promise with one
//! rule or one assumption taken away; then the search must find what goes wrong, and prints the
//! shortest way to it.
//!
//! # What is checked at every moment
//!
//! - Money was taken at most once.
//! - Where `Paid` was reported, it was taken once; where `Failed` was, never, and no charge that is
//!   on its way or at work can still take it.
//! - The payment can still come to rest (finished or parked) without any more faults, and be
//!   finished if a person cancels it.
//! - Over a whole promise: `Paid`, `Failed` (sealed) and `Parked` (in doubt) all come up. What does
//!   nothing is safe too.
//!
//! # What can happen at any moment, as often as it likes
//!
//! A worker crashes; sleeps between any two of its actions and goes on when its claim is long gone,
//! with a permit in hand too, and over a look-up in the rows that say so; claims although somebody
//! else holds the claim; gives up waiting; says that a call was never made, long after it lost its
//! claim. A charge arrives late or never, is at the acquirer for long, is declined for now or for
//! good. An answer is lost. A look-up is stale. A person cancels, reruns, or cancels at the gateway
//! behind our back. Within the bounds of a row: the store fails over and brings back an older
//! record, and charges are attempted anew.
//!
//! # What is left out, and what stands for it
//!
//! | in the worker | here | why that is enough |
//! |---|---|---|
//! | leases, renewals, the due index (`claim.lua`, `queue/`) | anybody may claim at any time | a superset: a lease decides who works, never what is safe |
//! | times (`is_quiet`, ladders, `SEND_WITHIN`) | one event, "the quiet period passes", that makes every note old | waits only restrict what may happen; the quiet period is what conclusions rest on. It passes only when no charge is on its way or at work, since whatever was sent has had its effect by then. A worker that calls late calls after it |
//! | answers to charge and cancel (`learn.rs`, `reading.rs`) | a look-up right after the call | an answer that shows the purchase tells what a look-up tells; any other only leads to one. A refusal that closes the attempt, at once (401, 403, 404, 429) or after the quiet period (409), is like a call that was never made |
//! | time-outs and lost answers | the worker goes on, or crashes | it learns nothing either way |
//! | numbers, times and looks of cancels | none | a cancel may be sent again at any time |
//! | `Worker::testify` | only beside a lost claim; a payment that is parked is looked at anew | where it is not, a person asks for it |
//! | `create` | one action | a lost one leaves a purchase that nobody knows |
//! | nonces of 128 bits (`Nonce::fresh`) | named after their holder | that two are alike is not expected |
//! | versions (`save.lua`) | counted from the one before the oldest that can come back; a save that changes nothing does not count | only equality is ever asked for |
//! | write ids (`write_id`) | content, version and nonce | that is what they are made of |
//! | `WAIT`, `appendfsync always` | a note is durable at some moment after it was written, and its permit waits for it. `Solo`: whoever else is answered by the store sees what is durable | a reply is sent after the disk has it |
//! | reading the record again (`reload`) | with the write that was refused | a later reading is a write that is refused again |
//! | a new lineage (R5, `check_license`) | the worker notices, or does not | nothing may rest on it |
//! | a command (`Store::load`, then `command.lua`) | one action; two where its check can be fooled | if nothing was written in between, when it was read makes no difference |
//! | amounts, currencies, brands (`Sighting::check`) | always as asked | compared before anything is charged, and again before `Paid` |
//! | holds, captures, checkout | not modelled | a capture follows the same notes, permits and look-ups |
//! | codes that leave a decline in doubt (`in_doubt`) | not modelled | the attempt stays open, as with any unknown |
//!
//! Assumed of the world, and not searched: a request arrives at most once; `Paid` and `Cancelled`
//! are shown as such by a look-up that is fresh enough, and `Paid` wins over `Cancelled` if a
//! charge ended after a cancel; the request itself was recorded durably; no two clocks differ by
//! so much that the quiet period becomes shorter than a delivery.
//!
//! # How it is built
//!
//! `setup` holds the switches, [`rows`] the table, `protocol` what can happen, `search` a
//! breadth-first search that knows nothing about payments, [`run`] and [`report`] the rest.
//! [`twin`] is the model's payment alone: `src/payment/modelled.rs` compares the worker's with it,
//! so that the two cannot drift apart.

mod protocol;
pub mod report;
pub mod rows;
pub mod run;
mod search;
mod setup;
pub mod twin;
