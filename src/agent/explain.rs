//! Every reason why a VM is not agile or not protected: the object, the host, what mends it.

use super::agility::{possible_hosts, sees_network, sees_sr};
use super::capacity::{footprint, host_memory, is_live, is_protected};
use super::ha::waiting;
use super::{Agent, agility};
use crate::pool::Database;
use crate::pool::rows::{Host, Pif, Pool, Sr, Vdi, Vif, Vm};
use crate::xenapi::ha_view::{Explanation, Named, Reason};

/// The name of a row for people.
pub fn named(db: &Database, class: &str, row: &str) -> Named {
    Named {
        uuid: db.text(class, row, "uuid").to_owned(),
        name: db.text(class, row, "name_label").to_owned(),
    }
}

struct Explainer<'a> {
    db: &'a Database,
    vm: Vm<'a>,
    reasons: Vec<Reason>,
}

/// All about one VM.
pub fn explain(agent: &Agent, db: &Database, vm: &Vm<'_>) -> Explanation {
    let mut about = Explainer { db, vm: *vm, reasons: Vec::new() };
    about.devices();
    for vbd in vm.VBDs() {
        about.drive(vbd);
    }
    for vif in vm.VIFs() {
        about.interface(vif);
    }
    about.room(agent);
    about.protection();
    about.now(agent);
    let hosts = possible_hosts(db, vm);
    Explanation {
        vm: named(db, "VM", vm.reference),
        priority: vm.ha_restart_priority().to_owned(),
        protected: is_protected(vm) && Pool::all(db).any(|pool| pool.ha_enabled()),
        agile: agility::assert_agile(db, vm).is_ok(),
        possible_hosts: hosts.iter().map(|host| named(db, "host", host)).collect(),
        reasons: about.reasons,
    }
}

impl<'a> Explainer<'a> {
    fn push(&mut self, (class, row): (&str, &str), host: Option<&str>, why: String, mend: &[&str]) {
        self.reasons.push(Reason {
            class: class.to_owned(),
            object: named(self.db, class, row),
            host: host.map(|host| named(self.db, "host", host)),
            why,
            mend: mend.iter().map(|command| (*command).to_owned()).collect(),
        });
    }

    fn enabled_hosts(&self) -> Vec<Host<'a>> {
        Host::all(self.db).filter(Host::enabled).collect()
    }

    fn uuid(&self, class: &str, row: &str) -> &'a str {
        self.db.text(class, row, "uuid")
    }

    /// Devices that lie in one machine.
    fn devices(&mut self) {
        for vgpu in self.vm.VGPUs() {
            let mend = format!("vgpu-destroy uuid={}", self.uuid("VGPU", vgpu));
            let why = "a virtual GPU ties the VM to hosts that have one".to_owned();
            self.push(("VGPU", vgpu), None, why, &[&mend]);
        }
        for vusb in self.vm.VUSBs() {
            let mend = format!("vusb-destroy uuid={}", self.uuid("VUSB", vusb));
            let why = "a USB device is passed through from one host".to_owned();
            self.push(("VUSB", vusb), None, why, &[&mend]);
        }
        for pci in self.db.set_of("VM", self.vm.reference, "attached_PCIs") {
            let mend = format!(
                "vm-param-remove uuid={} param-name=other-config param-key=pci",
                self.vm.uuid()
            );
            let why = "a PCI device is passed through from one host".to_owned();
            self.push(("PCI", pci), None, why, &[&mend]);
        }
    }

    /// A disk or CD: its storage must be shared and attached to every enabled host.
    fn drive(&mut self, vbd: &'a str) {
        let db = self.db;
        if db.flag("VBD", vbd, "empty") {
            return;
        }
        let Some(vdi) = db.target("VBD", vbd, "VDI") else { return };
        let Some(sr) = Vdi::get(db, vdi).ok().and_then(|row| row.SR()) else { return };
        let Ok(row) = Sr::get(db, sr) else { return };
        if !row.shared() {
            let cd = db.text("VBD", vbd, "type") == "CD";
            let eject = format!("vbd-eject uuid={}", self.uuid("VBD", vbd));
            let copy = match self.shared_sr() {
                Some(other) => {
                    format!("vdi-copy uuid={} sr-uuid={other}", self.uuid("VDI", vdi))
                }
                None => "sr-create type=nfs shared=true name-label=NAME …".to_owned(),
            };
            let what = if cd { "the CD in its drive" } else { "its disk" };
            let why = format!("{what} lies on {}, which one host alone has", row.name_label());
            let mend = if cd { eject } else { copy };
            return self.push(("VBD", vbd), None, why, &[&mend]);
        }
        for host in self.enabled_hosts() {
            if !sees_sr(db, host.reference, sr) {
                self.unplugged_storage(sr, &host);
            }
        }
    }

    fn unplugged_storage(&mut self, sr: &'a str, host: &Host<'a>) {
        let db = self.db;
        let known = |reason: &Reason| {
            reason.object.uuid == db.text("SR", sr, "uuid")
                && reason.host.as_ref().is_some_and(|at| at.uuid == host.uuid())
        };
        if self.reasons.iter().any(known) {
            return;
        }
        let mut pbds = db.set_of("SR", sr, "PBDs").into_iter();
        let pbd = pbds.find(|pbd| db.target("PBD", pbd, "host") == Some(host.reference));
        let mend = match pbd {
            Some(pbd) => format!("pbd-plug uuid={}", self.uuid("PBD", pbd)),
            None => {
                let sr = self.uuid("SR", sr);
                format!("pbd-create sr-uuid={sr} host-uuid={} device-config:…", host.uuid())
            }
        };
        let why = format!("its storage is not attached to {}", host.name_label());
        self.push(("SR", sr), Some(host.reference), why, &[&mend]);
    }

    /// A shared SR that every enabled host has.
    fn shared_sr(&self) -> Option<&'a str> {
        let hosts = self.enabled_hosts();
        let fits = |sr: &Sr<'_>| {
            sr.shared()
                && sr.content_type() != "iso"
                && hosts.iter().all(|host| sees_sr(self.db, host.reference, sr.reference))
        };
        Sr::all(self.db).find(fits).map(|sr| sr.uuid())
    }

    /// A network interface: its network must be on every enabled host.
    fn interface(&mut self, vif: &'a str) {
        let db = self.db;
        let Some(network) = Vif::get(db, vif).ok().and_then(|row| row.network()) else { return };
        let pifs: Vec<Pif<'_>> =
            Pif::all(db).filter(|pif| pif.network() == Some(network)).collect();
        if pifs.is_empty() {
            let mend = [
                format!("vif-move uuid={} network-uuid=UUID", self.uuid("VIF", vif)),
                format!("vif-destroy uuid={}", self.uuid("VIF", vif)),
            ];
            let why = "its network exists inside each host alone".to_owned();
            return self.push(("network", network), None, why, &[&mend[0], &mend[1]]);
        }
        if agility::passes_hardware(db, network) {
            let mend = format!("vif-move uuid={} network-uuid=UUID", self.uuid("VIF", vif));
            let why = "its network passes hardware through (SR-IOV)".to_owned();
            self.push(("network", network), None, why, &[&mend]);
        }
        for host in self.enabled_hosts() {
            let here = |pif: &Pif<'_>| pif.host() == Some(host.reference);
            if sees_network(db, host.reference, network) {
                continue;
            }
            if let Some(pif) = pifs.iter().find(|pif| here(pif) && pif.bond_slave_of().is_none()) {
                let why =
                    format!("the interface of {} on its network is unplugged", host.name_label());
                let mend = format!("pif-plug uuid={}", pif.uuid());
                self.push(("PIF", pif.reference), Some(host.reference), why, &[&mend]);
            } else {
                let why = format!("{} has no interface on its network", host.name_label());
                let vlan = db.int("PIF", pifs[0].reference, "VLAN");
                let mend = match vlan {
                    0.. => format!(
                        "vlan-create pif-uuid=UUID vlan={vlan} network-uuid={}",
                        self.uuid("network", network)
                    ),
                    _ => format!("pif-scan host-uuid={}", host.uuid()),
                };
                self.push(("network", network), Some(host.reference), why, &[&mend]);
            }
        }
    }

    /// A VM that only one host has the memory for cannot be saved from that host.
    fn room(&mut self, agent: &Agent) {
        let size = footprint(&self.vm);
        for host in self.enabled_hosts().into_iter().filter(|host| is_live(self.db, host)) {
            let small = host_memory(self.db, &host, agent.host_memory()).is_ok_and(|m| m < size);
            if small {
                let why = format!("{} is too small for it", host.name_label());
                let mend = format!("vm-memory-limits-set uuid={} …", self.vm.uuid());
                self.push(("VM", self.vm.reference), Some(host.reference), why, &[&mend]);
            }
        }
    }

    /// What keeps it from running, or from being known, at this moment.
    fn now(&mut self, agent: &Agent) {
        let (db, vm) = (self.db, self.vm);
        let on = Pool::all(db).any(|pool| pool.ha_enabled());
        if let Some(why) = waiting::why_down(db, &vm).filter(|_| on && is_protected(&vm)) {
            let mend = format!("diagnostic-vm-status uuid={}", vm.uuid());
            self.push(("VM", vm.reference), None, why, &[&mend]);
        }
        let set = agent.ha.liveset().filter(|_| on);
        if let (Some(set), Some(host)) = (set, vm.resident_on())
            && let Some(why) = waiting::why_unknown(db, &vm, &set)
        {
            let mend = format!("host-declare-dead uuid={}", self.uuid("host", host));
            let why = format!("{why}, and nobody restarts it until the host is declared dead");
            self.push(("VM", vm.reference), Some(host), why, &[&mend]);
        }
    }

    /// What the priority, the power state and the pool have to do with it.
    fn protection(&mut self) {
        let (uuid, itself) = (self.vm.uuid(), ("VM", self.vm.reference));
        let restart = format!("vm-param-set uuid={uuid} ha-restart-priority=restart");
        match self.vm.ha_restart_priority() {
            "restart" => {}
            "best-effort" => {
                let why = "best-effort: one attempt, after the protected VMs, if there is room";
                self.push(itself, None, why.to_owned(), &[&restart]);
            }
            "" => self.push(itself, None, "it has no restart priority".to_owned(), &[&restart]),
            old => {
                let why = format!("its priority {old} is of an old release");
                self.push(itself, None, why, &[&restart]);
            }
        }
        if self.vm.ha_restart_priority() == "restart" && !self.vm.ha_always_run() {
            let (why, mend) = match self.vm.power_state() {
                "Suspended" => ("it is suspended", format!("vm-resume uuid={uuid}")),
                "Halted" => ("somebody shut it down", format!("vm-start uuid={uuid}")),
                _ => ("it is not marked to keep running", restart),
            };
            self.push(itself, None, why.to_owned(), &[&mend]);
        }
        let Some(pool) = Pool::all(self.db).next() else { return };
        if !pool.ha_enabled() {
            let why = "HA is off".to_owned();
            self.push(("pool", pool.reference), None, why, &["pool-ha-enable"]);
        }
        if pool.ha_enabled() && pool.ha_overcommitted() {
            let why = "the pool is overcommitted: not every protected VM would come back";
            self.push(("pool", pool.reference), None, why.to_owned(), &["pool-ha-status"]);
        }
    }
}
