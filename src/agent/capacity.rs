//! The pool as the planner sees it: what hosts have left, what VMs take, where each can run.

use super::Agent;
use super::agility::Reach;
use super::limits::{self, Limits};
use crate::plan::{Host as PlanHost, Problem, Vm as PlanVm};
use crate::pool::Database;
use crate::pool::rows::{Host, Vm};
use crate::xenapi::Failure;
use crate::xenapi::failure::Answer;
use std::collections::{BTreeMap, BTreeSet};

/// A planning problem with the rows that its numbers stand for.
#[derive(Debug, Clone)]
pub struct Capacity {
    /// The problem.
    pub problem: Problem,
    /// The host row of each of its hosts.
    pub hosts: Vec<String>,
    /// The VM row of each of its VMs.
    pub vms: Vec<String>,
}

/// Whether HA restarts a VM: it is meant to run and its priority is `restart`.
pub fn is_protected(vm: &Vm<'_>) -> bool {
    vm.ha_always_run() && vm.ha_restart_priority() == "restart"
}

/// Whether a row of the class VM is a machine that can run: no template, no snapshot, no dom0.
pub fn is_machine(vm: &Vm<'_>) -> bool {
    !vm.is_a_template() && !vm.is_a_snapshot() && !vm.is_control_domain()
}

/// Whether a host answers, as far as the database knows.
pub fn is_live(db: &Database, host: &Host<'_>) -> bool {
    match host.metrics() {
        Some(metrics) if db.row("host_metrics", metrics).is_some() => {
            db.flag("host_metrics", metrics, "live")
        }
        _ => true,
    }
}

/// What a VM takes of its host, in bytes.
pub fn footprint(vm: &Vm<'_>) -> u64 {
    let own = if vm.is_control_domain() { vm.memory_dynamic_max() } else { vm.memory_static_max() };
    u64::try_from(own + vm.memory_overhead()).unwrap_or(0)
}

/// The memory of a host that VMs may use, in bytes.
///
/// `host_metrics.memory_total − host.memory_overhead`; where a dump has no such row,
/// `host.boot_free_mem`; a figure that the user gave goes before both.
pub fn host_memory(db: &Database, host: &Host<'_>, given: &BTreeMap<String, u64>) -> Answer<u64> {
    if let Some(bytes) = given.get(host.uuid()) {
        return Ok(*bytes);
    }
    let total = host.metrics().map_or(0, |m| db.int("host_metrics", m, "memory_total"));
    let usable = if total > 0 { total - host.memory_overhead() } else { host.boot_free_mem() };
    match u64::try_from(usable) {
        Ok(bytes) if bytes > 0 => Ok(bytes),
        _ => Err(Failure::new("XE_HOST_MEMORY_UNKNOWN", [host.uuid(), host.name_label()])),
    }
}

/// The memory of a host that no VM uses, in bytes.
pub fn free_memory(db: &Database, host: &Host<'_>, given: &BTreeMap<String, u64>) -> Answer<u64> {
    let here = takers(db).filter(|(at, _)| *at == host.reference);
    let taken: u64 = here.map(|(_, vm)| footprint(&vm)).sum();
    Ok(host_memory(db, host, given)?.saturating_sub(taken))
}

/// The VMs that take something of a host, with that host: those that are there, and those whose
/// start there is under way.
fn takers(db: &Database) -> impl Iterator<Item = (&str, Vm<'_>)> {
    let there = Vm::all(db).filter(occupies).filter_map(|vm| Some((vm.resident_on()?, vm)));
    let starting = db.table("xe_intent").keys().filter_map(|intent| {
        let host = db.text("xe_intent", intent, "host");
        let vm = Vm::get(db, db.text("xe_intent", intent, "VM")).ok()?;
        (vm.resident_on() != Some(host)).then_some((host, vm))
    });
    there.chain(starting)
}

/// What VMs take of a host.
#[derive(Debug, Clone, Copy, Default)]
struct Taken {
    /// Bytes.
    memory: u64,
    /// vCPUs, and VMs: of machines alone.
    vcpus: u64,
    vms: u64,
}

impl Taken {
    fn by_host(db: &Database) -> BTreeMap<&str, Self> {
        let mut taken = BTreeMap::<&str, Self>::new();
        for (host, vm) in takers(db) {
            let here = taken.entry(host).or_default();
            here.memory += footprint(&vm);
            if is_machine(&vm) {
                here.vcpus += limits::vcpus(&vm);
                here.vms += 1;
            }
        }
        taken
    }
}

/// Whether a VM takes memory of the host that it is on.
pub fn occupies(vm: &Vm<'_>) -> bool {
    matches!(vm.power_state(), "Running" | "Paused")
}

/// The planning problem of the database as it stands.
pub fn capacity(agent: &Agent, db: &Database) -> Answer<Capacity> {
    let given = agent.host_memory();
    // A VM that dies with its host whatever is planned is named, and costs the others nothing.
    let problem = Problem { excuse_doomed: true, ..Problem::default() };
    let mut found = Capacity { problem, hosts: Vec::new(), vms: Vec::new() };
    let (limits, taken) = (Limits::of(db), Taken::by_host(db));
    for host in Host::all(db).filter(|host| is_live(db, host)) {
        let (vcpus, slots) = limits.most(db, &host);
        let taken = taken.get(host.reference).copied().unwrap_or_default();
        let (memory, left) = (host_memory(db, &host, given)?, u64::saturating_sub);
        found.problem.hosts.push(PlanHost {
            id: host.uuid().to_owned(),
            total: memory,
            free: left(memory, taken.memory),
            vcpus: vcpus.map(|most| left(most, taken.vcpus)),
            slots: slots.map(|most| left(most, taken.vms)),
            enabled: host.enabled(),
        });
        found.hosts.push(host.reference.to_owned());
    }
    let index: BTreeMap<String, usize> = found.hosts.iter().cloned().zip(0..).collect();
    let mut reach = Reach::of(db);
    for vm in Vm::all(db).filter(is_machine) {
        let place = vm.resident_on().filter(|_| occupies(&vm));
        if place.is_none() && !is_protected(&vm) {
            continue;
        }
        // A suspended VM is left as it is: its image waits on the SR.
        if vm.power_state() == "Suspended" {
            continue;
        }
        let host = place.and_then(|host| index.get(host).copied());
        found.put(db, &vm, (host, is_protected(&vm)), &mut reach);
    }
    Ok(found)
}

impl Capacity {
    /// Adds a VM as it stands in the database; gives its index.
    pub fn add(
        &mut self,
        db: &Database,
        vm: &Vm<'_>,
        host: Option<usize>,
        protected: bool,
    ) -> usize {
        self.put(db, vm, (host, protected), &mut Reach::of(db))
    }

    /// The same where many are added: the hosts of VMs with the same needs are looked up once.
    fn put<'a>(
        &mut self,
        db: &'a Database,
        vm: &Vm<'a>,
        (host, protected): (Option<usize>, bool),
        reach: &mut Reach<'a, Option<BTreeSet<usize>>>,
    ) -> usize {
        let allowed = reach.hosts(vm, |hosts| {
            let may = |at: &usize| hosts.contains(&self.hosts[*at].as_str());
            let may: BTreeSet<usize> = (0..self.hosts.len()).filter(may).collect();
            (may.len() < self.hosts.len()).then_some(may)
        });
        self.problem.vms.push(PlanVm {
            id: vm.uuid().to_owned(),
            memory: footprint(vm),
            vcpus: limits::vcpus(vm),
            host,
            protected,
            allowed,
            group: limits::group(db, vm),
        });
        self.vms.push(vm.reference.to_owned());
        self.vms.len() - 1
    }
}
