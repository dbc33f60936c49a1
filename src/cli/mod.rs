//! What a person types: the dialect, the commands, the printing.

pub mod commands;
pub mod connect;
pub mod dialect;
pub mod errors;
pub mod help;
pub mod printing;
pub mod records;
pub mod run;
pub mod suggest;

use std::io::IsTerminal;
use std::process::ExitCode;

pub use connect::OpenDatabase;

/// Whether a word is the name of a command.
pub fn is_command(word: &str) -> bool {
    word == "help" || commands::find(word).is_some()
}

/// Runs the command line with the words after the program's name.
pub fn main(words: Vec<String>, open_database: OpenDatabase) -> ExitCode {
    let variable = |name| std::env::var(name).ok().filter(|text: &String| !text.is_empty());
    let rc = variable("HOME").and_then(|home| std::fs::read_to_string(home + "/.xe").ok());
    let environment = dialect::Environment {
        extra_args: variable("XE_EXTRA_ARGS"),
        traceparent: variable("TRACEPARENT"),
        socket: variable("XE_SOCKET"),
        rc,
    };
    let reading = dialect::read(&words, &environment);
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
    let mut input = std::io::stdin().lock();
    let terminal = std::io::stderr().is_terminal();
    let mut console = printing::Console::new(&mut out, &mut err, &mut input, terminal);
    let connect = |switches: &dialect::Switches| connect::connect(switches, open_database);
    ExitCode::from(run::run(reading, &connect, &mut console))
}
