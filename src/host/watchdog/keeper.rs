//! The keeper behind the `exec` watchdog: a small process of its own, no child of the daemon,
//! that holds one deadline and kills when it passes.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::host::clock::boottime_ns;
use crate::host::{arena, pages, realtime};

/// The shortest time that the keeper holds.
pub const MINIMUM: Duration = Duration::from_millis(200);

/// The stack of its threads, in bytes.
const STACK: usize = 128 << 10;

/// What the keeper does when the deadline passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnExpiry {
    /// Runs this command.
    Run(Vec<String>),
    /// Kills this process group.
    KillGroup(i32),
}

/// A request to the keeper, one JSON object a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// Hold this deadline (CLOCK_BOOTTIME, nanoseconds) from now on.
    Set(u64),
    /// Which deadline is held?
    Read,
    /// Hold the shortest possible deadline and take no other any more.
    Cut,
    /// Hold no deadline.
    Disarm,
    /// Fire now.
    Fire,
}

/// The keeper's answer: the deadline that it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// CLOCK_BOOTTIME in nanoseconds; none when disarmed.
    pub deadline_ns: Option<u64>,
}

/// One line of the record file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When the line was written, CLOCK_BOOTTIME in nanoseconds.
    pub t_ns: u64,
    /// Whether a deadline is held.
    pub armed: bool,
    /// What was asked: set, cut, disarm, fire or expired.
    pub set: String,
    /// The deadline held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ns: Option<u64>,
    /// When it fired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fired_ns: Option<u64>,
}

#[derive(Debug, Default)]
struct State {
    deadline: Option<u64>,
    cut: bool,
    fire: bool,
}

struct Keeper {
    state: Mutex<State>,
    changed: Condvar,
    record: Mutex<File>,
}

impl Keeper {
    fn log(&self, armed: bool, set: &str, deadline_ns: Option<u64>, fired_ns: Option<u64>) {
        let line = Line { t_ns: boottime_ns(), armed, set: set.to_owned(), deadline_ns, fired_ns };
        if let Ok(mut text) = serde_json::to_string(&line) {
            text.push('\n');
            let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
            let _full_disk = record.write_all(text.as_bytes());
        }
    }

    fn answer(&self, ask: Ask) -> Held {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let name = match ask {
            Ask::Read => return Held { deadline_ns: state.deadline },
            Ask::Set(deadline) if !state.cut => {
                state.deadline = Some(deadline);
                "set"
            }
            Ask::Set(_) => "refused",
            Ask::Cut => {
                let soonest = boottime_ns() + MINIMUM.as_nanos() as u64;
                state.deadline = Some(state.deadline.unwrap_or(soonest).min(soonest));
                state.cut = true;
                "cut"
            }
            Ask::Disarm if !state.cut => {
                state.deadline = None;
                "disarm"
            }
            Ask::Disarm => "refused",
            Ask::Fire => {
                state.fire = true;
                "fire"
            }
        };
        let held = state.deadline;
        drop(state);
        self.changed.notify_all();
        self.log(held.is_some(), name, held, None);
        Held { deadline_ns: held }
    }

    fn serve(&self, stream: UnixStream) {
        let Ok(mut writer) = stream.try_clone() else { return };
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { return };
            let Ok(ask) = serde_json::from_str::<Ask>(&line) else { return };
            let held = self.answer(ask);
            let Ok(mut text) = serde_json::to_string(&held) else { return };
            text.push('\n');
            if writer.write_all(text.as_bytes()).is_err() {
                return;
            }
        }
    }

    /// Waits until the deadline passes and gives it.
    fn wait(&self) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let now = boottime_ns();
            if state.fire || state.deadline.is_some_and(|deadline| now >= deadline) {
                let deadline = state.deadline;
                *state = State::default();
                return deadline;
            }
            let left = state.deadline.map_or(1_000_000_000, |deadline| deadline - now);
            let wait = Duration::from_nanos(left.min(1_000_000_000));
            let (next, _) =
                self.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner);
            state = next;
        }
    }
}

fn expire(on_expiry: &OnExpiry) {
    match on_expiry {
        OnExpiry::KillGroup(group) => {
            if let Some(group) = rustix::process::Pid::from_raw(*group) {
                let _already_dead =
                    rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
        }
        OnExpiry::Run(command) => {
            if let Some((program, words)) = command.split_first() {
                let _failed = Command::new(program).args(words).status();
            }
        }
    }
}

/// Runs the keeper until it is killed.
pub fn run(socket: &PathBuf, record: &PathBuf, on_expiry: OnExpiry) -> std::io::Result<()> {
    arena::share();
    let record = OpenOptions::new().create(true).append(true).open(record)?;
    if socket.exists() {
        std::fs::remove_file(socket)?;
    }
    let listener = UnixListener::bind(socket)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))?;
    let keeper = Arc::new(Keeper {
        state: Mutex::default(),
        changed: Condvar::new(),
        record: Mutex::new(record),
    });
    let watcher = Arc::clone(&keeper);
    // It must fire on time however busy the machine is, and answer the daemon as promptly.
    let urgent = || {
        if let Err(why) = realtime::round_robin(realtime::LOOP) {
            eprintln!("watchdog-keeper: {why}");
        }
    };
    let small = || std::thread::Builder::new().stack_size(STACK);
    pages::forget_startup();
    if let Err(why) = realtime::lock_memory() {
        eprintln!("watchdog-keeper: {why}");
    }
    small().spawn(move || {
        urgent();
        loop {
            let deadline = watcher.wait();
            // Kill first: the record must not delay the reset.
            let fired = boottime_ns();
            expire(&on_expiry);
            watcher.log(false, "expired", deadline, Some(fired));
        }
    })?;
    for stream in listener.incoming().flatten() {
        let keeper = Arc::clone(&keeper);
        let _no_thread = small().spawn(move || {
            urgent();
            keeper.serve(stream);
        });
    }
    Ok(())
}
