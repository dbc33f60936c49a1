//! Fields that mirror a reference of another class.
//!
//! `VM.VBDs` holds exactly the VBDs whose `VBD.VM` is that VM. The mirrors are kept by
//! [`Database::apply`](super::Database::apply) and never journalled: every replica derives them.

/// `(one, set field, many, reference field)`: the set field of `one` mirrors the reference.
pub const RELATIONS: &[(&str, &str, &str, &str)] = &[
    ("host", "resident_VMs", "VM", "resident_on"),
    ("host", "PBDs", "PBD", "host"),
    ("host", "PIFs", "PIF", "host"),
    ("host", "host_CPUs", "host_cpu", "host"),
    ("host", "crashdumps", "host_crashdump", "host"),
    ("host", "patches", "host_patch", "host"),
    ("host", "PGPUs", "PGPU", "host"),
    ("host", "PCIs", "PCI", "host"),
    ("host", "PUSBs", "PUSB", "host"),
    ("host", "features", "Feature", "host"),
    ("SR", "VDIs", "VDI", "SR"),
    ("SR", "PBDs", "PBD", "SR"),
    ("VDI", "VBDs", "VBD", "VDI"),
    ("VDI", "crash_dumps", "crashdump", "VDI"),
    ("VDI", "snapshots", "VDI", "snapshot_of"),
    ("VM", "VBDs", "VBD", "VM"),
    ("VM", "VIFs", "VIF", "VM"),
    ("VM", "VUSBs", "VUSB", "VM"),
    ("VM", "VGPUs", "VGPU", "VM"),
    ("VM", "VTPMs", "VTPM", "VM"),
    ("VM", "consoles", "console", "VM"),
    ("VM", "crash_dumps", "crashdump", "VM"),
    ("VM", "snapshots", "VM", "snapshot_of"),
    ("VM", "children", "VM", "parent"),
    ("VM", "attached_PCIs", "PCI", "attached_VMs"),
    ("VM_appliance", "VMs", "VM", "appliance"),
    ("VM_group", "VMs", "VM", "groups"),
    ("VMPP", "VMs", "VM", "protection_policy"),
    ("VMSS", "VMs", "VM", "snapshot_schedule"),
    ("network", "PIFs", "PIF", "network"),
    ("network", "VIFs", "VIF", "network"),
    ("PIF", "bond_master_of", "Bond", "master"),
    ("PIF", "VLAN_slave_of", "VLAN", "tagged_PIF"),
    ("PIF", "tunnel_access_PIF_of", "tunnel", "access_PIF"),
    ("PIF", "tunnel_transport_PIF_of", "tunnel", "transport_PIF"),
    ("PIF", "sriov_physical_PIF_of", "network_sriov", "physical_PIF"),
    ("PIF", "sriov_logical_PIF_of", "network_sriov", "logical_PIF"),
    ("Bond", "slaves", "PIF", "bond_slave_of"),
    ("task", "subtasks", "task", "subtask_of"),
    ("pool_patch", "host_patches", "host_patch", "pool_patch"),
    ("GPU_group", "PGPUs", "PGPU", "GPU_group"),
    ("GPU_group", "VGPUs", "VGPU", "GPU_group"),
    ("PGPU", "resident_VGPUs", "VGPU", "resident_on"),
    ("USB_group", "PUSBs", "PUSB", "USB_group"),
    ("USB_group", "VUSBs", "VUSB", "USB_group"),
    ("PVS_site", "cache_storage", "PVS_cache_storage", "site"),
    ("PVS_site", "servers", "PVS_server", "site"),
    ("PVS_site", "proxies", "PVS_proxy", "site"),
    ("Cluster", "cluster_hosts", "Cluster_host", "cluster"),
];

/// The mirror that follows a reference field, if one does.
pub fn mirror_of(many: &str, field: &str) -> Option<(&'static str, &'static str)> {
    RELATIONS
        .iter()
        .find(|relation| relation.2 == many && relation.3 == field)
        .map(|relation| (relation.0, relation.1))
}

/// Whether a field is a mirror, which nobody sets.
pub fn is_mirror(one: &str, field: &str) -> bool {
    RELATIONS.iter().any(|relation| relation.0 == one && relation.1 == field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xenapi::Model;
    use crate::xenapi::types::Type;

    #[test]
    fn every_relation_names_fields_of_the_model() {
        for (one, set, many, field) in RELATIONS {
            let of = |class: &str, field: &str| {
                Model::get().class(class).and_then(|c| c.field(field)).map(|f| f.ty.clone())
            };
            let set_type = of(one, set);
            assert_eq!(set_type, Type::parse(&format!("set(ref({many}))")), "{one}.{set}");
            assert!(of(many, field).is_some(), "{many}.{field}");
        }
    }
}
