//! What `xe pgpu-list` and its companions show.

use super::field::{Class, Edit, Parse, map, name_of, text, uuid_of};
use super::rules;

/// The table of `pgpu`.
pub static PGPU: Class = Class {
    name: "pgpu",
    noun: "physical GPU",
    api: "PGPU",
    needs: "",
    only: &[],
    defaults: &["uuid", "pci-uuid", "vendor-name", "device-name", "gpu-group-uuid"],
    fields: &[
        text("uuid"),
        text("pci-uuid").via("PCI", "PCI", "uuid", "<not in database>"),
        text("vendor-name").via("PCI", "PCI", "vendor_name", "<not in database>"),
        text("device-name").via("PCI", "PCI", "device_name", "<not in database>"),
        text("dom0-access"),
        text("is-system-display-device"),
        uuid_of("gpu-group-uuid", "GPU_group").api("GPU_group").rw(Parse::Uuid("GPU_group")),
        name_of("gpu-group-name-label", "GPU_group").api("GPU_group"),
        uuid_of("host-uuid", "host").api("host"),
        name_of("host-name-label", "host").api("host"),
        text("pci-id").via("PCI", "PCI", "pci_id", "<not in database>"),
        text("dependencies").rule(rules::pgpu_dependencies).set(),
        map("other-config").edit(Edit::Entries),
        uuid_of("supported-VGPU-types", "VGPU_type"),
        uuid_of("enabled-VGPU-types", "VGPU_type")
            .set()
            .rw(Parse::List(&Parse::Uuid("VGPU_type")))
            .edit(Edit::Members)
            .member(Parse::Uuid("VGPU_type")),
        uuid_of("resident-VGPUs", "VGPU"),
    ],
};
