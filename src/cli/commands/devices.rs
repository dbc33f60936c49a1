//! Devices that VMs are given: USB, GPU, PCI, TPM.

use super::table::{Arg, Command, Prints, call};

/// The commands.
pub const COMMANDS: &[Command] = &[
    call(
        "pusb-scan",
        "Look for USB devices of a host.",
        "PUSB.scan",
        &[Arg::Object("host", "host", "host-uuid")],
    ),
    call(
        "vusb-destroy",
        "Remove a virtual USB device.",
        "VUSB.destroy",
        &[Arg::Object("VUSB", "vusb", "uuid")],
    ),
    call(
        "vusb-unplug",
        "Take a USB device from its running VM.",
        "VUSB.unplug",
        &[Arg::Object("VUSB", "vusb", "uuid")],
    ),
    call(
        "pci-disable-dom0-access",
        "Keep a PCI device from the control domain.",
        "PCI.disable_dom0_access",
        &[Arg::Object("PCI", "pci", "uuid")],
    )
    .prints(Prints::Answer),
    call(
        "pci-enable-dom0-access",
        "Give a PCI device to the control domain.",
        "PCI.enable_dom0_access",
        &[Arg::Object("PCI", "pci", "uuid")],
    )
    .prints(Prints::Answer),
    call(
        "pci-get-dom0-access-status",
        "Show whether the control domain may use a PCI device.",
        "PCI.get_dom0_access_status",
        &[Arg::Object("PCI", "pci", "uuid")],
    )
    .prints(Prints::Answer),
    call(
        "pgpu-disable-dom0-access",
        "Keep a GPU from the control domain.",
        "PGPU.disable_dom0_access",
        &[Arg::Object("PGPU", "pgpu", "uuid")],
    )
    .prints(Prints::Answer),
    call(
        "pgpu-enable-dom0-access",
        "Give a GPU to the control domain.",
        "PGPU.enable_dom0_access",
        &[Arg::Object("PGPU", "pgpu", "uuid")],
    )
    .prints(Prints::Answer),
    call(
        "gpu-group-get-remaining-capacity",
        "Show how many virtual GPUs a group can still give.",
        "GPU_group.get_remaining_capacity",
        &[
            Arg::Object("GPU_group", "gpu-group", "uuid"),
            Arg::Object("VGPU_type", "vgpu-type", "vgpu-type-uuid"),
        ],
    )
    .prints(Prints::Answer),
    call(
        "vgpu-destroy",
        "Remove a virtual GPU.",
        "VGPU.destroy",
        &[Arg::Object("VGPU", "vgpu", "uuid")],
    ),
    call(
        "host-disable-display",
        "Give a host's display away at its next start.",
        "host.disable_display",
        &[Arg::Object("host", "host", "uuid")],
    )
    .prints(Prints::Answer),
    call(
        "host-enable-display",
        "Take a host's display back at its next start.",
        "host.enable_display",
        &[Arg::Object("host", "host", "uuid")],
    )
    .prints(Prints::Answer),
    call(
        "hostdriver-variant-select",
        "Choose a driver's variant.",
        "Driver_variant.select",
        &[Arg::Object("Driver_variant", "hostdriver-variant", "uuid")],
    ),
    call(
        "vtpm-create",
        "Give a VM a virtual TPM.",
        "VTPM.create",
        &[Arg::Object("VM", "vm", "vm-uuid"), Arg::Flag("is-unique", false)],
    )
    .prints(Prints::UuidOf("VTPM")),
    call(
        "vm-get-secureboot-readiness",
        "Show whether a VM is ready for secure boot.",
        "VM.get_secureboot_readiness",
        &[Arg::Object("VM", "vm", "uuid")],
    )
    .prints(Prints::Answer),
    call(
        "vm-set-uefi-mode",
        "Choose the mode of a VM's UEFI.",
        "VM.set_uefi_mode",
        &[Arg::Object("VM", "vm", "uuid"), Arg::Text("mode")],
    )
    .prints(Prints::Answer),
];
