//! What our hidden methods `xe_…` tell an administrator of HA: JSON texts, one type for both sides.

use serde::{Deserialize, Serialize};

/// An object by its uuid and its name for people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Its uuid.
    pub uuid: String,
    /// Its name-label.
    pub name: String,
}

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = if self.name.is_empty() { &self.uuid } else { &self.name };
        // A name may hold anything; a table and a sentence have one line for it.
        f.write_str(&name.replace(char::is_control, " "))
    }
}

/// Answer of `pool.xe_ha_status`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Whether HA is on.
    pub enabled: bool,
    /// The pool.
    pub pool: Named,
    /// The host that acts for it.
    pub master: Named,
    /// The epoch of the decided view; none without a heartbeat.
    pub epoch: Option<u64>,
    /// How views are decided: by disk or by network.
    pub mode: Option<String>,
    /// Every host.
    pub hosts: Vec<Host>,
    /// The heartbeat volumes.
    pub statefiles: Vec<Statefile>,
    /// The witness, where there is one.
    #[serde(default)]
    pub witness: Option<Witness>,
    /// What follows from T; none while HA is off.
    pub timers: Option<Timers>,
    /// What the pool can lose.
    pub capacity: Capacity,
    /// Running VMs that no failure brings back, with the reason.
    pub unprotected: Vec<Unprotected>,
    /// Protected VMs that do not run, with what they wait for.
    #[serde(default)]
    pub down: Vec<Down>,
    /// VMs of which nobody knows whether they run: their hosts have HA off alone.
    #[serde(default)]
    pub unknown: Vec<Down>,
    /// Whether the heartbeat's figures are older ones: its daemon does not answer now.
    #[serde(default)]
    pub figures_old: bool,
    /// Whether every host has lost the statefiles.
    #[serde(default)]
    pub storage_lost_by_all: bool,
    /// How many copies of the database on shared storage are well, and how many there are.
    #[serde(default)]
    pub copies: Option<(usize, usize)>,
    /// What the master's daemon lacks to keep its times under load; empty when it has all.
    #[serde(default)]
    pub not_real_time: Vec<String>,
    /// For how many more seconds a pause holds restarts back; none when there is no pause.
    pub paused_s: Option<u64>,
}

/// A VM of [`Status`] that does not run as it should.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Down {
    /// The VM.
    pub vm: Named,
    /// Why, and what happens next.
    pub why: String,
}

/// A host of [`Status`]. Bytes are those of running VMs by their priority.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// The host.
    pub host: Named,
    /// `master`, `member`, or how it is out.
    pub state: String,
    /// Whether it takes VMs: it is enabled, and in the view where there is one.
    pub enabled: bool,
    /// Whether it is in maintenance.
    pub maintenance: bool,
    /// Why it is not simply live.
    pub why: Option<String>,
    /// The age of the newest round trip, in milliseconds.
    pub network_age_ms: Option<u64>,
    /// What is left of the network's tolerance after the worst gap of late, in per cent.
    pub network_margin: Option<i64>,
    /// How long its block has stood still, in milliseconds.
    pub disk_age_ms: Option<u64>,
    /// What is left of the disk's tolerance after the worst gap of late, in per cent.
    pub disk_margin: Option<i64>,
    /// The age of the newest packet on each link, in milliseconds.
    pub links_ms: Vec<(u8, u64)>,
    /// Memory for VMs.
    pub memory: u64,
    /// Memory of protected VMs.
    pub restart: u64,
    /// Memory of best-effort VMs.
    pub best_effort: u64,
    /// Memory of VMs without a priority.
    pub unprotected: u64,
    /// Memory that is left.
    pub free: u64,
}

/// A heartbeat volume of [`Status`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statefile {
    /// The VDI.
    pub vdi: String,
    /// Its SR.
    pub sr: Named,
    /// The age of the master's last completed cycle, in milliseconds; none when nobody tells.
    pub age_ms: Option<u64>,
    /// Whether its content counts; none when nobody tells.
    pub trusted: Option<bool>,
    /// The longest cycle that was measured when HA was switched on, in microseconds.
    pub cycle_us: Option<u64>,
}

/// The witness of [`Status`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    /// Where it answers.
    pub address: String,
    /// Whether it does, as the host sees it that tells; none when nobody tells.
    pub answers: Option<bool>,
    /// The age of the newest round trip with it, in milliseconds.
    pub age_ms: Option<u64>,
}

/// What follows from T, in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timers {
    /// T: a host that is cut off is reset this long after its last evidence.
    pub t: u64,
    /// The period of beats and disk cycles.
    pub beat: u64,
    /// The age at which evidence makes its path suspect.
    pub suspect: u64,
    /// When a silent host counts as dead.
    pub dead: u64,
    /// A network disturbance that resets nobody.
    pub bears_network: u64,
    /// A disk disturbance that resets nobody.
    pub bears_disk: u64,
    /// A stall that resets nobody.
    pub bears_stall: u64,
}

/// What the pool can lose.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// How many failures it is configured to survive.
    pub configured: i64,
    /// How many it survives now.
    pub current: i64,
    /// Whether it could survive more than was proved in time.
    pub proved: bool,
    /// Whether overcommitting is allowed.
    pub allow_overcommit: bool,
    /// Whether it survives fewer than configured, or a protected VM cannot be started at all.
    pub overcommitted: bool,
    /// Hosts that cannot fail together on top of what it survives.
    pub breaking_hosts: Vec<Named>,
    /// A VM that finds no place then.
    pub breaking_vm: Option<Named>,
    /// Protected VMs that no other host could run: they are lost with the hosts that can, and are
    /// not counted against what the pool survives.
    pub doomed: Vec<Named>,
    /// How many failures one after the other it is known to survive now.
    pub one_by_one: i64,
}

/// A running VM that is not protected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unprotected {
    /// The VM.
    pub vm: Named,
    /// Where it runs.
    pub host: Named,
    /// Its priority: `best-effort` or nothing.
    pub priority: String,
    /// What keeps it from being protected; empty when only the priority does.
    pub reasons: Vec<String>,
}

/// Answer of `pool.xe_ha_what_if`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhatIf {
    /// What was asked, as a sentence.
    pub question: String,
    /// Whether the operation would be allowed; of a failure: whether every protected VM comes back.
    pub allowed: bool,
    /// The same in words.
    pub verdict: String,
    /// Why it would be refused.
    pub refusal: Option<String>,
    /// Host failures that are survived now.
    pub survives_before: i64,
    /// Host failures that would be survived afterwards.
    pub survives_after: i64,
    /// What would be started or moved, in that order.
    pub steps: Vec<Step>,
    /// What would not come back or could not move.
    pub left: Vec<Left>,
}

/// One start or move.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// When it begins after the recovery does, in milliseconds; starts themselves take no time.
    pub at_ms: u64,
    /// The VM.
    pub vm: Named,
    /// Where it is now.
    pub from: Option<Named>,
    /// Where it goes.
    pub to: Named,
    /// Its restart priority.
    pub priority: String,
    /// Its order.
    pub order: i64,
    /// Its start-delay in seconds.
    pub start_delay: i64,
    /// Its bytes.
    pub memory: u64,
}

/// A VM that would be left.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The VM.
    pub vm: Named,
    /// Its restart priority.
    pub priority: String,
    /// Why.
    pub why: String,
}

/// Answer of `VM.xe_ha_explain`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The VM.
    pub vm: Named,
    /// Its priority.
    pub priority: String,
    /// Whether HA would restart it now.
    pub protected: bool,
    /// Whether every enabled host can run it.
    pub agile: bool,
    /// Hosts that can run it as far as storage, networks and devices go.
    pub possible_hosts: Vec<Named>,
    /// Every reason against it.
    pub reasons: Vec<Reason>,
}

/// One reason why a VM is not agile or not protected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The class of the object: `VBD`, `SR`, `network`, `VM`, …
    pub class: String,
    /// The object.
    pub object: Named,
    /// The host where it is missing; none when it is not about one host.
    pub host: Option<Named>,
    /// What is wrong.
    pub why: String,
    /// The commands that mend it, the likeliest first, each without the leading `xe`.
    pub mend: Vec<String>,
}
