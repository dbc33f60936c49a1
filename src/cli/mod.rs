//! What a person types: the dialect, the commands, the printing.

pub mod commands;
pub mod completion;
pub mod connect;
pub mod dialect;
pub mod errors;
pub mod help;
pub mod man;
pub mod own;
pub mod printing;
pub mod records;
pub mod run;
pub mod suggest;
pub mod tree;

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
    // Not locked: a prompt or a bar may want the terminal in between.
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    let mut input = std::io::BufReader::new(std::io::stdin());
    let terminal = err.is_terminal();
    let mut console = printing::Console::new(&mut out, &mut err, &mut input, terminal);
    console.keyboard = std::io::stdin().is_terminal();
    let connect = |switches: &dialect::Switches| connect::connect(switches, open_database);
    if let Some(name) = words.first().filter(|name| own::is_own(name)) {
        let outcome = own::run(
            name,
            words.get(1..).unwrap_or_default(),
            &environment,
            &connect,
            &mut console,
        );
        return ExitCode::from(outcome.map_or_else(
            |error| {
                console.note(&error.to_string());
                error.exit_code()
            },
            |()| 0,
        ));
    }
    let reading = dialect::read(&words, &environment);
    ExitCode::from(run::run(reading, &connect, &mut console))
}
