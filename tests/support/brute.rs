//! How many hosts a pool may lose, straight from the XML of its dump and by trying everything.
//!
//! Nothing here is shared with the importer or the planner: the rules are stated once more.

use super::xml::{Element, plain};
use std::collections::BTreeMap;

/// A VM that must run again.
#[derive(Debug, Clone)]
pub struct Vm {
    pub label: String,
    pub size: i64,
    pub host: Option<usize>,
    pub allowed: Vec<bool>,
}

/// The pool as far as memory goes.
#[derive(Debug, Clone)]
pub struct Pool {
    pub enabled: Vec<bool>,
    pub free: Vec<i64>,
    pub vms: Vec<Vm>,
}

const NOBODY: &str = "OpaqueRef:NULL";

fn text(row: &Element, name: &str) -> String {
    row.raw(name).map(plain).unwrap_or_default()
}

fn number(row: &Element, name: &str) -> i64 {
    text(row, name).parse().unwrap_or(0)
}

fn is(row: &Element, name: &str) -> bool {
    row.raw(name) == Some("true")
}

fn find<'a>(rows: &'a [Element], reference: &str) -> Option<&'a Element> {
    rows.iter().find(|row| row.raw("ref") == Some(reference))
}

/// Whether the dump says that the VM is restarted: old priorities are numbers.
fn says_restart(vm: &Element) -> bool {
    let priority = text(vm, "ha_restart_priority");
    is(vm, "ha_always_run") && ["0", "1", "2", "3", "restart"].contains(&priority.as_str())
}

/// Whether a row is a machine, not a template, a snapshot or dom0.
pub fn is_machine(vm: &Element) -> bool {
    let no = |name: &str| !is(vm, name);
    no("is_a_template") && no("is_a_snapshot") && no("is_control_domain")
}

fn size(vm: &Element) -> i64 {
    let own =
        if is(vm, "is_control_domain") { "memory__dynamic_max" } else { "memory__static_max" };
    number(vm, own) + number(vm, "memory__overhead")
}

/// The hosts that have the VM's storage and networks.
fn allowed(dump: &Element, vm: &Element, hosts: &[&Element]) -> Vec<bool> {
    let me = vm.raw("ref").unwrap();
    let mine = |row: &&Element| row.raw("VM") == Some(me);
    let srs: Vec<String> = dump
        .table("VBD")
        .iter()
        .filter(mine)
        .filter(|vbd| !is(vbd, "empty"))
        .filter_map(|vbd| find(dump.table("VDI"), vbd.raw("VDI")?))
        .map(|vdi| text(vdi, "SR"))
        .filter(|sr| sr != NOBODY)
        .collect();
    let networks: Vec<String> =
        dump.table("VIF").iter().filter(mine).map(|vif| text(vif, "network")).collect();
    let storage = |host: &str, sr: &String| {
        dump.table("PBD").iter().any(|pbd| {
            let here = pbd.raw("host") == Some(host) && pbd.raw("SR") == Some(sr);
            here && is(pbd, "currently_attached")
        })
    };
    let wired = |host: &str, network: &String| {
        let on: Vec<&Element> = dump
            .table("PIF")
            .iter()
            .filter(|pif| pif.raw("network") == Some(network))
            .filter(|pif| [None, Some(""), Some(NOBODY)].contains(&pif.raw("bond_slave_of")))
            .collect();
        on.is_empty() || on.iter().any(|pif| pif.raw("host") == Some(host))
    };
    let can = |host: &&Element| {
        let host = host.raw("ref").unwrap();
        srs.iter().all(|sr| storage(host, sr)) && networks.iter().all(|net| wired(host, net))
    };
    hosts.iter().map(can).collect()
}

/// A host's memory for VMs; what the user gave goes first.
fn memory(dump: &Element, host: &Element, given: &BTreeMap<String, i64>) -> Option<i64> {
    if let Some(bytes) = given.get(host.raw("uuid").unwrap()) {
        return Some(*bytes);
    }
    let metrics = host.raw("metrics").and_then(|m| find(dump.table("host_metrics"), m));
    let total = metrics.map_or(0, |row| number(row, "memory__total"));
    let usable = match total {
        0 => number(host, "boot_free_mem"),
        total => total - number(host, "memory__overhead"),
    };
    (usable > 0).then_some(usable)
}

impl Pool {
    /// Reads the pool; the error is the uuid of a host whose memory nobody knows. `protect` adds
    /// VMs to those that the dump protects.
    pub fn read(
        dump: &Element,
        given: &BTreeMap<String, i64>,
        protected: impl Fn(&Element, bool) -> bool,
    ) -> Result<Self, String> {
        let live = |host: &&Element| {
            let metrics = host.raw("metrics").and_then(|m| find(dump.table("host_metrics"), m));
            metrics.is_none_or(|row| is(row, "live"))
        };
        let hosts: Vec<&Element> = dump.table("host").iter().filter(live).collect();
        let mut free = Vec::new();
        for host in &hosts {
            let there = |vm: &&Element| {
                let runs = ["Running", "Paused"].contains(&text(vm, "power_state").as_str());
                runs && vm.raw("resident_on") == host.raw("ref")
            };
            let used: i64 = dump.table("VM").iter().filter(there).map(size).sum();
            let all = memory(dump, host, given).ok_or_else(|| text(host, "uuid"))?;
            free.push((all - used).max(0));
        }
        let vms = dump
            .table("VM")
            .iter()
            .filter(|vm| is_machine(vm) && protected(vm, says_restart(vm)))
            .filter(|vm| text(vm, "power_state") != "Suspended")
            .map(|vm| Vm {
                label: text(vm, "name__label"),
                size: size(vm),
                host: match text(vm, "power_state").as_str() {
                    "Running" | "Paused" => {
                        hosts.iter().position(|host| host.raw("ref") == vm.raw("resident_on"))
                    }
                    _ => None,
                },
                allowed: allowed(dump, vm, &hosts),
            })
            .collect();
        let enabled = hosts.iter().map(|host| is(host, "enabled")).collect();
        Ok(Self { enabled, free, vms })
    }

    /// The largest number of hosts whose loss every set of that size survives.
    pub fn max_failures(&self) -> usize {
        let hosts = self.enabled.iter().filter(|enabled| **enabled).count();
        (0..=hosts).take_while(|r| self.survives(*r)).last().unwrap_or(0)
    }

    /// Whether the halted protected VMs can be started so that every set of `r` hosts may fail.
    fn survives(&self, r: usize) -> bool {
        let up = |vm: &Vm| vm.host.is_some_and(|host| self.enabled[host]);
        let waiting: Vec<usize> = (0..self.vms.len()).filter(|vm| !up(&self.vms[*vm])).collect();
        let mut pool = self.clone();
        pool.start(&waiting, r)
    }

    fn start(&mut self, waiting: &[usize], r: usize) -> bool {
        let Some((vm, rest)) = waiting.split_first() else {
            // Smaller sets too: they may leave a host to a VM that few can run, and no room.
            return (0..=r).all(|r| self.sets(r).iter().all(|failed| self.replaced(failed)));
        };
        if self.doomed(&self.vms[*vm], &vec![false; self.free.len()]) {
            return self.start(rest, r);
        }
        let (size, before) = (self.vms[*vm].size, self.vms[*vm].host);
        (0..self.free.len()).any(|host| {
            if !self.enabled[host] || !self.vms[*vm].allowed[host] || self.free[host] < size {
                return false;
            }
            self.free[host] -= size;
            self.vms[*vm].host = Some(host);
            let good = self.start(rest, r);
            self.free[host] += size;
            self.vms[*vm].host = before;
            good
        })
    }

    /// Every set of `r` enabled hosts, as bits.
    fn sets(&self, r: usize) -> Vec<Vec<bool>> {
        (0..1_u32 << self.enabled.len())
            .filter(|bits| bits.count_ones() as usize == r)
            .map(|bits| (0..self.enabled.len()).map(|host| bits >> host & 1 == 1).collect())
            .filter(|set: &Vec<bool>| set.iter().zip(&self.enabled).all(|(lost, up)| !lost || *up))
            .collect()
    }

    /// Whether a VM that only some hosts can run has none of them left: it is named, and costs
    /// the others nothing.
    fn doomed(&self, vm: &Vm, failed: &[bool]) -> bool {
        let left = |host: usize| vm.allowed[host] && self.enabled[host] && !failed[host];
        vm.allowed.contains(&false) && !(0..failed.len()).any(left)
    }

    /// Whether the VMs of the failed hosts fit on the others.
    fn replaced(&self, failed: &[bool]) -> bool {
        let lost = |vm: &&Vm| vm.host.is_some_and(|host| failed[host]);
        let vms: Vec<&Vm> =
            self.vms.iter().filter(lost).filter(|vm| !self.doomed(vm, failed)).collect();
        let room =
            |host: usize| if self.enabled[host] && !failed[host] { self.free[host] } else { -1 };
        fits(&vms, &mut (0..failed.len()).map(room).collect::<Vec<i64>>())
    }
}

fn fits(vms: &[&Vm], room: &mut [i64]) -> bool {
    let Some((vm, rest)) = vms.split_first() else { return true };
    (0..room.len()).any(|host| {
        if !vm.allowed[host] || room[host] < vm.size {
            return false;
        }
        room[host] -= vm.size;
        let good = fits(rest, room);
        room[host] += vm.size;
        good
    })
}
