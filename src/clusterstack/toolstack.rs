//! The process that watches the toolstack while a session runs: it renews the agent's lease at
//! xhad, checks the toolstack's health and starts it again. It never resets the host.
//!
//! The lease names the process that acts as master, or a stand-in; see `acting.rs`.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};

use super::acting::Process;
use super::config::Config;
use super::exit::{Exit, Failure};
use super::watch::{Due, Watch};
use super::{Context, PROGRAM_WATCH, acting, start};
use crate::host::clock::boottime_ns;
use crate::host::system_word::system_word;
use crate::xhad::control::{Client, ControlError, Phase};

/// The file with what the last checks said.
const STATUS: &str = "toolstack.json";
/// What a health check prints.
const OUTPUT: &str = "health-check.out";
/// What the watcher says.
const LOG: &str = "toolstack.log";
/// The lock that keeps a second watcher away.
const LOCK: &str = "toolstack.lock";
/// The file with the watcher's process id.
const PID: &str = "toolstack.pid";
/// Between two looks at everything.
const STEP: Duration = Duration::from_millis(500);
/// So long may a watcher of an ended session hold the lock.
const PATIENCE: Duration = Duration::from_secs(5);
/// So long may the toolstack be gone, to be started again, without losing the lease.
const ABSENCE: Duration = Duration::from_secs(30);
/// The word that makes a watcher's child a stand-in.
pub const STAND_IN: &str = "stand-in";
/// Most characters of a check's own words.
const LONGEST_ERROR: usize = 100;

/// What is known of the toolstack's health. Times are CLOCK_BOOTTIME in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// How long the last check that ended well took, in milliseconds.
    pub latency_ms: Option<u64>,
    /// The longest of them.
    pub longest_ms: Option<u64>,
    /// The shortest of them.
    pub shortest_ms: Option<u64>,
    /// When the running check began.
    pub check_begun_ns: Option<u64>,
    /// When the first restart since the last check that ended well began.
    pub restart_begun_ns: Option<u64>,
    /// What the last check that failed said.
    pub error: String,
}

impl Status {
    /// What the watcher of this session wrote; nothing known when there is none.
    pub fn read(context: &Context) -> Self {
        let text = std::fs::read(context.settings.file(STATUS)).ok();
        text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    fn write(&self, context: &Context) {
        let Ok(text) = serde_json::to_string(self) else { return };
        let (file, fresh) = (context.settings.file(STATUS), context.settings.file("toolstack.new"));
        // A full disk costs the figures, nothing else.
        let _lost = std::fs::write(&fresh, text).and_then(|()| std::fs::rename(&fresh, &file));
    }
}

/// Starts the watcher; one that runs already keeps its place.
pub fn ensure(context: &Context) -> Result<(), Failure> {
    let config = context.config_path.display().to_string();
    let words = [PROGRAM_WATCH.to_owned(), "-C".to_owned(), config];
    start::spawn(&words, &context.settings.file(LOG)).map(|_| ()).map_err(|error| {
        Failure::new(
            Exit::System,
            format!("the toolstack's watcher does not start: {}", system_word(&error)),
        )
    })
}

/// The watcher: runs until the session ends.
pub fn run(context: &Context) -> Result<(), Failure> {
    let Some(_lock) = lock(context)? else { return Ok(()) };
    let pid = std::process::id().to_string();
    let _shown_only = std::fs::write(context.settings.file(PID), pid);
    let mut watcher = Watcher::new(context, &context.config()?);
    while watcher.turn() {
        std::thread::sleep(STEP);
    }
    Ok(())
}

fn lock(context: &Context) -> Result<Option<File>, Failure> {
    let failed = |error: std::io::Error| Failure::new(Exit::System, error);
    let file = File::create(context.settings.file(LOCK)).map_err(failed)?;
    let end = Instant::now() + PATIENCE;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(file)),
            Err(_) if Instant::now() >= end => return Ok(None),
            Err(_) => std::thread::sleep(STEP),
        }
    }
}

struct Watcher<'a> {
    context: &'a Context,
    client: Client,
    begun: Instant,
    watch: Watch,
    status: Status,
    job: Option<Child>,
    toolstack: Option<Process>,
    seen: Instant,
    stand_in: Option<Child>,
    silences: u32,
}

impl<'a> Watcher<'a> {
    fn new(context: &'a Context, config: &Config) -> Self {
        let watcher = Watcher {
            context,
            client: context.settings.client().with_timeout(Duration::from_secs(2)),
            begun: Instant::now(),
            watch: Watch::new(&config.parameters),
            status: Status::default(),
            job: None,
            toolstack: None,
            seen: Instant::now(),
            stand_in: None,
            silences: 0,
        };
        watcher.status.write(context);
        watcher
    }

    /// One look at everything; false when the session is over.
    fn turn(&mut self) -> bool {
        match self.client.liveset() {
            Ok(liveset) if matches!(liveset.phase, Phase::Off | Phase::Disarmed) => {
                self.end_job();
                return false;
            }
            Ok(_) => self.silences = 0,
            Err(ControlError::Unreachable { .. }) if self.silences >= 3 => return false,
            Err(_) => self.silences += 1,
        }
        self.renew();
        self.take_job();
        let now = self.begun.elapsed();
        match self.watch.due(now) {
            Some(Due::Check) => self.begin_check(),
            Some(Due::Restart) => self.begin_restart(),
            Some(Due::EndCheck) => {
                self.end_job();
                self.checked(false, "the health check did not end in time");
            }
            Some(Due::EndRestart) => {
                self.end_job();
                self.watch.restarted(now);
            }
            None => {}
        }
        true
    }

    /// Renews the lease while the toolstack is well and not gone for long.
    fn renew(&mut self) {
        self.toolstack = self.toolstack.filter(|process| process.runs());
        if self.toolstack.is_none() {
            let pid = self.context.settings.toolstack().ok().flatten();
            self.toolstack = pid.and_then(Process::of);
        }
        if self.toolstack.is_some() {
            self.seen = Instant::now();
        }
        if !self.watch.is_well() || self.seen.elapsed() > ABSENCE {
            return;
        }
        let renewed =
            self.stand_in().and_then(|pid| acting::renew(self.context, &self.client, pid));
        if let Err(failure) = renewed {
            eprintln!("the lease is not renewed: {failure}");
        }
    }

    /// The process that holds the lease while no toolstack acts as master; xhad may end it.
    fn stand_in(&mut self) -> Result<u32, Failure> {
        if let Some(child) = &mut self.stand_in
            && let Ok(None) = child.try_wait()
        {
            return Ok(child.id());
        }
        let program = std::env::current_exe().map_err(|error| Failure::new(Exit::System, error))?;
        let child = Command::new(program)
            .args([PROGRAM_WATCH, STAND_IN])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| Failure::new(Exit::System, error))?;
        Ok(self.stand_in.insert(child).id())
    }

    fn begin_check(&mut self) {
        self.status.check_begun_ns = Some(boottime_ns());
        self.status.write(self.context);
        let settings = &self.context.settings;
        self.job = File::create(settings.file(OUTPUT))
            .and_then(|output| spawn(&settings.health_check, output.into()))
            .map_err(|error| self.checked(false, &error.to_string()))
            .ok();
    }

    fn begin_restart(&mut self) {
        eprintln!("the toolstack is not well ({}); it is started again", self.status.error.trim());
        self.status.restart_begun_ns.get_or_insert(boottime_ns());
        self.status.write(self.context);
        let started = spawn(&self.context.settings.restart, Stdio::null());
        self.job = started.map_err(|error| self.restart_failed(&error)).ok();
    }

    fn restart_failed(&mut self, error: &std::io::Error) {
        eprintln!("the toolstack cannot be started again: {error}");
        self.watch.restarted(self.begun.elapsed());
    }

    /// A check or restart that has ended by itself.
    fn take_job(&mut self) {
        let Some(job) = &mut self.job else { return };
        let Ok(Some(status)) = job.try_wait() else { return };
        self.job = None;
        match self.status.check_begun_ns {
            Some(_) => self.take_check(status),
            None => self.watch.restarted(self.begun.elapsed()),
        }
    }

    fn take_check(&mut self, status: ExitStatus) {
        let said = std::fs::read(self.context.settings.file(OUTPUT)).unwrap_or_default();
        let said: String = String::from_utf8_lossy(&said).chars().take(LONGEST_ERROR).collect();
        let said = if said.trim().is_empty() { status.to_string() } else { said };
        self.checked(status.success(), &said);
    }

    fn checked(&mut self, well: bool, said: &str) {
        let took = self.watch.checked(self.begun.elapsed(), well);
        let status = &mut self.status;
        status.check_begun_ns = None;
        status.error = if well { String::new() } else { said.to_owned() };
        if let Some(took) = took {
            let ms = took.as_millis() as u64;
            status.latency_ms = Some(ms);
            status.longest_ms = status.longest_ms.max(Some(ms));
            status.shortest_ms = Some(status.shortest_ms.map_or(ms, |shortest| shortest.min(ms)));
            status.restart_begun_ns = None;
        }
        status.write(self.context);
    }

    fn end_job(&mut self) {
        let Some(mut job) = self.job.take() else { return };
        if let Some(group) = i32::try_from(job.id()).ok().and_then(Pid::from_raw) {
            let _gone = kill_process_group(group, Signal::KILL);
        }
        let _status = job.wait();
    }
}

/// Starts a command in a process group of its own, so that all of it can be ended.
fn spawn(command: &[String], output: Stdio) -> std::io::Result<Child> {
    let (program, words) =
        command.split_first().ok_or_else(|| std::io::Error::other("the command is empty"))?;
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).stdout(output).stderr(Stdio::null());
    command.process_group(0).spawn()
}

/// A stand-in: it does nothing and ends with its watcher.
pub fn stand_in() {
    let _ended = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
}
