//! The pool as the planner sees it: what hosts have left, what VMs take, where each can run.

use super::Agent;
use super::agility::{Needs, Reach};
use super::limits::{self, Limits};
use crate::host::clock::boottime_ns;
use crate::plan::{Budget, Change, Host as PlanHost, Problem, TimeLimit, Vm as PlanVm};
use crate::pool::Database;
use crate::pool::rows::{Host, Vm};
use crate::xenapi::Failure;
use crate::xenapi::failure::Answer;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A planning problem with the rows that its numbers stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capacity {
    /// The problem; VMs that neither run nor are protected stand in it for what may become of them.
    pub problem: Problem,
    /// The host row of each of its hosts, ascending.
    pub hosts: Vec<String>,
    /// The VM row of each of its VMs, ascending.
    pub vms: Vec<String>,
    /// What the VMs that are there take of each host row.
    taken: BTreeMap<String, Taken>,
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

/// What VMs take of one host.
fn taken_of(db: &Database, host: &Host<'_>) -> Taken {
    let there = host.resident_VMs().into_iter().filter_map(|vm| Vm::get(db, vm).ok());
    let coming = starting(db).filter(|(at, _)| *at == host.reference).map(|(_, vm)| vm);
    let mut taken = Taken::default();
    there.filter(occupies).chain(coming).for_each(|vm| taken.add(Taken::by(&vm)));
    taken
}

/// The memory of a host that no VM uses, in bytes.
pub fn free_memory(db: &Database, host: &Host<'_>, given: &BTreeMap<String, u64>) -> Answer<u64> {
    Ok(host_memory(db, host, given)?.saturating_sub(taken_of(db, host).memory))
}

/// Refuses a VM that is more than the pool's limits let a host run.
pub fn assert_within_limits(db: &Database, vm: &Vm<'_>, host: &Host<'_>) -> Answer<()> {
    let (vcpus, slots) = Limits::of(db).most(db, host);
    if vcpus.is_none() && slots.is_none() {
        return Ok(());
    }
    let taken = taken_of(db, host);
    if let Some(most) = slots.filter(|most| taken.vms >= *most) {
        return Err(Failure::new("XE_HOST_VM_LIMIT", [&most.to_string(), vm.reference]));
    }
    let (needed, left) = (limits::vcpus(vm), vcpus.map(|most| most.saturating_sub(taken.vcpus)));
    match left.filter(|left| needed > *left) {
        Some(left) => {
            Err(Failure::new("HOST_NOT_ENOUGH_PCPUS", [needed.to_string(), left.to_string()]))
        }
        None => Ok(()),
    }
}

/// The VMs whose start on a host is under way, with that host.
fn starting(db: &Database) -> impl Iterator<Item = (&str, Vm<'_>)> {
    db.table("xe_intent").keys().filter_map(|intent| {
        let host = db.text("xe_intent", intent, "host");
        let vm = Vm::get(db, db.text("xe_intent", intent, "VM")).ok()?;
        (vm.resident_on() != Some(host)).then_some((host, vm))
    })
}

/// The hosts on which VMs are being started, by VM.
struct Starts<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Starts<'a> {
    fn of(db: &'a Database) -> Self {
        Self(starting(db).map(|(host, vm)| (vm.reference, host)).collect())
    }
}

/// The host of a VM that takes something of it.
fn home<'a>(vm: &Vm<'a>) -> Option<&'a str> {
    vm.resident_on().filter(|_| occupies(vm))
}

/// What VMs take of a host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Taken {
    /// Bytes.
    memory: u64,
    /// vCPUs, and VMs: of machines alone.
    vcpus: u64,
    vms: u64,
}

impl Taken {
    fn by(vm: &Vm<'_>) -> Self {
        let machine = is_machine(vm);
        let vcpus = if machine { limits::vcpus(vm) } else { 0 };
        Self { memory: footprint(vm), vcpus, vms: u64::from(machine) }
    }

    fn add(&mut self, other: Self) {
        self.memory += other.memory;
        self.vcpus += other.vcpus;
        self.vms += other.vms;
    }

    fn remove(&mut self, other: Self) {
        self.memory -= other.memory;
        self.vcpus -= other.vcpus;
        self.vms -= other.vms;
    }
}

/// Whether a VM takes memory of the host that it is on.
pub fn occupies(vm: &Vm<'_>) -> bool {
    matches!(vm.power_state(), "Running" | "Paused")
}

/// What an answer of the planner may cost a caller: steps of about a second, and no more than a
/// second on a slow machine either.
pub fn budget() -> Budget {
    let time = TimeLimit { now: boottime_ns, most: 1_000_000_000 };
    Budget { time: Some(time), ..Budget::default() }
}

/// The planning problem of the database as it stands.
pub fn capacity(agent: &Agent, db: &Database) -> Answer<Capacity> {
    agent.abreast.ask(db, agent.host_memory(), Capacity::clone)
}

/// Whether a VM will be protected once its start is over.
fn comes_protected(vm: &Vm<'_>, starts: &Starts<'_>) -> bool {
    vm.ha_restart_priority() == "restart" && starts.0.contains_key(vm.reference)
}

impl Capacity {
    /// Built from the rows; `given` is the memory of hosts that a user gave.
    pub fn of(db: &Database, given: &BTreeMap<String, u64>) -> Answer<Self> {
        // A VM that dies with its host whatever is planned is named, and costs the others nothing.
        let problem = Problem { excuse_doomed: true, ..Problem::default() };
        let taken = BTreeMap::new();
        let mut found = Capacity { problem, hosts: Vec::new(), vms: Vec::new(), taken };
        for vm in Vm::all(db) {
            if let Some(host) = home(&vm) {
                found.taken.entry(host.to_owned()).or_default().add(Taken::by(&vm));
            }
        }
        (found.hosts, found.problem.hosts) = found.rooms(db, given)?.into_iter().unzip();
        let mut reach = Reach::of(db);
        let starts = Starts::of(db);
        for vm in Vm::all(db).filter(is_machine) {
            let allowed = reach.hosts(&vm, |hosts| {
                let may = |at: &usize| hosts.contains(&found.hosts[*at].as_str());
                let may: BTreeSet<usize> = (0..found.hosts.len()).filter(may).collect();
                (may.len() < found.hosts.len()).then_some(may)
            });
            found.problem.vms.push(found.machine(db, &vm, &starts, allowed));
            found.vms.push(vm.reference.to_owned());
        }
        Ok(found)
    }

    /// The hosts that answer, with what they have left.
    fn rooms(
        &self,
        db: &Database,
        given: &BTreeMap<String, u64>,
    ) -> Answer<Vec<(String, PlanHost)>> {
        let mut starts = BTreeMap::<&str, Taken>::new();
        starting(db).for_each(|(host, vm)| starts.entry(host).or_default().add(Taken::by(&vm)));
        let limits = Limits::of(db);
        let room = |host: Host<'_>| {
            let mut taken = self.taken.get(host.reference).copied().unwrap_or_default();
            taken.add(starts.get(host.reference).copied().unwrap_or_default());
            let (vcpus, slots) = limits.most(db, &host);
            let (memory, left) = (host_memory(db, &host, given)?, u64::saturating_sub);
            let room = PlanHost {
                id: host.uuid().to_owned(),
                total: memory,
                free: left(memory, taken.memory),
                vcpus: vcpus.map(|most| left(most, taken.vcpus)),
                slots: slots.map(|most| left(most, taken.vms)),
                enabled: host.enabled(),
            };
            Ok((host.reference.to_owned(), room))
        };
        Host::all(db).filter(|host| is_live(db, host)).map(room).collect()
    }

    fn machine(
        &self,
        db: &Database,
        vm: &Vm<'_>,
        starts: &Starts<'_>,
        allowed: Option<BTreeSet<usize>>,
    ) -> PlanVm {
        // One that is being started or moved has its place: to plan another one would count it
        // twice (S82).
        let starting = starts.0.get(vm.reference).and_then(|host| self.host(host));
        PlanVm {
            id: vm.uuid().to_owned(),
            memory: footprint(vm),
            vcpus: limits::vcpus(vm),
            host: starting.or_else(|| self.host(home(vm)?)),
            // A suspended VM is left as it is: its image waits on the SR.
            protected: (is_protected(vm) || comes_protected(vm, starts))
                && vm.power_state() != "Suspended",
            allowed,
            group: limits::group(db, vm),
        }
    }

    /// The problem with these changes.
    pub fn apply(&mut self, changes: Vec<Change>) {
        for change in changes {
            self.problem.set(change);
        }
    }

    /// The host of the problem that a row stands for.
    pub fn host(&self, row: &str) -> Option<usize> {
        self.hosts.binary_search_by(|known| known.as_str().cmp(row)).ok()
    }

    /// The same of a VM.
    pub fn vm(&self, row: &str) -> Option<usize> {
        self.vms.binary_search_by(|known| known.as_str().cmp(row)).ok()
    }

    /// Goes from the rows of which it was made to other ones; gives what that changes of the
    /// problem, or nothing when only building it anew is sure to be right.
    pub fn follow(
        &mut self,
        (old, new): (&Database, &Database),
        given: &BTreeMap<String, u64>,
    ) -> Answer<Option<Vec<Change>>> {
        let Some(mut rows) = changed(old, new, "VM").filter(|_| lies_still(old, new)) else {
            return Ok(None);
        };
        let (began, starts) = (Starts::of(old), Starts::of(new));
        let differ = |vm: &&str| began.0.get(vm) != starts.0.get(vm);
        rows.extend(began.0.keys().chain(starts.0.keys()).copied().filter(differ));
        rows.sort_unstable();
        rows.dedup();
        let mut changes = Vec::new();
        for row in rows {
            let (was, is) = (Vm::get(old, row)?, Vm::get(new, row)?);
            if is_machine(&was) != is_machine(&is) || Needs::of(old, &was) != Needs::of(new, &is) {
                return Ok(None);
            }
            if let Some(host) = home(&was) {
                self.taken.entry(host.to_owned()).or_default().remove(Taken::by(&was));
            }
            if let Some(host) = home(&is) {
                self.taken.entry(host.to_owned()).or_default().add(Taken::by(&is));
            }
            if let Some(at) = self.vm(row) {
                let known = &self.problem.vms[at];
                let vm = self.machine(new, &is, &starts, known.allowed.clone());
                if vm != *known {
                    changes.push(Change::Vm(at, vm));
                }
            }
        }
        self.taken.retain(|_, taken| *taken != Taken::default());
        let (hosts, rooms): (Vec<_>, Vec<_>) = self.rooms(new, given)?.into_iter().unzip();
        if hosts != self.hosts {
            return Ok(None);
        }
        let rooms = rooms.into_iter().enumerate();
        let differs = |(at, room): &(usize, PlanHost)| *room != self.problem.hosts[*at];
        changes.extend(rooms.filter(differs).map(|(at, room)| Change::Host(at, room)));
        self.apply(changes.clone());
        Ok(Some(changes))
    }
}

/// What the problem takes from rows of other classes than VMs and hosts. It hardly ever changes;
/// when it does, everything is built anew.
const READ: [(&str, &[&str]); 11] = [
    ("PBD", &["host", "SR", "currently_attached"]),
    ("PIF", &["host", "network", "bond_slave_of", "currently_attached"]),
    ("VBD", &["empty", "VDI"]),
    ("VDI", &["SR"]),
    ("VIF", &["network"]),
    ("VM_group", &["placement"]),
    ("VGPU", &["GPU_group", "type"]),
    ("PGPU", &["GPU_group", "host", "enabled_VGPU_types"]),
    ("VUSB", &["USB_group"]),
    ("PUSB", &["USB_group", "host"]),
    ("PCI", &["host"]),
];

/// Whether nothing of that differs.
fn lies_still(old: &Database, new: &Database) -> bool {
    READ.iter().all(|(class, fields)| {
        let same = |row: &&str| {
            fields.iter().all(|field| old.get(class, row, field) == new.get(class, row, field))
        };
        changed(old, new, class).is_some_and(|rows| rows.iter().all(same))
    })
}

/// The rows of a class that are not the very same; nothing when rows came or went.
fn changed<'a>(old: &Database, new: &'a Database, class: &str) -> Option<Vec<&'a str>> {
    let (old, new) = (old.table(class), new.table(class));
    if std::ptr::eq(old, new) {
        return Some(Vec::new());
    }
    let mut changed = Vec::new();
    for ((was, before), (is, now)) in old.iter().zip(new) {
        if Arc::ptr_eq(before, now) {
            continue;
        }
        if was != is {
            return None;
        }
        changed.push(is.as_str());
    }
    (old.len() == new.len()).then_some(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::in_process;
    use crate::pool::Transaction;
    use crate::xenapi::Value;

    #[test]
    fn a_vm_that_is_being_moved_is_counted_where_it_goes_and_not_once_more() {
        let mut db = in_process::of_two_hosts().store.read().as_ref().clone();
        let mut tx = Transaction::over(&db);
        let (from, to) = ("OpaqueRef:host-anna", "OpaqueRef:host-bert");
        let move_ = [("VM", "OpaqueRef:vm11"), ("host", to)];
        tx.create("xe_intent", "OpaqueRef:i", move_.map(|(field, row)| (field, Value::from(row))));
        tx.set("host", from, "enabled", false);
        db.apply(&tx.into_changes());
        let found = Capacity::of(&db, &BTreeMap::new()).unwrap();
        let vm = found.vm("OpaqueRef:vm11").unwrap();
        assert_eq!(found.problem.vms[vm].host, found.host(to), "it waits for no place");
    }
}
