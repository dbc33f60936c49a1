//! What a host may take beyond its memory, by the pool's settings: vCPUs for each of its CPUs and
//! a number of VMs; and which VMs are to stay apart.
//!
//! | key of the pool's `other-config` | meaning |
//! |---|---|
//! | `xe-vcpu-percent` | vCPUs that a host may promise, in percent of its CPUs; no limit without |
//! | `xe-vms-per-host` | VMs that a host may run; no limit without |

use super::capacity::occupies;
use crate::plan::vcpu_room;
use crate::pool::Database;
use crate::pool::rows::{Host, Vm};

/// The limits of every host of a pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    vcpu_percent: Option<u64>,
    vms_per_host: Option<u64>,
}

impl Limits {
    /// What the pool says; a word that is no number limits nothing.
    pub fn of(db: &Database) -> Self {
        let pool = db.table("pool").keys().next();
        let number = |key: &str| db.key("pool", pool?, "other_config", key)?.trim().parse().ok();
        Limits { vcpu_percent: number("xe-vcpu-percent"), vms_per_host: number("xe-vms-per-host") }
    }

    /// The vCPUs that all VMs of a host together may have, and the VMs that it may run.
    pub fn most(&self, db: &Database, host: &Host<'_>) -> (Option<u64>, Option<u64>) {
        let cpus = db.key("host", host.reference, "cpu_info", "cpu_count");
        // A host that does not say how many CPUs it has is not limited by them.
        let cpus = cpus.and_then(|count| count.trim().parse().ok());
        (cpus.and_then(|cpus| vcpu_room(cpus, self.vcpu_percent, 0)), self.vms_per_host)
    }
}

/// The virtual CPUs of a VM.
pub fn vcpus(vm: &Vm<'_>) -> u64 {
    u64::try_from(vm.VCPUs_max()).unwrap_or(0)
}

/// The anti-affinity group of a VM.
pub fn group_apart<'a>(db: &'a Database, vm: &str) -> Option<&'a str> {
    let apart = |group: &&str| db.text("VM_group", group, "placement") == "anti_affinity";
    db.set_of("VM", vm, "groups").into_iter().find(apart)
}

/// The same by its place among all groups.
pub fn group(db: &Database, vm: &Vm<'_>) -> Option<usize> {
    let group = group_apart(db, vm.reference)?;
    db.table("VM_group").keys().position(|known| known == group)
}

/// How many other VMs of a VM's anti-affinity group a host runs or is starting.
pub fn peers(db: &Database, vm: &Vm<'_>, host: &str) -> usize {
    let Some(group) = group_apart(db, vm.reference) else { return 0 };
    let starts_here = |vm: &str| {
        let mut intents = db.table("xe_intent").keys();
        intents.any(|intent| {
            let text = |field: &str| db.text("xe_intent", intent, field);
            (text("VM"), text("host")) == (vm, host)
        })
    };
    let members = db.set_of("VM_group", group, "VMs").into_iter();
    let others = members.filter(|member| *member != vm.reference);
    let there =
        |vm: &Vm<'_>| (occupies(vm) && vm.resident_on() == Some(host)) || starts_here(vm.reference);
    others.filter_map(|member| Vm::get(db, member).ok()).filter(there).count()
}
