//! What `xe gpu-group-list` and its companions show.

use super::field::{Class, Edit, Parse, map, text, uuid_of, word};
use super::words;

/// The table of `gpu-group`.
pub static GPU_GROUP: Class = Class {
    name: "gpu-group",
    noun: "GPU group",
    api: "GPU_group",
    needs: "",
    only: &[],
    defaults: &["uuid", "name-label", "name-description"],
    fields: &[
        text("uuid"),
        text("name-label").rw(Parse::Text),
        text("name-description").rw(Parse::Text),
        uuid_of("VGPU-uuids", "VGPU").api("VGPUs").set(),
        uuid_of("PGPU-uuids", "PGPU").api("PGPUs").set(),
        map("other-config").edit(Edit::Entries),
        uuid_of("enabled-VGPU-types", "VGPU_type").call("GPU_group.get_enabled_VGPU_types"),
        uuid_of("supported-VGPU-types", "VGPU_type").call("GPU_group.get_supported_VGPU_types"),
        word("allocation-algorithm", words::SHOW_ALLOCATION_ALGORITHM)
            .rw(Parse::Word(words::ALLOCATION_ALGORITHM)),
    ],
};
