//! What `xe pci-list` and its companions show.

use super::field::{Class, Edit, map, name_of, text, uuid_of};
use super::rules;

/// The table of `pci`.
pub static PCI: Class = Class {
    name: "pci",
    noun: "PCI device",
    api: "PCI",
    needs: "",
    only: &[],
    defaults: &["uuid", "vendor-name", "device-name", "pci-id"],
    fields: &[
        text("uuid"),
        text("vendor-name"),
        text("device-name"),
        text("driver-name"),
        uuid_of("host-uuid", "host").api("host"),
        name_of("host-name-label", "host").api("host"),
        text("pci-id"),
        text("dependencies").rule(rules::pci_dependencies).set(),
        map("other-config").edit(Edit::Entries),
    ],
};
