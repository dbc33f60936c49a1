//! What a person types: the dialect, the commands, the printing.

use std::process::ExitCode;

/// Whether a word is the name of a command.
pub fn is_command(_word: &str) -> bool {
    false
}

/// Runs the command line with the words after the program's name.
pub fn main(_words: Vec<String>) -> ExitCode {
    ExitCode::FAILURE
}
