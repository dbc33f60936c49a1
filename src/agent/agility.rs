//! Where a VM can run: what its disks, networks and devices ask of a host.

use super::capacity::{assert_within_limits, footprint, free_memory, is_live};
use super::devices::{self, Device};
use super::maintenance;
use super::new_host::is_booting;
use crate::pool::Database;
use crate::pool::rows::{Host, Pbd, Pif, Sr, Vbd, Vdi, Vif, Vm};
use crate::xenapi::Failure;
use crate::xenapi::failure::Answer;
use std::collections::{BTreeMap, BTreeSet};

/// The SRs that hold the VM's disks, each once.
pub fn needed_srs<'a>(db: &'a Database, vm: &Vm<'a>) -> Vec<&'a str> {
    let mut srs: Vec<&str> = vm
        .VBDs()
        .into_iter()
        .filter_map(|vbd| Vbd::get(db, vbd).ok())
        .filter(|vbd| !vbd.empty())
        .filter_map(|vbd| Vdi::get(db, vbd.VDI()?).ok()?.SR())
        .collect();
    srs.sort_unstable();
    srs.dedup();
    srs
}

/// The networks that the VM is connected to, each once.
pub fn needed_networks<'a>(db: &'a Database, vm: &Vm<'a>) -> Vec<&'a str> {
    let mut networks: Vec<&str> =
        vm.VIFs().into_iter().filter_map(|vif| Vif::get(db, vif).ok()?.network()).collect();
    networks.sort_unstable();
    networks.dedup();
    networks
}

/// Whether a host has an SR attached.
pub fn sees_sr(db: &Database, host: &str, sr: &str) -> bool {
    Pbd::all(db)
        .any(|pbd| pbd.host() == Some(host) && pbd.SR() == Some(sr) && pbd.currently_attached())
}

/// Whether a host can connect VMs to a network: by an interface that is plugged. A network without
/// any interface exists inside each host alone and can be had everywhere.
pub fn sees_network(db: &Database, host: &str, network: &str) -> bool {
    let on = |pif: &Pif<'_>| pif.network() == Some(network) && pif.bond_slave_of().is_none();
    let mut interfaces = Pif::all(db).filter(on).peekable();
    interfaces.peek().is_none()
        || interfaces.any(|pif| pif.host() == Some(host) && pif.currently_attached())
}

/// Whether a network passes hardware of a host through to VMs (SR-IOV).
pub fn passes_hardware(db: &Database, network: &str) -> bool {
    let interfaces = db.set_of("network", network, "PIFs");
    interfaces.iter().any(|pif| !db.set_of("PIF", pif, "sriov_logical_PIF_of").is_empty())
}

/// The hosts whose storage, networks and devices the VM can use, whatever else speaks against them.
pub fn possible_hosts(db: &Database, vm: &Vm<'_>) -> Vec<String> {
    Reach::of(db).hosts(vm, |hosts| hosts.iter().map(|host| (*host).to_owned()).collect())
}

/// What a VM asks of a host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Needs<'a> {
    srs: Vec<&'a str>,
    networks: Vec<&'a str>,
    devices: Vec<Device<'a>>,
}

impl<'a> Needs<'a> {
    /// Of one VM.
    pub fn of(db: &'a Database, vm: &Vm<'a>) -> Self {
        Self {
            srs: needed_srs(db, vm),
            networks: needed_networks(db, vm),
            devices: devices::needed(db, vm),
        }
    }
}

/// Where VMs can run, for many of them: most need the same storage and networks, so the answer
/// for these, `T`, is made once.
pub struct Reach<'a, T> {
    db: &'a Database,
    hosts: Vec<&'a str>,
    /// The hosts that have an SR attached.
    srs: BTreeMap<&'a str, BTreeSet<&'a str>>,
    /// The hosts that have a plugged interface on a network.
    networks: BTreeMap<&'a str, BTreeSet<&'a str>>,
    known: BTreeMap<Needs<'a>, T>,
}

impl<'a, T: Clone> Reach<'a, T> {
    /// What the database says now.
    pub fn of(db: &'a Database) -> Self {
        let (mut srs, mut networks) = (BTreeMap::new(), BTreeMap::new());
        for pbd in Pbd::all(db).filter(Pbd::currently_attached) {
            if let (Some(sr), Some(host)) = (pbd.SR(), pbd.host()) {
                srs.entry(sr).or_insert_with(BTreeSet::new).insert(host);
            }
        }
        for pif in Pif::all(db).filter(|pif| pif.bond_slave_of().is_none()) {
            if let Some(network) = pif.network() {
                let hosts = networks.entry(network).or_insert_with(BTreeSet::new);
                hosts.extend(pif.host().filter(|_| pif.currently_attached()));
            }
        }
        let hosts = Host::all(db).map(|host| host.reference).collect();
        Self { db, hosts, srs, networks, known: BTreeMap::new() }
    }

    /// What is made of the hosts that a VM can run on.
    pub fn hosts(&mut self, vm: &Vm<'a>, make: impl FnOnce(&[&'a str]) -> T) -> T {
        let needs = Needs::of(self.db, vm);
        if let Some(known) = self.known.get(&needs) {
            return known.clone();
        }
        let attached = |sr: &&str, host: &str| self.srs.get(sr).is_some_and(|it| it.contains(host));
        // A network without any interface exists inside each host alone.
        let reached = |network: &&str, host: &str| {
            self.networks.get(network).is_none_or(|hosts| hosts.contains(host))
        };
        let can = |host: &&str| {
            needs.srs.iter().all(|sr| attached(sr, host))
                && needs.networks.iter().all(|network| reached(network, host))
                && needs.devices.iter().all(|device| device.is_on(self.db, host))
        };
        let hosts: Vec<&str> = self.hosts.iter().copied().filter(can).collect();
        let made = make(&hosts);
        self.known.insert(needs, made.clone());
        made
    }
}

/// Refuses a host that has joined the pool and whose agent has not reported yet.
pub fn assert_reported(db: &Database, host: &str) -> Answer<()> {
    if is_booting(db, host) {
        return Err(Failure::new("HOST_STILL_BOOTING", [host, "its agent has not reported yet"]));
    }
    Ok(())
}

/// Refuses when the host cannot start the VM now, with the first reason.
pub fn assert_can_boot_here(
    db: &Database,
    vm: &Vm<'_>,
    host: &str,
    given: &BTreeMap<String, u64>,
) -> Answer<()> {
    let row = Host::get(db, host)?;
    assert_reported(db, host)?;
    if maintenance::is_in(db, host) {
        return Err(Failure::new("HOST_DISABLED", [host, &maintenance::way_out(db, host)]));
    }
    if !row.enabled() {
        return Err(Failure::new("HOST_DISABLED", [host]));
    }
    if !is_live(db, &row) {
        return Err(Failure::bare("HOST_NOT_LIVE"));
    }
    for sr in needed_srs(db, vm) {
        if !sees_sr(db, host, sr) {
            return Err(Failure::new("VM_REQUIRES_SR", [vm.reference, sr]));
        }
    }
    for network in needed_networks(db, vm) {
        if !sees_network(db, host, network) {
            return Err(Failure::new("VM_REQUIRES_NETWORK", [vm.reference, network]));
        }
    }
    if let Some(device) = devices::needed(db, vm).iter().find(|device| !device.is_on(db, host)) {
        return Err(device.lacking(vm.reference));
    }
    assert_room(db, vm, host, given)
}

/// Refuses when the host has not the memory, or not the vCPUs and VMs within the pool's limits.
pub fn assert_room(
    db: &Database,
    vm: &Vm<'_>,
    host: &str,
    given: &BTreeMap<String, u64>,
) -> Answer<()> {
    if vm.resident_on() == Some(host) {
        return Ok(());
    }
    let row = Host::get(db, host)?;
    let (needed, free) = (footprint(vm), free_memory(db, &row, given)?);
    if needed > free {
        let words = [needed.to_string(), free.to_string()];
        return Err(Failure::new("HOST_NOT_ENOUGH_FREE_MEMORY", words));
    }
    assert_within_limits(db, vm, &row)
}

/// Refuses when the VM cannot run on every enabled host, with the first reason.
pub fn assert_agile(db: &Database, vm: &Vm<'_>) -> Answer<()> {
    if !vm.VGPUs().is_empty() {
        return Err(Failure::new("VM_HAS_VGPU", [vm.reference]));
    }
    if !vm.VUSBs().is_empty() {
        return Err(Failure::new("VM_HAS_VUSBS", [vm.reference]));
    }
    if !vm.attached_PCIs().is_empty() {
        return Err(Failure::new("VM_HAS_PCI_ATTACHED", [vm.reference]));
    }
    if needed_networks(db, vm).iter().any(|network| passes_hardware(db, network)) {
        return Err(Failure::new("VM_HAS_SRIOV_VIF", [vm.reference]));
    }
    let enabled = || Host::all(db).filter(Host::enabled);
    for sr in needed_srs(db, vm) {
        let shared = Sr::get(db, sr).is_ok_and(|sr| sr.shared());
        if !shared || !enabled().all(|host| sees_sr(db, host.reference, sr)) {
            return Err(Failure::new("HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED", [sr]));
        }
    }
    for network in needed_networks(db, vm) {
        let anywhere = Pif::all(db).any(|pif| pif.network() == Some(network));
        if !anywhere || !enabled().all(|host| sees_network(db, host.reference, network)) {
            return Err(Failure::new("HA_CONSTRAINT_VIOLATION_NETWORK_NOT_SHARED", [network]));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vm_can_run_where_every_sr_and_network_of_its_is_seen() {
        let agent = crate::agent::in_process::of_two_hosts();
        let db = agent.store.read();
        let mut reach = Reach::of(&db);
        for vm in Vm::all(&db) {
            let sees = |host: &str| {
                needed_srs(&db, &vm).iter().all(|sr| sees_sr(&db, host, sr))
                    && needed_networks(&db, &vm).iter().all(|it| sees_network(&db, host, it))
            };
            let expected: Vec<&str> =
                db.table("host").keys().map(String::as_str).filter(|host| sees(host)).collect();
            assert_eq!(reach.hosts(&vm, <[&str]>::to_vec), expected);
            assert_eq!(possible_hosts(&db, &vm), expected);
        }
        let one = Vm::all(&db).filter(|vm| reach.hosts(vm, <[&str]>::to_vec).len() == 1);
        assert!(one.count() > 0, "some disk is on local storage");
    }
}
