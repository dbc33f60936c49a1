//! The pool as the policy sees it: a few fields of the rows of hosts and VMs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use uuid::Uuid;

use super::{Limits, Tries};
use crate::plan;

/// One boot of one host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Boot {
    /// The host.
    pub host: Uuid,
    /// The kernel's boot id.
    pub boot_id: String,
}

/// A host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// The host and its present boot.
    pub boot: Boot,
    /// Whether VMs may be started there now: in the view, its agent answers.
    pub live: bool,
    /// `host.enabled`.
    pub enabled: bool,
    /// Bytes for all VMs together; what is free follows from the VM rows, so that a recovering VM
    /// is never counted twice.
    pub capacity: u64,
    /// vCPUs that all its VMs together may have; `None` without limit.
    pub vcpus: Option<u64>,
    /// VMs that it may run; `None` without limit.
    pub slots: Option<u64>,
    /// While it is lost: whether failures were tolerated when it failed. What the pool promised
    /// before the failure counts, not what it can promise after it.
    pub promise: Option<bool>,
}

/// The word of [`Host::promise`] in the host's row.
pub fn promise_word(promise: Option<bool>) -> &'static str {
    match promise {
        Some(true) => "guaranteed",
        Some(false) => "nothing",
        None => "",
    }
}

/// What that word means.
pub fn promise_of(word: &str) -> Option<bool> {
    match word {
        "guaranteed" => Some(true),
        "nothing" => Some(false),
        _ => None,
    }
}

/// `VM.power_state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// It runs.
    Running,
    /// It is paused: lost with its host like a running one.
    Paused,
    /// It is off.
    Halted,
    /// Its state lies on storage; HA leaves it there.
    Suspended,
}

/// `VM.ha_restart_priority`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// `restart`.
    Restart,
    /// `best-effort`.
    BestEffort,
    /// The empty string.
    None,
}

/// Which restart a halted VM is owed beyond the level rule; a durable field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// None.
    No,
    /// So many attempts: it was lost with its host.
    Owed(u32),
    /// The attempts were made while nothing was guaranteed; the VM is left off until the pool
    /// tolerates failures again.
    Spent,
}

impl Loss {
    /// The word that the VM's row holds.
    pub fn word(self) -> String {
        match self {
            Loss::No => String::new(),
            Loss::Owed(1) => "once".to_owned(),
            Loss::Owed(attempts) => attempts.to_string(),
            Loss::Spent => "spent".to_owned(),
        }
    }

    /// What a word of a row says; nothing is owed by a word that is not known.
    pub fn of(word: &str) -> Self {
        match word {
            "once" => Loss::Owed(1),
            "spent" => Loss::Spent,
            _ => word.parse().ok().filter(|n| *n > 0).map_or(Loss::No, Loss::Owed),
        }
    }
}

/// An intent row: a start that was decided and has no result yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// Where.
    pub at: Boot,
    /// The run number of the start.
    pub run: u64,
    /// The epoch in which it was decided.
    pub epoch: u64,
    /// Whether this very agent process is executing it now. One that is not ours tells nothing
    /// about the VM until the host was scanned or is dead.
    pub ours: bool,
}

/// A VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vm {
    /// Its uuid.
    pub uuid: Uuid,
    /// `power_state`.
    pub power: Power,
    /// `resident_on` with the boot: where it runs or is paused.
    pub residence: Option<Boot>,
    /// The open intent row.
    pub intent: Option<Intent>,
    /// The number of its last run.
    pub run: u64,
    /// `ha_always_run`.
    pub always_run: bool,
    /// `ha_restart_priority`.
    pub priority: Priority,
    /// What is owed.
    pub loss: Loss,
    /// What earlier attempts came to.
    pub tries: Tries,
    /// `other-config:ha-reboot-on-internal-shutdown`: what is to be done when its guest switches
    /// itself off, if that is not what the pool says.
    pub restart_after_guest_shutdown: Option<bool>,
    /// Whether it is a template or a snapshot; these never start.
    pub template: bool,
    /// `order`: ascending, negative is last.
    pub order: i64,
    /// `start_delay`.
    pub start_delay: Duration,
    /// Bytes that it needs, overhead included.
    pub memory: u64,
    /// Its virtual CPUs.
    pub vcpus: u64,
    /// The hosts that can run it; `None` when all can.
    pub allowed: Option<BTreeSet<Uuid>>,
    /// Its anti-affinity group: spread over hosts where that costs no restart.
    pub group: Option<Uuid>,
}

impl Vm {
    /// Protected: `ha_always_run` and priority `restart`.
    pub fn protected(&self) -> bool {
        self.always_run && self.priority == Priority::Restart && !self.template
    }

    /// Where its memory is taken: its residence, or where it is being started.
    fn occupies(&self) -> Option<Uuid> {
        let intent = self.intent.as_ref().map(|intent| &intent.at);
        self.residence.as_ref().or(intent).map(|boot| boot.host)
    }
}

/// The rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// The master's epoch.
    pub epoch: u64,
    /// All hosts.
    pub hosts: Vec<Host>,
    /// All VMs.
    pub vms: Vec<Vm>,
    /// Boots that are proven dead, or whose lease has ended by a decided view (section 5).
    pub dead: BTreeSet<Boot>,
    /// `ha_plan_exists_for`: how many failures were tolerated before the event.
    pub tolerance: u64,
    /// `ha_reboot_vm_on_internal_shutdown`.
    pub restart_after_guest_shutdown: bool,
    /// How much is done at once, and how often.
    pub limits: Limits,
    /// `ha_prevent_restarts_for`: nothing starts before this time.
    pub hold_until: Duration,
}

impl Pool {
    /// The host's row.
    pub fn host(&self, uuid: Uuid) -> Option<&Host> {
        self.hosts.iter().find(|host| host.boot.host == uuid)
    }

    pub(super) fn host_mut(&mut self, uuid: Uuid) -> Option<&mut Host> {
        self.hosts.iter_mut().find(|host| host.boot.host == uuid)
    }

    /// The VM's row.
    pub fn vm(&self, uuid: Uuid) -> Option<&Vm> {
        self.vms.iter().find(|vm| vm.uuid == uuid)
    }

    pub(super) fn vm_mut(&mut self, uuid: Uuid) -> Option<&mut Vm> {
        self.vms.iter_mut().find(|vm| vm.uuid == uuid)
    }

    /// Whether a VM whose guest has switched itself off is started again.
    pub(super) fn restarts_after_guest_shutdown(&self, vm: &Vm) -> bool {
        vm.restart_after_guest_shutdown.unwrap_or(self.restart_after_guest_shutdown)
    }

    /// The pool as the planner sees it. Hosts that are not live are no targets; a VM that is being
    /// started counts as being there; a VM on a host that left keeps that host's name.
    pub fn problem(&self) -> plan::Problem {
        let groups: BTreeSet<Uuid> = self.vms.iter().filter_map(|vm| vm.group).collect();
        let groups: BTreeMap<Uuid, usize> = groups.into_iter().zip(0..).collect();
        let index = |uuid: Uuid| self.hosts.iter().position(|host| host.boot.host == uuid);
        let host = |host: &Host| {
            let there = || self.vms.iter().filter(|vm| vm.occupies() == Some(host.boot.host));
            let (memory, vcpus) = (there().map(|vm| vm.memory), there().map(|vm| vm.vcpus));
            let left = |most: u64, used: u64| most.saturating_sub(used);
            plan::Host {
                id: host.boot.host.to_string(),
                total: host.capacity,
                free: left(host.capacity, memory.sum()),
                vcpus: host.vcpus.map(|most| left(most, vcpus.sum())),
                slots: host.slots.map(|most| left(most, there().count() as u64)),
                enabled: host.enabled && host.live,
            }
        };
        let vm = |vm: &Vm| plan::Vm {
            id: vm.uuid.to_string(),
            memory: vm.memory,
            vcpus: vm.vcpus,
            host: vm.occupies().and_then(index),
            protected: vm.protected(),
            group: vm.group.and_then(|group| groups.get(&group).copied()),
            allowed: vm
                .allowed
                .as_ref()
                .map(|hosts| hosts.iter().filter_map(|host| index(*host)).collect()),
        };
        plan::Problem {
            hosts: self.hosts.iter().map(host).collect(),
            vms: self.vms.iter().map(vm).collect(),
            ..plan::Problem::default()
        }
    }
}
