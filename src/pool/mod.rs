//! The pool database as values: rows of typed fields, changed only by transactions.
//!
//! Nothing here reads a disk or a clock. A transaction yields a list of [`Change`]s; the agent
//! writes them as one journal [`record`](journal) to every replica and then applies them with
//! [`Database::apply`]. Every host that applies the same records holds the same rows.

pub mod change;
pub mod database;
pub mod dump;
pub mod journal;
pub mod relations;
pub mod rows;
pub mod transaction;

pub use change::Change;
pub use database::{Database, Row};
pub use transaction::Transaction;

/// The number of the format of rows and records. A host refuses records of a higher one.
pub const SCHEMA: u32 = 1;
