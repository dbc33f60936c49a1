//! Where a VM can run: what its disks, networks and devices ask of a host.

use super::capacity::{footprint, free_memory, is_live};
use crate::pool::Database;
use crate::pool::rows::{Host, Pbd, Pif, Sr, Vbd, Vdi, Vif, Vm};
use crate::xenapi::Failure;
use crate::xenapi::failure::Answer;
use std::collections::BTreeMap;

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

/// Whether a host can connect VMs to a network. A network without any interface exists inside each
/// host alone and can be had everywhere.
pub fn sees_network(db: &Database, host: &str, network: &str) -> bool {
    let on = |pif: &Pif<'_>| pif.network() == Some(network) && pif.bond_slave_of().is_none();
    let mut interfaces = Pif::all(db).filter(on).peekable();
    interfaces.peek().is_none() || interfaces.any(|pif| pif.host() == Some(host))
}

/// The hosts whose storage and networks the VM can use, whatever else speaks against them.
pub fn possible_hosts(db: &Database, vm: &Vm<'_>) -> Vec<String> {
    let (srs, networks) = (needed_srs(db, vm), needed_networks(db, vm));
    Host::all(db)
        .map(|host| host.reference)
        .filter(|host| srs.iter().all(|sr| sees_sr(db, host, sr)))
        .filter(|host| networks.iter().all(|network| sees_network(db, host, network)))
        .map(str::to_owned)
        .collect()
}

/// Refuses when the host cannot start the VM now, with the first reason.
pub fn assert_can_boot_here(
    db: &Database,
    vm: &Vm<'_>,
    host: &str,
    given: &BTreeMap<String, u64>,
) -> Answer<()> {
    let row = Host::get(db, host)?;
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
    let (needed, free) = (footprint(vm), free_memory(db, &row, given)?);
    if vm.resident_on() != Some(host) && needed > free {
        let words = [needed.to_string(), free.to_string()];
        return Err(Failure::new("HOST_NOT_ENOUGH_FREE_MEMORY", words));
    }
    Ok(())
}

/// Refuses when the VM cannot run on every enabled host, with the first reason.
pub fn assert_agile(db: &Database, vm: &Vm<'_>) -> Answer<()> {
    if !vm.VGPUs().is_empty() {
        return Err(Failure::new("VM_HAS_VGPU", [vm.reference]));
    }
    if !vm.VUSBs().is_empty() {
        return Err(Failure::new("VM_HAS_VUSBS", [vm.reference]));
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
