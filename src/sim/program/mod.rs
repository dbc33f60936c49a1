//! The program `xe-sim`: campaigns, replays, and the proof that the campaign can fail.

mod recovery;
mod replay;
mod run;
mod scripts;
mod variants;
mod words;

use std::process::ExitCode;

const USAGE: &str = "usage: xe-sim run --seeds A..B [--hosts N] [--timeout T] [--statefiles N]\n\
    \x20                 [--only SCHEDULE] [--jobs N] [--json] [--safety-only]\n\
    \x20      xe-sim replay SEED:SCHEDULE [--hosts N] [--timeout T] [--statefiles N]\n\
    \x20                    [--keep N,N,...] [--variant NAME]\n\
    \x20      xe-sim recovery [--hosts N] [--vms N] [--dies N] [--timeout T] [--json]\n\
    \x20      xe-sim variants [--most-seeds N] [--only NAME]\n\
    \x20      xe-sim scripts FOLDER [--only NAME]\n\
    run plays random faults on simulated pools, for every seed from A to before B; N hosts (2 to\n\
    64) and a time-out of T seconds, by default of several sizes. Exit code 1 on a violation,\n\
    with --safety-only on one of safety; a pool that is not back in its time is told of then.\n\
    With --json the result is one object on standard output, the summary goes to standard\n\
    error.\n\
    recovery lets so many hosts of a pool die together (64 hosts, 2560 VMs, 3 of them by\n\
    default) and says when which VMs were started; exit code 1 when one did not come back.\n\
    replay tells the story of one schedule; --keep leaves out all deeds but those.\n\
    variants breaks one rule after the other and looks for a seed that shows it; with the name\n\
    of a schedule behind --only, too, among seeds of that alone. scripts plays the situations of\n\
    a folder, each with the rule broken that it is named after (both need a build with that\n\
    feature).";

/// Runs the program with the words after its name.
pub fn main(words: Vec<String>) -> ExitCode {
    let (first, rest) = match words.split_first() {
        Some((first, rest)) => (first.as_str(), rest),
        None => ("", &[][..]),
    };
    let outcome = match first {
        "run" => run::main(rest),
        "recovery" => recovery::main(rest),
        "replay" => replay::main(rest),
        "variants" => variants::main(rest),
        "scripts" => scripts::main(rest),
        _ => Err("the first word is not run, recovery, replay, variants or scripts".to_owned()),
    };
    outcome.unwrap_or_else(|why| {
        eprintln!("{why}\n{USAGE}");
        ExitCode::from(2)
    })
}
