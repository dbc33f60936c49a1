//! What `xe vgpu-type-list` and its companions show.

use super::field::{Class, int, text, uuid_of};
use super::rules;

/// The table of `vgpu-type`.
pub static VGPU_TYPE: Class = Class {
    name: "vgpu-type",
    noun: "virtual GPU type",
    api: "VGPU_type",
    needs: "",
    only: &[],
    defaults: &["uuid", "vendor-name", "model-name", "max-resolution", "max-heads"],
    fields: &[
        text("uuid"),
        text("vendor-name"),
        text("model-name"),
        int("framebuffer-size"),
        int("max-heads"),
        text("max-resolution").rule(rules::max_resolution),
        uuid_of("supported-on-PGPUs", "PGPU"),
        uuid_of("enabled-on-PGPUs", "PGPU"),
        uuid_of("supported-on-GPU-groups", "GPU_group"),
        uuid_of("enabled-on-GPU-groups", "GPU_group"),
        uuid_of("VGPU-uuids", "VGPU").api("VGPUs"),
        text("experimental"),
        uuid_of("compatible-types-in-vm", "VGPU_type"),
    ],
};
