//! The mark of an armed session: a daemon that starts in a boot whose last session did not end
//! cleanly has the host reset (R5.5).

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::last_words::Speaker;
use crate::host::system_word::system_word;
use crate::host::watchdog::WatchdogConfig;

/// The file's name within the state directory.
pub const FILE: &str = "xhad.armed";

/// The content of the mark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The boot in which the session was armed.
    pub boot_id: String,
    /// When that boot began, CLOCK_BOOTTIME in nanoseconds.
    #[serde(default)]
    pub began_ns: u64,
    /// What resets the host.
    pub watchdog: WatchdogConfig,
    /// Who can tell the others of the reset.
    #[serde(default)]
    pub speaker: Option<Speaker>,
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

/// The mark that an earlier session left. One that cannot be read may be of this boot: a daemon
/// that goes on without it would begin beside an armed session that did not end.
pub fn read(state_dir: &Path) -> Result<Option<Marker>, String> {
    let path = path(state_dir);
    let fault = match std::fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => format!("cannot be read ({})", system_word(&error)),
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(marker) => return Ok(Some(marker)),
            Err(_) => "is damaged".to_owned(),
        },
    };
    Err(format!(
        "{} {fault}: an armed session of this boot may not have ended; reboot this host, remove \
         that file, and start the daemon again",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_there_counts_as_no_mark() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()), Ok(None));
        let watchdog = WatchdogConfig::Exec { socket: "/dog".into() };
        let marker = Marker { boot_id: "boot".to_owned(), began_ns: 0, watchdog, speaker: None };
        set(dir.path(), &marker).unwrap();
        assert_eq!(read(dir.path()), Ok(Some(marker)));
        std::fs::write(path(dir.path()), "{").unwrap();
        let why = read(dir.path()).unwrap_err();
        assert!(why.contains("is damaged") && why.contains("reboot this host"), "{why}");
    }
}
