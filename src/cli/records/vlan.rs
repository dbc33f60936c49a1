//! What `xe vlan-list` and its companions show.

use super::field::{Class, int, text, uuid_of};

/// The table of `vlan`.
pub static VLAN: Class = Class {
    name: "vlan",
    noun: "VLAN",
    api: "VLAN",
    needs: "",
    only: &[],
    defaults: &["uuid", "tagged-PIF", "untagged-PIF", "tag"],
    fields: &[
        text("uuid"),
        uuid_of("tagged-PIF", "PIF"),
        uuid_of("untagged-PIF", "PIF"),
        int("tag"),
    ],
};
