//! Ending and beginning again within one boot: an upgrade of the package, a restart by the system.
//!
//! The daemon is asked to end. An armed one says "unarmed", waits until every other member has
//! echoed that, disarms and leaves a record; then its host's VMs are nobody's to restart, and a
//! host that dies meanwhile is *unknown* to the others. A daemon that starts in the same boot and
//! finds the record takes the session up again by itself, as a host that joins with its VMs.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::control::StartConfig;

/// The record's name within the state directory.
const FILE: &str = "rejoin.json";

/// What the next daemon of this boot needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// The boot in which it holds.
    boot: String,
    /// The session that ended.
    config: StartConfig,
}

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join(FILE)
}

/// Leaves the record; it holds the session's key, so it is for the own user only.
pub fn leave(state_dir: &Path, boot: &str, config: &StartConfig) -> std::io::Result<()> {
    let record = Record { boot: boot.to_owned(), config: config.clone() };
    let (path, bytes) = (path(state_dir), serde_json::to_vec(&record)?);
    let _no_earlier_one = std::fs::remove_file(&path);
    let new = path.with_extension("new");
    let _no_earlier_one = std::fs::remove_file(&new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, &path)
}

/// Takes the record, which counts once and in its own boot only: the session to begin, as a host
/// that joins and may have VMs.
pub fn take(state_dir: &Path, boot: &str) -> Option<StartConfig> {
    let bytes = std::fs::read(path(state_dir)).ok()?;
    forget(state_dir);
    let record: Record = serde_json::from_slice(&bytes).ok()?;
    (record.boot == boot).then_some(StartConfig {
        form: false,
        fresh: true,
        resident: true,
        agent_pid: None,
        ..record.config
    })
}

/// Takes the record away: a session was begun otherwise, or none is wanted.
pub fn forget(state_dir: &Path) {
    let _none = std::fs::remove_file(path(state_dir));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_record_counts_once_and_in_its_own_boot() {
        let dir = tempfile::tempdir().unwrap();
        let config = StartConfig { form: true, agent_pid: Some(7), ..StartConfig::default() };
        leave(dir.path(), "boot", &config).unwrap();
        let mode = std::fs::metadata(path(dir.path())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let taken = take(dir.path(), "boot").unwrap();
        assert!(taken.resident && taken.fresh && !taken.form && taken.agent_pid.is_none());
        assert_eq!(take(dir.path(), "boot"), None);
        leave(dir.path(), "boot", &config).unwrap();
        assert_eq!(take(dir.path(), "a later boot"), None);
    }
}
