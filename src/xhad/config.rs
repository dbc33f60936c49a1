//! What a session is started with.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::host::watchdog::WatchdogConfig;

/// One host of the pool as the heartbeat needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostAddress {
    /// Its UUID.
    pub uuid: Uuid,
    /// Where its beats come from and go to.
    pub address: IpAddr,
}

/// Everything that a session needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartConfig {
    /// The pool's HA session, made anew at each enable.
    pub generation: Uuid,
    /// The session's key, 64 hexadecimal digits, made at enable.
    pub key_hex: String,
    /// This host.
    pub host: Uuid,
    /// The kernel's boot id, a UUID.
    pub boot_id: String,
    /// T in seconds.
    pub timeout_s: u32,
    /// All hosts of the pool, this one included.
    pub hosts: Vec<HostAddress>,
    /// The heartbeat's port at every host.
    #[serde(default = "default_port")]
    pub udp_port: u16,
    /// More addresses of each host, for further links: by host, then by link.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Vec<HostAddress>>,
    /// The statefiles: one, three or five; with a witness also two or four.
    pub statefiles: Vec<PathBuf>,
    /// Where the witness answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witness: Option<std::net::SocketAddr>,
    /// The key of packets to and from the witness, 64 hexadecimal digits: the same in every
    /// session of the pool, so that a witness is set up once.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub witness_key_hex: String,
    /// The program that switches a host's power off, and how long it may take in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence_hook: Option<FenceHook>,
    /// What a host does that loses its place.
    #[serde(default)]
    pub isolation_response: IsolationResponse,
    /// How the VMs of this host are stopped, for `stop-vms`: a command that ends well only when
    /// none is left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop_vms_command: Vec<String>,
    /// The longest disk cycle that was measured at enable, in nanoseconds.
    #[serde(default)]
    pub disk_cycle_ns: u64,
    /// VMs run here that an unarmed session of this boot has left.
    #[serde(default)]
    pub resident: bool,
    /// An earlier session of this boot has ended in order, without VMs.
    #[serde(default)]
    pub fresh: bool,
    /// What resets this host.
    pub watchdog: WatchdogConfig,
    /// The host that view 1 names as master.
    #[serde(default)]
    pub first_master: Option<Uuid>,
    /// Enabling now: view 1 must be decided by all hosts within a time limit. Otherwise this
    /// is the boot of an armed host, which joins or forms by the rules.
    pub form: bool,
    /// How a dead agent is started again; empty: never.
    #[serde(default)]
    pub agent_command: Vec<String>,
    /// The agent's process.
    #[serde(default)]
    pub agent_pid: Option<u32>,
    /// This host's weight when the pool breaks into parts of equal size.
    #[serde(default)]
    pub weight: u32,
    /// Take a T under ten seconds although this daemon may not have real-time priority or locked
    /// memory: a busy machine may then be reset for nothing (lab and tests).
    #[serde(default)]
    pub force_not_real_time: bool,
}

impl Default for StartConfig {
    fn default() -> Self {
        StartConfig {
            generation: Uuid::nil(),
            key_hex: String::new(),
            host: Uuid::nil(),
            boot_id: String::new(),
            timeout_s: 60,
            hosts: Vec::new(),
            udp_port: default_port(),
            links: Vec::new(),
            statefiles: Vec::new(),
            witness: None,
            witness_key_hex: String::new(),
            fence_hook: None,
            isolation_response: IsolationResponse::Fence,
            stop_vms_command: Vec::new(),
            disk_cycle_ns: 0,
            resident: false,
            fresh: false,
            watchdog: WatchdogConfig::None,
            first_master: None,
            form: false,
            agent_command: Vec::new(),
            agent_pid: None,
            weight: 0,
            force_not_real_time: false,
        }
    }
}

/// A program that switches hosts off (R5.3d).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceHook {
    /// The program; it gets the host's UUID and address and ends well when the host is off.
    pub program: PathBuf,
    /// How long it may take, in seconds.
    pub limit_s: u32,
}

/// What a host does that loses its place in the pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IsolationResponse {
    /// It is reset.
    #[default]
    Fence,
    /// It stops its VMs within its lease and stays up; the watchdog stands behind that.
    StopVms,
}

fn default_port() -> u16 {
    694
}
