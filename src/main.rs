//! The one binary: argv[0], or else the first word, decides what it is.

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    xe::applet::run(&words)
}
