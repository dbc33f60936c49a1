//! What `xe vm-group-list` and its companions show.

use super::field::{Class, Parse, text, uuid_of, word};
use super::words;

/// The table of `vm-group`.
pub static VM_GROUP: Class = Class {
    name: "vm-group",
    noun: "VM group",
    api: "VM_group",
    needs: "",
    only: &[],
    defaults: &["uuid", "name-label", "name-description", "placement", "vm-uuids"],
    fields: &[
        text("uuid"),
        text("name-label").rw(Parse::Text),
        text("name-description").rw(Parse::Text),
        word("placement", words::SHOW_VM_PLACEMENT_POLICY),
        uuid_of("vm-uuids", "VM").api("VMs").set(),
    ],
};
