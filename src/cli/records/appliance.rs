//! What `xe appliance-list` and its companions show.

use super::field::{Class, Parse, text, uuid_of};

/// The table of `appliance`.
pub static APPLIANCE: Class = Class {
    name: "appliance",
    noun: "appliance",
    api: "VM_appliance",
    needs: "",
    only: &[],
    defaults: &[],
    fields: &[
        text("uuid"),
        text("name-label").rw(Parse::Text),
        text("name-description").rw(Parse::Text),
        uuid_of("VMs", "VM").set(),
        text("allowed-operations").set(),
        text("current-operations").set(),
    ],
};
