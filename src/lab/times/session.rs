//! What a heartbeat session is made of: the one place here that knows its formats.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use uuid::Uuid;

use crate::heartbeat::block::Layout;
use crate::heartbeat::{Key, Timing};
use crate::host::watchdog::WatchdogConfig;
use crate::xhad::control::{HostAddress, StartConfig};
use crate::xhad::statefile;

/// The heartbeat's port at every host.
pub const UDP_PORT: u16 = 9694;
/// The watchdog keeper's socket within a host's directory.
pub const KEEPER_SOCKET: &str = "dog";
/// The keeper's record.
pub const KEEPER_RECORD: &str = "dog.jsonl";

/// The smallest statefile that is made, in bytes: what the agent makes on an SR too.
const SMALLEST_FILE: u64 = 4 << 20;

/// A session that every host can be started with.
#[derive(Debug, Clone)]
pub struct Session {
    /// The hosts in the order of their numbers; the first is the first master.
    pub hosts: Vec<HostAddress>,
    /// T in seconds.
    pub timeout_s: u32,
    generation: Uuid,
    key_hex: String,
    statefile: PathBuf,
}

impl Session {
    /// Makes a session of hosts with these addresses, and its statefile in `dir`.
    pub fn prepare(dir: &Path, addresses: &[IpAddr], timeout_s: u32) -> anyhow::Result<Self> {
        let mut uuids: Vec<Uuid> = addresses.iter().map(|_| Uuid::new_v4()).collect();
        uuids.sort();
        // Two random UUIDs are 64 hexadecimal digits: a key for a session that lives for a test.
        let key_hex = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let generation = Uuid::new_v4();
        let statefile = dir.join("statefile");
        let length = Layout { hosts: uuids.len() }.len() as u64;
        let file = std::fs::File::create(&statefile).context("statefile")?;
        file.set_len(length.max(SMALLEST_FILE))?;
        statefile::prepare(&statefile, generation, &Key::from_hex(&key_hex)?, &uuids)?;
        let hosts = uuids.into_iter().zip(addresses);
        let hosts = hosts.map(|(uuid, address)| HostAddress { uuid, address: *address }).collect();
        Ok(Self { hosts, timeout_s, generation, key_hex, statefile })
    }

    /// What the host of that number is started with, its directory being `dir`.
    pub fn config(&self, host: usize, dir: &Path) -> StartConfig {
        StartConfig {
            generation: self.generation,
            key_hex: self.key_hex.clone(),
            host: self.hosts[host].uuid,
            boot_id: Uuid::new_v4().to_string(),
            timeout_s: self.timeout_s,
            hosts: self.hosts.clone(),
            udp_port: UDP_PORT,
            statefiles: vec![self.statefile.clone()],
            watchdog: WatchdogConfig::Exec { socket: dir.join(KEEPER_SOCKET) },
            first_master: Some(self.hosts[0].uuid),
            form: true,
            agent_command: Vec::new(),
            agent_pid: None,
            force_not_real_time: true,
            ..StartConfig::default()
        }
    }

    /// The timers that follow. The watchdog's step only widens the margin, which nothing here
    /// depends on.
    pub fn timing(&self) -> anyhow::Result<Timing> {
        Ok(Timing::new(self.timeout_s, self.hosts.len(), 0, 0)?)
    }
}
