//! What `xe vgpu-list` and its companions show.

use super::field::{Class, Edit, Parse, map, name_of, text, uuid_of};

/// The table of `vgpu`.
pub static VGPU: Class = Class {
    name: "vgpu",
    noun: "virtual GPU",
    api: "VGPU",
    needs: "",
    only: &[],
    defaults: &["uuid", "vm-uuid", "device", "gpu-group-uuid"],
    fields: &[
        text("uuid"),
        uuid_of("vm-uuid", "VM").api("VM"),
        name_of("vm-name-label", "VM").api("VM"),
        text("device"),
        uuid_of("gpu-group-uuid", "GPU_group").api("GPU_group"),
        name_of("gpu-group-name-label", "GPU_group").api("GPU_group"),
        text("currently-attached"),
        map("other-config").edit(Edit::Entries),
        uuid_of("type-uuid", "VGPU_type").api("type"),
        text("type-model-name").via("type", "VGPU_type", "model_name", "<not in database>"),
        uuid_of("resident-on", "PGPU"),
        text("compatibility-metadata"),
        text("extra_args").rw(Parse::Text),
        text("pci").via("PCI", "PCI", "pci_id", "<not in database>"),
    ],
};
