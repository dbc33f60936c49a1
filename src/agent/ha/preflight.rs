//! What a host says of itself before HA is switched on.

use super::{Session, daemon, find_volumes, is_armed, witness};
use crate::agent::Agent;
use crate::heartbeat::PROTOCOL;
use crate::host::system_word::system_word;
use crate::xenapi::Failure;
use crate::xenapi::failure::Answer;
use serde::{Deserialize, Serialize};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

/// What a host answers before HA is switched on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preflight {
    /// Whether the host sees the statefile that the master prepared.
    pub same_statefile: bool,
    /// The watchdog's step in nanoseconds, or why there is none.
    pub watchdog: Result<u64, String>,
    /// The longest disk cycle of a few, in nanoseconds.
    pub disk_cycle: u64,
    /// The protocol of its daemon.
    pub protocol: u16,
    /// Whether a session runs already.
    pub armed: bool,
    /// Whether the fence hook can be run here, if there is one, or why not.
    #[serde(default = "fine")]
    pub fence_hook: Result<(), String>,
    /// Whether the witness answers this host, if there is one, or why not.
    #[serde(default = "fine")]
    pub witness: Result<(), String>,
}

fn fine() -> Result<(), String> {
    Ok(())
}

/// Says whether HA could run on this host; changes nothing.
pub fn preflight(agent: &Agent, session: &Session) -> Answer<serde_json::Value> {
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let watchdog = crate::host::watchdog::open(&daemon::watchdog(agent));
    let mut session = session.clone();
    find_volumes(agent, &mut session)?;
    let lost = |error: crate::xhad::statefile::StatefileError| {
        Failure::new("HA_HOST_CANNOT_ACCESS_STATEFILE", [error.to_string()])
    };
    let (mut same, mut longest) = (true, Duration::ZERO);
    for path in session.statefile_paths() {
        let seen = crate::xhad::statefile::generation(&path);
        same &= seen.is_ok_and(|generation| generation == session.generation);
        let measured = crate::xhad::statefile::measure(&path, session.hosts.len(), 5);
        longest = longest.max(measured.map_err(lost)?);
    }
    let answer = Preflight {
        same_statefile: same,
        watchdog: watchdog.map(|dog| nanos(dog.step())).map_err(|error| error.to_string()),
        disk_cycle: nanos(longest),
        protocol: PROTOCOL,
        armed: is_armed(agent),
        fence_hook: session.settings.fence_hook.as_ref().map_or(Ok(()), |(hook, _)| can_run(hook)),
        witness: witness::answers(agent, &session),
    };
    serde_json::to_value(answer).map_err(|error| Failure::internal(error.to_string()))
}

/// Whether a program is there and may be run; why not.
fn can_run(program: &Path) -> Result<(), String> {
    let path = program.display();
    let found = std::fs::metadata(program)
        .map_err(|error| format!("{path}: {}", system_word(&error).to_lowercase()))?;
    if !found.is_file() {
        return Err(format!("{path} is no file"));
    }
    if found.permissions().mode() & 0o111 == 0 {
        return Err(format!("{path} is not executable; see 'chmod +x {path}'"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_that_may_be_run_is_a_hook() {
        let dir = tempfile::tempdir().unwrap();
        let hook = dir.path().join("fence");
        let why = |path: &Path| can_run(path).unwrap_err();
        assert!(why(&hook).ends_with("fence: no such file or directory"), "{}", why(&hook));
        assert!(why(dir.path()).contains("is no file"));
        std::fs::write(&hook, "#!/bin/sh\n").unwrap();
        assert!(why(&hook).contains("chmod +x"));
        std::fs::set_permissions(&hook, PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(can_run(&hook), Ok(()));
    }
}
