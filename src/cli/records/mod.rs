//! What `xe <class>-list` shows: one table a class, and how tables meet objects.

pub mod appliance;
pub mod bond;
pub mod caller;
pub mod certificate;
pub mod change;
pub mod cluster;
pub mod cluster_host;
pub mod console;
pub mod describe;
pub mod drtask;
pub mod evaluate;
pub mod feature;
pub mod field;
pub mod filter;
pub mod gpu_group;
pub mod host;
pub mod host_cpu;
pub mod host_crashdump;
pub mod hostdriver;
pub mod hostdriver_variant;
pub mod message;
pub mod network;
pub mod network_sriov;
pub mod observer;
pub mod patch;
pub mod pbd;
pub mod pci;
pub mod pgpu;
pub mod pif;
pub mod pool;
pub mod pusb;
pub mod pvs_cache_storage;
pub mod pvs_proxy;
pub mod pvs_server;
pub mod pvs_site;
pub mod rate_limit;
pub mod repository;
pub mod role;
pub mod rules;
pub mod sdn_controller;
pub mod secret;
pub mod sm;
pub mod sr;
pub mod subject;
pub mod task;
pub mod tunnel;
pub mod update;
pub mod usb_group;
pub mod vbd;
pub mod vdi;
pub mod vgpu;
pub mod vgpu_type;
pub mod vif;
pub mod vlan;
pub mod vm;
pub mod vm_group;
pub mod vmss;
pub mod vtpm;
pub mod vusb;
pub mod words;

pub use evaluate::{Row, Rows};
pub use field::{Class, Field};

/// Every class that has a list, in the order of the help.
pub static CLASSES: &[&Class] = &[
    &pool::POOL,
    &pif::PIF,
    &bond::BOND,
    &vlan::VLAN,
    &tunnel::TUNNEL,
    &vif::VIF,
    &network::NETWORK,
    &console::CONSOLE,
    &vm::TEMPLATE,
    &vm::SNAPSHOT,
    &vm::VM,
    &host::HOST,
    &host_cpu::HOST_CPU,
    &host_crashdump::HOST_CRASHDUMP,
    &patch::PATCH,
    &update::UPDATE,
    &vdi::VDI,
    &vbd::VBD,
    &sr::SR,
    &sm::SM,
    &pbd::PBD,
    &task::TASK,
    &subject::SUBJECT,
    &role::ROLE,
    &vmss::VMSS,
    &message::MESSAGE,
    &secret::SECRET,
    &appliance::APPLIANCE,
    &vm_group::VM_GROUP,
    &pgpu::PGPU,
    &gpu_group::GPU_GROUP,
    &vgpu::VGPU,
    &vgpu_type::VGPU_TYPE,
    &drtask::DRTASK,
    &pvs_site::PVS_SITE,
    &pvs_server::PVS_SERVER,
    &pvs_proxy::PVS_PROXY,
    &pvs_cache_storage::PVS_CACHE_STORAGE,
    &feature::FEATURE,
    &sdn_controller::SDN_CONTROLLER,
    &pusb::PUSB,
    &usb_group::USB_GROUP,
    &vusb::VUSB,
    &network_sriov::NETWORK_SRIOV,
    &cluster::CLUSTER,
    &cluster_host::CLUSTER_HOST,
    &certificate::CERTIFICATE,
    &repository::REPOSITORY,
    &hostdriver_variant::HOSTDRIVER_VARIANT,
    &hostdriver::HOSTDRIVER,
    &vtpm::VTPM,
    &observer::OBSERVER,
    &pci::PCI,
    &caller::CALLER,
    &rate_limit::RATE_LIMIT,
];

/// The class with this name on the command line.
pub fn class(name: &str) -> Option<&'static Class> {
    CLASSES.iter().copied().find(|class| class.name == name)
}
