//! What operators ask and do, whichever door they come through: terminal, HTTP or dashboard.
//!
//! Nothing here reads arguments or writes pages, and nothing here may move money: what is to be done
//! about a payment is written into its record, and a worker's turn carries it out. `probe` alone makes
//! calls of its own, on test accounts.
//!
//! | file | what |
//! |---|---|
//! | `audit/` | the audit log, read and verified |
//! | `doctor/` | what is wrong with an installation, and how to put it right |
//! | `switches` | to stop and to let go on, and to know when it stands |
//! | `tally` | sums over all unfinished payments: held, lapsing, due, in doubt, parked |
//! | `overview` | the newest tally, counted when somebody asks and not too often |
//! | `find` | payments by what is known of them, a page at a time |
//! | `observe` | what Redis holds, now and then, for the metrics |
//! | `probe/` | what CHIP does not document, measured on a test account |
//! | `reconcile/` | whether our records, the gateway and its statement agree |
//! | `foresee` | what a rerun of a payment would do |
//! | `ahead` | what becomes of money when one goes on, as by a hold still to come |
//! | `plan`, `course`, `planned` | a plan to rerun many, its course, and each payment of it |
//! | `stake` | how much money one may move |
//! | `planning` | to have one made, applied, stopped, resumed |
//! | `pulse` | how much ends, how late work begins, how much goes wrong, over the last hour |
//! | `timeline` | all that happened to a payment, and what is in doubt |
//! | `legal` | what can be commanded of a payment now |
//! | `words` | a payment in words |
//! | `shown`, `warned` | one as it is shown, and what whoever applies it should know |

mod ahead;
pub mod audit;
mod course;
pub mod doctor;
pub mod find;
mod foresee;
pub mod legal;
mod observe;
pub mod overview;
mod plan;
mod planned;
pub mod planning;
pub mod probe;
pub mod pulse;
pub mod reconcile;
pub mod shown;
mod stake;
pub mod switches;
pub mod tally;
pub mod timeline;
mod warned;
pub mod words;

pub use ahead::{Touch, Touched};
pub use course::MOST_PAYMENTS;
pub use foresee::{Fit, Foreseen, Then, foresee, most_moved, rerun_moves};
pub use observe::Observer;
pub use plan::{
    Applied, Fate, Filter, LASTS, LeftOut, NotNow, Phase, Plan, PlanCommand, Planned, Seen,
    Selection,
};
