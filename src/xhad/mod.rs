//! xhad, the heartbeat and self-fencing daemon: a small process of its own around the pure
//! [`crate::heartbeat::Node`]. It must outlive and watch the agent.

pub mod agent;
pub mod config;
pub mod control;
pub mod cycle;
mod daemon;
pub mod history;
mod hooks;
mod inbox;
pub mod kept;
mod last_words;
pub mod marker;
pub mod rehearsal;
mod server;
mod session;
mod spawner;
pub mod start;
pub mod statefile;
mod storm;
mod threads;
mod upgrade;
pub mod witness;
pub mod witness_call;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::host::system_word::system_word;
use crate::host::watchdog::keeper::{self, OnExpiry};

const USAGE: &str = "usage: xhad --state-dir DIR
       xhad --witness --listen ADDRESS:PORT --state-dir DIR --key-file FILE
           (a third machine; the key is what 'xe pool-ha-witness-key' prints)
       xhad watchdog-keeper --socket FILE --record FILE (--kill-group PGID | --exec COMMAND…)

DIR/kept of a host, and DIR/witness-… of a witness, hold what it has promised to the others. One
that is damaged is refused, for a forgotten promise may give a pool two masters. A host: switch HA
off and on again (xe pool-ha-disable, xe pool-ha-enable). A witness: switch HA off, remove the file,
start the witness, switch HA on.";

/// What the words after the program's name ask for.
#[derive(Debug, PartialEq, Eq)]
enum Task {
    Daemon { state_dir: PathBuf },
    Witness(witness::Start),
    Keeper { socket: PathBuf, record: PathBuf, on_expiry: OnExpiry },
}

fn parse(words: &[String]) -> Option<Task> {
    let (keeper, words) = match words.split_first() {
        Some((first, rest)) if first == "watchdog-keeper" => (true, rest),
        _ => (false, words),
    };
    let (mut state_dir, mut socket, mut record, mut on_expiry) = (None, None, None, None);
    let (mut witness, mut listen, mut key_file) = (false, None, None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--state-dir" if !keeper => state_dir = Some(PathBuf::from(words.next()?)),
            "--witness" if !keeper => witness = true,
            "--listen" if witness => listen = Some(words.next()?.parse().ok()?),
            "--key-file" if witness => key_file = Some(PathBuf::from(words.next()?)),
            "--socket" if keeper => socket = Some(PathBuf::from(words.next()?)),
            "--record" if keeper => record = Some(PathBuf::from(words.next()?)),
            "--kill-group" if keeper => {
                // Group 0 or 1 would be this process itself or the whole system.
                let group = words.next()?.parse().ok().filter(|group| *group > 1)?;
                on_expiry = Some(OnExpiry::KillGroup(group));
            }
            "--exec" if keeper => {
                on_expiry = Some(OnExpiry::Run(words.by_ref().cloned().collect()));
            }
            _ => return None,
        }
    }
    if keeper {
        return Some(Task::Keeper { socket: socket?, record: record?, on_expiry: on_expiry? });
    }
    let state_dir = state_dir?;
    match witness {
        false => Some(Task::Daemon { state_dir }),
        true => {
            let (listen, key_file) = (listen?, key_file?);
            Some(Task::Witness(witness::Start { listen, state_dir, key_file }))
        }
    }
}

/// Runs the program with the words after its name.
pub fn main(words: Vec<String>) -> ExitCode {
    let outcome = match parse(&words) {
        None => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
        Some(Task::Daemon { state_dir }) => daemon::run(state_dir),
        Some(Task::Witness(start)) => witness::run(&start),
        Some(Task::Keeper { socket, record, on_expiry }) => {
            keeper::run(&socket, &record, on_expiry).map_err(anyhow::Error::from)
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xhad: {}", system_word(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(line: &str) -> Option<Task> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_programs_are_told_apart() {
        let state_dir = PathBuf::from("/s");
        assert_eq!(task("--state-dir /s"), Some(Task::Daemon { state_dir }));
        let words = "--witness --listen 127.0.0.1:7 --state-dir /s --key-file /k";
        let listen = "127.0.0.1:7".parse().unwrap();
        let start = witness::Start { listen, state_dir: "/s".into(), key_file: "/k".into() };
        assert_eq!(task(words), Some(Task::Witness(start)));
        let keeper = task("watchdog-keeper --socket /k --record /r --exec kill -9 7");
        let words = ["kill", "-9", "7"].map(str::to_owned).to_vec();
        assert_eq!(
            keeper,
            Some(Task::Keeper {
                socket: "/k".into(),
                record: "/r".into(),
                on_expiry: OnExpiry::Run(words)
            })
        );
    }

    #[test]
    fn nonsense_and_dangerous_groups_are_refused() {
        for line in [
            "",
            "--state-dir",
            "--sate-dir /s",
            "--witness --state-dir /s --key-file /k",
            "--witness --listen nowhere --state-dir /s --key-file /k",
            "watchdog-keeper --socket /k --record /r",
            "watchdog-keeper --socket /k --record /r --kill-group 0",
            "watchdog-keeper --socket /k --record /r --kill-group 1",
        ] {
            assert_eq!(task(line), None, "{line}");
        }
    }
}
