//! What a lab is: its directory, its hosts, its ports. Everything about it lies in `lab.json`.
//!
//! ```text
//! DIR/lock  lab.json  password  history-lab.jsonl  sr/
//! DIR/hosts/h1/           the host's state directory: agent, xhad, VMs
//! DIR/hosts/h1/machine/   what is outside of the machine: power button, watchdog
//! ```

use std::fs::{File, OpenOptions};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::agent::config::{read, write};
use crate::host::hypervisor::Kind;

/// The longest directory in which the sockets of the hosts still have short enough names.
const LONGEST_DIR: usize = 70;

/// One host of the lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabHost {
    /// `h1`, `h2`, …
    pub name: String,
    /// The address at which the others reach it.
    pub address: IpAddr,
    /// Its uuid in the pool.
    pub uuid: Uuid,
}

/// What `lab up` made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Setting {
    /// The hosts; the first was the pool's first master.
    pub hosts: Vec<LabHost>,
    /// The port of the API over TLS at every host.
    pub https_port: u16,
    /// The port of the API without TLS at every host.
    pub http_port: u16,
    /// The heartbeat's port at every host.
    pub udp_port: u16,
    /// T in seconds.
    pub timeout: u32,
    /// What runs the VMs.
    pub hypervisor: Kind,
    /// How many VMs there are.
    pub vms: usize,
    /// Whether each machine is a PID and network namespace of its own.
    pub netns: bool,
    /// Whether HA is on.
    pub ha: bool,
}

/// A lab on disk.
#[derive(Debug, Clone)]
pub struct Lab {
    /// Its directory.
    pub dir: PathBuf,
    /// What was made there.
    pub setting: Setting,
}

/// The directory of a lab that names no other.
pub fn default_dir() -> PathBuf {
    std::env::temp_dir().join("xe-lab")
}

impl Lab {
    /// The lab that is up in a directory.
    pub fn find(dir: &Path) -> anyhow::Result<Self> {
        let file = dir.join("lab.json");
        if !file.exists() {
            bail!("no lab is up in {}; 'xe lab up' makes one", dir.display());
        }
        Ok(Self { dir: dir.canonicalize()?, setting: read(&file)? })
    }

    /// The lab that is up in a directory, or the last one that was.
    pub fn find_or_last(dir: &Path) -> anyhow::Result<Self> {
        let last = dir.join("lab-was.json");
        match Self::find(dir) {
            Err(_) if last.exists() => Ok(Self { dir: dir.canonicalize()?, setting: read(&last)? }),
            other => other,
        }
    }

    /// Writes `lab.json`.
    pub fn save(&self) -> anyhow::Result<()> {
        write(&self.dir.join("lab.json"), &self.setting)
    }

    /// The state directory of a host.
    pub fn state_dir(&self, host: &str) -> PathBuf {
        self.dir.join("hosts").join(host)
    }

    /// What is outside of a host's machine.
    pub fn machine_dir(&self, host: &str) -> PathBuf {
        self.state_dir(host).join("machine")
    }

    /// The API's socket of a host; `xe --state-dir` looks for it under this name.
    pub fn socket(&self, host: &str) -> PathBuf {
        self.state_dir(host).join("xapi.sock")
    }

    /// The directory of the shared SR.
    pub fn sr_dir(&self) -> PathBuf {
        self.dir.join("sr")
    }

    /// The file that holds root's password.
    pub fn password_file(&self) -> PathBuf {
        self.dir.join("password")
    }

    /// Root's password.
    pub fn password(&self) -> anyhow::Result<String> {
        let path = self.password_file();
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(text.trim_end().to_owned())
    }

    /// The host of that name or uuid.
    pub fn host(&self, word: &str) -> anyhow::Result<&LabHost> {
        let same = |host: &&LabHost| host.name == word || host.uuid.to_string() == word;
        let Some(host) = self.setting.hosts.iter().find(same) else {
            let names: Vec<_> = self.setting.hosts.iter().map(|host| &*host.name).collect();
            bail!("the lab has no host {word}; it has {}", names.join(", "));
        };
        Ok(host)
    }
}

/// Makes the directory of a lab, or takes the one of a lab that is down, and locks it.
///
/// The lock is handed to the machines, so it is held for as long as any of them lives.
pub fn claim(dir: &Path) -> anyhow::Result<(PathBuf, File)> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("cannot make {}", dir.display()))?;
    let dir = dir.canonicalize()?;
    if dir.as_os_str().len() > LONGEST_DIR {
        bail!("{} is too long a name for sockets; choose another --dir", dir.display());
    }
    if dir.metadata()?.uid() != rustix::process::getuid().as_raw() {
        bail!("{} belongs to somebody else; choose another --dir", dir.display());
    }
    let used = std::fs::read_dir(&dir)?.next().is_some() && !dir.join("lock").exists();
    if used {
        bail!("{} holds something else than a lab; choose another --dir", dir.display());
    }
    let mut options = OpenOptions::new();
    let lock = options.create(true).truncate(false).write(true).open(dir.join("lock"))?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive)
        .with_context(|| format!("a lab is up in {}; 'xe lab down' ends it", dir.display()))?;
    Ok((dir, lock))
}

/// Removes what a lab left in its directory, which is locked by the caller.
pub fn sweep(dir: &Path) -> anyhow::Result<()> {
    for name in ["hosts", "sr"] {
        match std::fs::remove_dir_all(dir.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    for name in ["lab.json", "lab-was.json", "password", "history-lab.jsonl"] {
        match std::fs::remove_file(dir.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_lab_at_a_time_lives_in_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let held = claim(dir.path()).unwrap();
        let refused = claim(dir.path()).unwrap_err().to_string();
        assert!(refused.contains("xe lab down"), "{refused}");
        drop(held);
        assert!(claim(dir.path()).is_ok());
    }

    #[test]
    fn a_directory_with_other_things_in_it_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("letter"), "dear").unwrap();
        assert!(claim(dir.path()).is_err());
        assert!(dir.path().join("letter").exists());
    }
}
