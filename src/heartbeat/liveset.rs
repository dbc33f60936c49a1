//! What the rest of the system may know of the protocol's state.

use core::net::IpAddr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::view::{Mode, Proof};

/// Where a daemon stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Nothing runs.
    Off,
    /// Reads the statefile, or forms view 1.
    Starting,
    /// Armed, and asks to be admitted.
    Waiting,
    /// Armed and a member of the decided view.
    Armed,
    /// Not armed any more, after a decided "off", a clean leave or an emergency disable.
    Disarmed,
    /// This host is about to be reset.
    Fencing,
}

/// How a host looks from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Liveness {
    /// A member with fresh evidence on both paths.
    Live,
    /// A member with evidence that grows old on one path.
    Suspect,
    /// A member that its block shows alive and that no member reaches by packets.
    Isolated,
    /// A member that some members reach by packets and others do not.
    Partitioned,
    /// Silent on both paths, or out of the view and not yet known to be dead.
    Failed,
    /// Out of the view and dead, or about to be reset.
    Fenced,
    /// Left cleanly.
    Excluded,
    /// Out of the view and asking to be admitted, or waiting for clean paths after several
    /// fences in a row.
    Waiting,
    /// Left cleanly and set into maintenance by the administrator; the agent knows that.
    Maintenance,
}

/// One host of the pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostStatus {
    /// Its UUID.
    pub uuid: Uuid,
    /// Where its beats come from.
    pub address: IpAddr,
    /// How it looks from here.
    pub liveness: Liveness,
    /// The kernel's boot id of its newest known life.
    pub boot_id: Option<String>,
    /// Whether its watchdog runs, as far as known.
    pub armed: bool,
    /// The age of the newest round trip with it, in milliseconds.
    pub network_age_ms: Option<u64>,
    /// How long its block has stood still, in milliseconds.
    pub disk_age_ms: Option<u64>,
    /// Why it is not simply live: which path, or how it is known to be dead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The age of its newest packet on each link over which it was heard, in milliseconds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links_ms: Vec<(u8, u64)>,
    /// The longest gap of late between round trips, as a share of S (1.0 = suspect).
    pub worst_gap_share: f64,
    /// The longest gap of late between its completed disk cycles, as a share of S.
    #[serde(default)]
    pub worst_disk_gap_share: f64,
    /// Whether it waits because it was fenced several times in a row (R7.4).
    #[serde(default)]
    pub braked: bool,
}

#[cfg(test)]
impl HostStatus {
    /// A host that is well, at an address that ends like its UUID.
    pub(crate) fn live(uuid: Uuid) -> Self {
        HostStatus {
            uuid,
            address: IpAddr::from([10, 0, 0, uuid.as_bytes()[15]]),
            liveness: Liveness::Live,
            boot_id: None,
            armed: true,
            network_age_ms: None,
            disk_age_ms: None,
            why: None,
            links_ms: Vec::new(),
            worst_gap_share: 0.0,
            worst_disk_gap_share: 0.0,
            braked: false,
        }
    }
}

/// How well this host uses one of its paths, of late.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct PathStatus {
    /// How long the newest round trip or disk cycle took, in milliseconds.
    pub latest_ms: Option<u64>,
    /// How long the longest took.
    pub longest_ms: Option<u64>,
    /// How long the shortest took.
    pub shortest_ms: Option<u64>,
    /// The longest gap between two of them, as a share of S (1.0 = suspect).
    pub worst_gap_share: f64,
    /// The longest of them, as a share of S.
    pub worst_latency_share: f64,
}

/// One statefile as this host sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatefileStatus {
    /// The age of the last completed cycle, in milliseconds.
    pub age_ms: Option<u64>,
    /// Whether its content counts: trusted by the view, and not seen going back in time.
    pub trusted: bool,
}

/// The witness as this host sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WitnessStatus {
    /// The age of the last round trip, in milliseconds.
    pub age_ms: Option<u64>,
}

/// A life whose VMs may be restarted elsewhere (section 5 of the rules).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadBoot {
    /// The host.
    pub host: Uuid,
    /// The kernel's boot id that is dead.
    pub boot_id: String,
    /// When this host knew, CLOCK_BOOTTIME in nanoseconds.
    pub since_ns: u64,
    /// How it is known.
    pub reason: Proof,
}

/// Something that happened, with its evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, CLOCK_BOOTTIME in nanoseconds.
    pub t_ns: u64,
    /// What, as a fixed word.
    pub event: String,
    /// Why, as a sentence with the evidence.
    pub why: String,
    /// The host that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Uuid>,
    /// The epoch of the decided view at that time.
    pub epoch: u64,
}

/// The state of the pool's living set as this host sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Liveset {
    /// Where this daemon stands.
    pub phase: Phase,
    /// The epoch of the newest decided view, zero when there is none.
    pub epoch: u64,
    /// How views are decided now.
    pub mode: Option<Mode>,
    /// The members of the newest decided view.
    pub members: Vec<Uuid>,
    /// The master that it names.
    pub master: Option<Uuid>,
    /// This host.
    pub me: Option<Uuid>,
    /// Whether this host is that master.
    pub is_master: bool,
    /// Whether the master may act here and now (R6.1 and the lease).
    pub may_act: bool,
    /// Until when it may, CLOCK_BOOTTIME in nanoseconds; zero when it may not.
    pub act_until_ns: u64,
    /// Whether this host completes disk cycles.
    pub statefile_ok: bool,
    /// Whether every member says that it has lost the disk (R8.1).
    pub storage_lost_by_all: bool,
    /// Each statefile.
    #[serde(default)]
    pub statefiles: Vec<StatefileStatus>,
    /// The witness, where there is one.
    #[serde(default)]
    pub witness: Option<WitnessStatus>,
    /// Round trips with the other hosts.
    #[serde(default)]
    pub network: PathStatus,
    /// Disk cycles.
    #[serde(default)]
    pub statefile: PathStatus,
    /// The last that the history tells of an armed session which ended with an earlier boot: why
    /// this host was fenced, unless its watchdog or a lost power came without a word.
    #[serde(default)]
    pub last_end: Option<Event>,
    /// What the daemon lacks to keep its times under load; empty when it has all.
    #[serde(default)]
    pub not_real_time: Vec<String>,
    /// The longest time of late by which the daemon woke up too late, in milliseconds.
    #[serde(default)]
    pub worst_wake_ms: u64,
    /// T in seconds, zero when nothing runs.
    pub timeout_s: u32,
    /// Every host of the pool.
    pub hosts: Vec<HostStatus>,
    /// Lives whose VMs may be restarted.
    pub dead: Vec<DeadBoot>,
    /// Hosts out of the view that nothing proves dead.
    pub unknown: Vec<Uuid>,
    /// The latest events, oldest first.
    pub events: Vec<Event>,
}

impl Liveset {
    /// The state of a daemon in which nothing runs.
    pub fn off() -> Self {
        Liveset {
            phase: Phase::Off,
            epoch: 0,
            mode: None,
            members: Vec::new(),
            master: None,
            me: None,
            is_master: false,
            may_act: false,
            act_until_ns: 0,
            statefile_ok: false,
            storage_lost_by_all: false,
            statefiles: Vec::new(),
            witness: None,
            network: PathStatus::default(),
            statefile: PathStatus::default(),
            last_end: None,
            not_real_time: Vec::new(),
            worst_wake_ms: 0,
            timeout_s: 0,
            hosts: Vec::new(),
            dead: Vec::new(),
            unknown: Vec::new(),
            events: Vec::new(),
        }
    }
}
