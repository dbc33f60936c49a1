//! What `xe vmss-list` and its companions show.

use super::field::{Class, Edit, Parse, date, int, map, text, uuid_of};
use super::words;

/// The table of `vmss`.
pub static VMSS: Class = Class {
    name: "vmss",
    noun: "snapshot schedule",
    api: "VMSS",
    needs: "",
    only: &[],
    defaults: &[
        "uuid",
        "name-label",
        "name-description",
        "enabled",
        "type",
        "retained-snapshots",
        "frequency",
        "schedule",
        "last-run-time",
        "VMs",
    ],
    fields: &[
        text("uuid"),
        text("name-label").rw(Parse::Text),
        text("name-description").rw(Parse::Text),
        text("enabled").rw(Parse::Bool),
        text("type").rw(Parse::Word(words::VMSS_TYPE)),
        int("retained-snapshots").rw(Parse::Int),
        text("frequency").rw(Parse::Word(words::VMSS_FREQUENCY)),
        map("schedule").edit(Edit::Entries),
        date("last-run-time"),
        uuid_of("VMs", "VM").call("VMSS.get_VMs").set(),
    ],
};
