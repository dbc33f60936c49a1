//! Tasks of the server.

use super::table::{Arg, Command, call};

/// The commands.
pub const COMMANDS: &[Command] = &[call(
    "task-cancel",
    "Ask a task to stop.",
    "task.cancel",
    &[Arg::Object("task", "task", "uuid")],
)];
