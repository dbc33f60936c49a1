//! Devices of single machines: which hosts have what a VM's virtual GPU, USB device or
//! passed-through PCI device asks for.

use crate::pool::Database;
use crate::pool::rows::Vm;
use crate::xenapi::{Failure, NULL_REF};

/// Something that a VM needs and that some hosts alone have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Device<'a> {
    /// A graphics card of a group; of a kind that the card offers, where both say which.
    Gpu {
        /// The group, if the row names one.
        group: Option<&'a str>,
        /// The VGPU_type.
        kind: Option<&'a str>,
    },
    /// A USB device of a group.
    Usb(Option<&'a str>),
    /// This very PCI device.
    Pci(&'a str),
}

/// What the VM needs, each once.
pub fn needed<'a>(db: &'a Database, vm: &Vm<'a>) -> Vec<Device<'a>> {
    let gpus = vm.VGPUs().into_iter().map(|vgpu| Device::Gpu {
        group: db.target("VGPU", vgpu, "GPU_group"),
        kind: db.target("VGPU", vgpu, "type"),
    });
    let usbs = vm.VUSBs().into_iter().map(|vusb| Device::Usb(db.target("VUSB", vusb, "USB_group")));
    let pcis = vm.attached_PCIs().into_iter().map(Device::Pci);
    let mut devices: Vec<Device<'_>> = gpus.chain(usbs).chain(pcis).collect();
    devices.sort_unstable();
    devices.dedup();
    devices
}

impl<'a> Device<'a> {
    /// Whether a host has one, free or not.
    pub fn is_on(&self, db: &'a Database, host: &str) -> bool {
        let here = |class: &str, row: &str| db.target(class, row, "host") == Some(host);
        let of = |class: &str, group: Option<&'a str>, field: &str| {
            group.map(|group| db.set_of(class, group, field)).unwrap_or_default()
        };
        match *self {
            Self::Gpu { group, kind } => of("GPU_group", group, "PGPUs").into_iter().any(|pgpu| {
                let kinds = db.set_of("PGPU", pgpu, "enabled_VGPU_types");
                let offers = |kind: &str| kinds.is_empty() || kinds.contains(&kind);
                here("PGPU", pgpu) && kind.is_none_or(offers)
            }),
            Self::Usb(group) => {
                of("USB_group", group, "PUSBs").into_iter().any(|pusb| here("PUSB", pusb))
            }
            Self::Pci(device) => here("PCI", device),
        }
    }

    /// Why a VM cannot run on a host without it.
    pub fn lacking(&self, vm: &str) -> Failure {
        match self {
            Self::Gpu { group, .. } => {
                Failure::new("VM_REQUIRES_GPU", [vm, group.unwrap_or(NULL_REF)])
            }
            Self::Usb(group) => Failure::new("VM_REQUIRES_VUSB", [vm, group.unwrap_or(NULL_REF)]),
            Self::Pci(_) => Failure::new("VM_HAS_PCI_ATTACHED", [vm]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::agility::{assert_agile, assert_can_boot_here, possible_hosts};
    use crate::agent::capacity::Capacity;
    use crate::plan::max_failures;
    use crate::pool::Transaction;
    use crate::xenapi::Value;
    use std::collections::BTreeMap;

    const ANNA: &str = "OpaqueRef:host-anna";
    const BERT: &str = "OpaqueRef:host-bert";
    const VM: &str = "OpaqueRef:vm11";

    /// A pool whose VM 11 was given a device.
    fn with(give: impl FnOnce(&mut Transaction)) -> Database {
        let mut db = (*crate::agent::in_process::of_two_hosts().store.read()).clone();
        let mut tx = Transaction::over(&db);
        give(&mut tx);
        let changes = tx.into_changes();
        db.apply(&changes);
        db
    }

    fn row(fields: &[(&'static str, &str)]) -> Vec<(&'static str, Value)> {
        fields.iter().map(|(field, value)| (*field, Value::from(*value))).collect()
    }

    /// Where VM 11 can run, why it is not agile, and why it cannot boot on bert.
    fn told(db: &Database) -> (Vec<String>, String, String) {
        let vm = Vm::get(db, VM).unwrap();
        let boot = assert_can_boot_here(db, &vm, BERT, &BTreeMap::new());
        let code = |answer: crate::xenapi::failure::Answer<()>| answer.unwrap_err().code;
        (possible_hosts(db, &vm), code(assert_agile(db, &vm)), code(boot))
    }

    #[test]
    fn a_virtual_gpu_needs_a_host_with_a_card_of_its_group_and_kind() {
        let cards = |kind: &'static str| {
            with(|tx| {
                for (card, host) in [("OpaqueRef:a", ANNA), ("OpaqueRef:b", BERT)] {
                    tx.create("GPU_group", "OpaqueRef:g", row(&[]));
                    tx.create("PGPU", card, row(&[("GPU_group", "OpaqueRef:g"), ("host", host)]));
                }
                let kinds = Value::Array(vec!["OpaqueRef:large".into()]);
                tx.set("PGPU", "OpaqueRef:b", "enabled_VGPU_types", kinds);
                let fields = [("VM", VM), ("GPU_group", "OpaqueRef:g"), ("type", kind)];
                tx.create("VGPU", "OpaqueRef:v", row(&fields));
            })
        };
        let small = cards("OpaqueRef:small");
        let expected = (vec![ANNA.to_owned()], "VM_HAS_VGPU".to_owned(), "VM_REQUIRES_GPU".into());
        assert_eq!(told(&small), expected);
        let vm = |db| possible_hosts(db, &Vm::get(db, VM).unwrap());
        assert_eq!(vm(&cards("OpaqueRef:large")), [ANNA, BERT]);
    }

    #[test]
    fn usb_and_pci_devices_tie_a_vm_to_their_host_and_the_planner_knows() {
        let usb = with(|tx| {
            tx.create("USB_group", "OpaqueRef:g", row(&[]));
            tx.create("PUSB", "OpaqueRef:p", row(&[("USB_group", "OpaqueRef:g"), ("host", ANNA)]));
            tx.create("VUSB", "OpaqueRef:u", row(&[("VM", VM), ("USB_group", "OpaqueRef:g")]));
        });
        let expected =
            (vec![ANNA.to_owned()], "VM_HAS_VUSBS".to_owned(), "VM_REQUIRES_VUSB".into());
        assert_eq!(told(&usb), expected);
        let pci = with(|tx| {
            tx.create("PCI", "OpaqueRef:p", row(&[("host", ANNA)]));
            tx.set("PCI", "OpaqueRef:p", "attached_VMs", Value::Array(vec![VM.into()]));
        });
        let expected = (vec![ANNA.to_owned()], "VM_HAS_PCI_ATTACHED".to_owned());
        let told = told(&pci);
        assert_eq!((told.0, told.1), expected);
        for db in [usb, pci] {
            let capacity = Capacity::of(&db, &BTreeMap::new()).unwrap();
            let verdict = max_failures(&capacity.problem, &crate::plan::Budget::default());
            let vm = capacity.vm(VM).unwrap();
            assert!(verdict.doomed.contains(&vm), "{verdict:?}");
        }
    }
}
