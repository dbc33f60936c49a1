//! Programs of the administrator around a failure: every executable of a directory, in the order of
//! their names, each told why. All of one directory together have a limited time; what still runs
//! then is killed, and recovery goes on.

use super::Agent;
use crate::host::clock::boottime_ns;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use uuid::Uuid;

/// Where the directories are, unless the host's state directory has a `hooks` of its own.
const SYSTEM: &str = "/etc/xapi.d";
/// The time for all programs of one directory.
pub const LIMIT: Duration = Duration::from_secs(10);
/// How often a program is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// An occasion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// A host failed: it may still run, and nothing of it is restarted yet.
    HostPreDeclareDead,
    /// A host is dead: its VMs run no more, and are restarted next.
    HostPostDeclareDead,
    /// VMs are about to be restarted.
    PoolPreHaVmRestart,
    /// The pool survives fewer failures than it should.
    PoolHaOvercommitted,
}

impl Hook {
    /// The directory's name.
    fn name(self) -> &'static str {
        match self {
            Self::HostPreDeclareDead => "host-pre-declare-dead",
            Self::HostPostDeclareDead => "host-post-declare-dead",
            Self::PoolPreHaVmRestart => "pool-pre-ha-vm-restart",
            Self::PoolHaOvercommitted => "pool-ha-overcommitted",
        }
    }
}

/// When programs were run.
#[derive(Debug, Default)]
pub struct Hooks {
    /// When VMs were restarted last, CLOCK_BOOTTIME in nanoseconds.
    restarted: AtomicU64,
}

/// Restarts that follow each other within this time are one recovery.
const ONE_RECOVERY: Duration = Duration::from_secs(60);

/// For each of these hosts, side by side: it failed, or it is dead, for a reason.
pub fn around_death(agent: &Agent, hook: Hook, hosts: &[(Uuid, &str)]) {
    std::thread::scope(|scope| {
        for (host, reason) in hosts {
            scope.spawn(move || {
                let host = host.to_string();
                run(agent, hook, &[("hostuuid", host.as_str()), ("reason", reason)]);
            });
        }
    });
}

/// Before VMs are restarted; once for each recovery.
pub fn before_restarts(agent: &Agent) {
    let now = boottime_ns();
    let last = agent.hooks.restarted.swap(now, Ordering::Relaxed);
    let gap = u64::try_from(ONE_RECOVERY.as_nanos()).unwrap_or(u64::MAX);
    if last == 0 || now.saturating_sub(last) > gap {
        let db = agent.store.read();
        let pool = db.text("pool", super::pool_ref(&db).unwrap_or(""), "uuid").to_owned();
        run(agent, Hook::PoolPreHaVmRestart, &[("pooluuid", &pool), ("reason", "restart")]);
    }
}

fn folder(agent: &Agent, hook: Hook) -> Option<PathBuf> {
    let own = agent.state_dir.as_ref()?.join("hooks");
    let base = if own.is_dir() { own } else { PathBuf::from(SYSTEM) };
    Some(base.join(hook.name()))
}

/// The programs of a directory by name; others than plain executable files are left out.
fn programs(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let executable = |path: &PathBuf| {
        let about = std::fs::metadata(path);
        about.is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut found: Vec<PathBuf> = paths.filter(executable).collect();
    found.sort();
    found
}

/// Runs the programs of an occasion one after the other; comes back within the limit.
pub fn run(agent: &Agent, hook: Hook, words: &[(&str, &str)]) {
    let Some(folder) = folder(agent, hook) else { return };
    let deadline = boottime_ns() + u64::try_from(LIMIT.as_nanos()).unwrap_or(u64::MAX);
    for program in programs(&folder) {
        let begun = boottime_ns();
        let outcome = run_one(&program, words, deadline);
        let took_ms = (boottime_ns() - begun) / 1_000_000;
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        agent.history.note(
            "hook",
            &format!("{}/{name}: {outcome}", hook.name()),
            serde_json::json!({ "program": program.display().to_string(), "took_ms": took_ms }),
        );
    }
}

/// The same beside everything else.
pub fn run_aside(agent: &Arc<Agent>, hook: Hook, words: Vec<(&'static str, String)>) {
    let agent = Arc::clone(agent);
    std::thread::spawn(move || {
        let words: Vec<(&str, &str)> = words.iter().map(|(k, v)| (*k, v.as_str())).collect();
        run(&agent, hook, &words);
    });
}

fn run_one(program: &Path, words: &[(&str, &str)], deadline: u64) -> String {
    if boottime_ns() >= deadline {
        return "not run: the time of its directory is over".to_owned();
    }
    let mut command = Command::new(program);
    for (key, value) in words {
        command.arg(format!("-{key}")).arg(value);
    }
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // A group of its own, so that what it started ends with it.
    let mut child = match quiet.process_group(0).spawn() {
        Ok(child) => child,
        Err(error) => return format!("not run: {error}"),
    };
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.to_string(),
            Ok(None) if boottime_ns() < deadline => std::thread::sleep(LOOK),
            Ok(None) => return kill(&mut child),
            Err(error) => return format!("lost: {error}"),
        }
    }
}

fn kill(child: &mut Child) -> String {
    let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    // Killed processes end at once, save those that hang in the kernel: nobody waits for these.
    let _ = child.try_wait();
    format!("killed after {} s", LIMIT.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(dir: &Path, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn soon(ms: u64) -> u64 {
        boottime_ns() + ms * 1_000_000
    }

    #[test]
    fn only_executables_run_in_the_order_of_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let second = script(dir.path(), "20-second", "true", 0o755);
        let first = script(dir.path(), "10-first", "true", 0o755);
        script(dir.path(), "15-note", "true", 0o644);
        std::fs::create_dir(dir.path().join("12-folder")).unwrap();
        assert_eq!(programs(dir.path()), [first, second]);
        assert!(programs(&dir.path().join("missing")).is_empty());
    }

    #[test]
    fn a_program_is_told_why_and_its_end_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let text = format!("echo \"$@\" > {}; exit 3", out.display());
        let program = script(dir.path(), "10", &text, 0o755);
        let words = [("hostuuid", "h"), ("reason", "fenced")];
        let outcome = run_one(&program, &words, soon(60_000));
        assert_eq!(outcome, "exit status: 3");
        assert_eq!(std::fs::read_to_string(out).unwrap(), "-hostuuid h -reason fenced\n");
    }

    #[test]
    fn a_program_that_hangs_is_killed_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        let text = format!("sleep 600 & echo $! > {}; wait", pid.display());
        let program = script(dir.path(), "10", &text, 0o755);
        assert!(run_one(&program, &[], soon(1000)).starts_with("killed"));
        let child = std::fs::read_to_string(pid).unwrap();
        let stat = PathBuf::from(format!("/proc/{}/stat", child.trim()));
        let gone = || {
            let text = std::fs::read_to_string(&stat).unwrap_or_default();
            text.is_empty() || text.contains(") Z ")
        };
        while !gone() {
            std::thread::sleep(LOOK);
        }
        assert!(run_one(&program, &[], soon(0)).starts_with("not run"));
    }
}
