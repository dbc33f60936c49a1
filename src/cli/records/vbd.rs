//! What `xe vbd-list` and its companions show.

use super::field::{Class, Edit, Parse, float, int, map, name_of, text, uuid_of};
use super::{rules, words};

/// The table of `vbd`.
pub static VBD: Class = Class {
    name: "vbd",
    noun: "virtual block device",
    api: "VBD",
    needs: "",
    only: &[],
    defaults: &["uuid", "vm-uuid", "vm-name-label", "vdi-uuid", "device", "empty"],
    fields: &[
        text("uuid"),
        uuid_of("vm-uuid", "VM").api("VM"),
        name_of("vm-name-label", "VM").api("VM"),
        uuid_of("vdi-uuid", "VDI").api("VDI"),
        text("vdi-name-label").rule(rules::vdi_name),
        text("allowed-operations").set(),
        text("current-operations").set(),
        text("empty"),
        text("device"),
        text("userdevice").rw(Parse::Text),
        text("bootable").rw(Parse::Bool),
        text("mode").rw(Parse::Word(words::VBD_MODE)),
        text("type").rw(Parse::Word(words::VBD_TYPE)),
        text("unpluggable").rw(Parse::Bool),
        text("currently-attached"),
        text("attachable").rule(rules::attachable).expensive(),
        text("storage-lock"),
        int("status-code"),
        text("status-detail"),
        text("qos_algorithm_type").rw(Parse::Text),
        map("qos_algorithm_params").edit(Edit::Entries),
        text("qos_supported_algorithms").set(),
        map("other-config").edit(Edit::Entries),
        float("io_read_kbs").rule(rules::vbd_read).expensive(),
        float("io_write_kbs").rule(rules::vbd_write).expensive(),
    ],
};
