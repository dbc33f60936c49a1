//! What `xe vtpm-list` and its companions show.

use super::field::{Class, name_of, text, uuid_of};

/// The table of `vtpm`.
pub static VTPM: Class = Class {
    name: "vtpm",
    noun: "virtual TPM",
    api: "VTPM",
    needs: "",
    only: &[],
    defaults: &["uuid", "vm-uuid", "profile"],
    fields: &[
        text("uuid"),
        uuid_of("vm-uuid", "VM").api("VM"),
        name_of("vm-name-label", "VM").api("VM"),
        text("secret").call("VTPM.get_contents"),
        text("is_unique"),
        text("is_protected"),
        text("allowed-operations").set(),
    ],
};
