//! What a host is told about itself: `<state-dir>/agent.json` and `<state-dir>/pool.json`.

use crate::host::hypervisor::Kind;
use anyhow::Context;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// The state directory of a host that names no other.
pub const STATE_DIR: &str = "/var/lib/xe";
/// The socket of XenServer's toolstack, which `xe` looks for on every host.
pub const SOCKET: &str = "/var/lib/xcp/xapi";

/// The settings of one host.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Config {
    /// The host's uuid.
    pub host: Uuid,
    /// Its name-label and hostname.
    pub name: String,
    /// The address at which the other hosts reach it.
    pub address: IpAddr,
    /// The port of the API over TLS, the same on every host of a pool.
    #[serde(default = "https_port")]
    pub https_port: u16,
    /// The port of the API without TLS; none = not served.
    #[serde(default)]
    pub http_port: Option<u16>,
    /// The API's unix socket.
    #[serde(default = "socket")]
    pub socket: PathBuf,
    /// The heartbeat's UDP port.
    #[serde(default = "udp_port")]
    pub udp_port: u16,
    /// What runs the VMs.
    #[serde(default = "hypervisor")]
    pub hypervisor: Kind,
    /// QEMU's accelerator; it is never detected.
    #[serde(default = "accelerator")]
    pub accelerator: String,
    /// The memory that VMs may use, in bytes.
    pub memory: i64,
    /// The number of processors.
    #[serde(default = "one")]
    pub cpus: i64,
    /// The watchdog that resets the host.
    #[serde(default)]
    pub watchdog: serde_json::Value,
}

fn https_port() -> u16 {
    443
}

fn socket() -> PathBuf {
    PathBuf::from(SOCKET)
}

fn udp_port() -> u16 {
    694
}

fn accelerator() -> String {
    "tcg".to_owned()
}

fn hypervisor() -> Kind {
    Kind::Process
}

fn one() -> i64 {
    1
}

/// What the pool configuration says this host is while HA is off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "role")]
pub enum PoolRole {
    /// The master.
    Master,
    /// A member of the master at this address.
    Member {
        /// The master's address.
        master: String,
    },
}

impl Config {
    /// Reads the settings of a state directory.
    pub fn load(state_dir: &Path) -> anyhow::Result<Self> {
        read(&state_dir.join("agent.json"))
            .with_context(|| format!("no host is set up in {}", state_dir.display()))
            .context("run 'xe-agent init' first")
    }

    /// Writes the settings of a state directory.
    pub fn save(&self, state_dir: &Path) -> anyhow::Result<()> {
        write(&state_dir.join("agent.json"), self)
    }
}

impl PoolRole {
    /// Reads the role; a host that has none yet is the master of its own pool.
    pub fn load(state_dir: &Path) -> anyhow::Result<Self> {
        match read(&state_dir.join("pool.json")) {
            Ok(role) => Ok(role),
            Err(_) if !state_dir.join("pool.json").exists() => Ok(Self::Master),
            Err(error) => Err(error),
        }
    }

    /// Writes the role durably.
    pub fn save(&self, state_dir: &Path) -> anyhow::Result<()> {
        write(&state_dir.join("pool.json"), self)
    }
}

/// Reads a JSON file.
pub fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is not understood", path.display()))
}

/// Writes a JSON file by rename, so that a reader sees the old or the new one.
pub fn write<T: Serialize>(path: &Path, value: &T) -> anyhow::Result<()> {
    write_bytes(path, &serde_json::to_vec_pretty(value)?)
}

/// Writes a file by rename, readable by its owner alone, and waits until it is on the disk.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let fresh = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)?;
        match path.parent() {
            Some(parent) => std::fs::File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}
