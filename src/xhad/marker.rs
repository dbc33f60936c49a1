//! The mark of an armed session: a daemon that starts in a boot whose last session did not end
//! cleanly has the host reset (R5.5).

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::host::watchdog::WatchdogConfig;

/// The file's name within the state directory.
pub const FILE: &str = "xhad.armed";

/// The content of the mark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The boot in which the session was armed.
    pub boot_id: String,
    /// What resets the host.
    pub watchdog: WatchdogConfig,
}

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join(FILE)
}

/// Sets the mark; it must be there before the watchdog runs.
pub fn set(state_dir: &Path, marker: &Marker) -> std::io::Result<()> {
    super::kept::write(&path(state_dir), serde_json::to_string(marker)?.as_bytes())
}

/// Takes the mark away after the watchdog was stopped.
pub fn clear(state_dir: &Path) {
    let _not_there = std::fs::remove_file(path(state_dir));
}

/// The mark that an earlier session left.
pub fn read(state_dir: &Path) -> Option<Marker> {
    serde_json::from_slice(&std::fs::read(path(state_dir)).ok()?).ok()
}
