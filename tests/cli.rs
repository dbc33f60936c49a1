//! The command line from words to bytes, against a server that is a table of records.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail loudly")]

#[path = "cli/world.rs"]
mod world;

#[path = "cli/commands.rs"]
mod commands;
#[path = "cli/errors.rs"]
mod errors;
#[path = "cli/golden.rs"]
mod golden;
#[path = "cli/lists.rs"]
mod lists;
#[path = "cli/params.rs"]
mod params;
#[path = "cli/selectors.rs"]
mod selectors;
#[path = "cli/table.rs"]
mod table;
