//! What `xe bond-list` and its companions show.

use super::field::{Class, Edit, int, map, text, uuid_of};

/// The table of `bond`.
pub static BOND: Class = Class {
    name: "bond",
    noun: "bond",
    api: "Bond",
    needs: "",
    only: &[],
    defaults: &["uuid", "master", "slaves"],
    fields: &[
        text("uuid"),
        uuid_of("master", "PIF"),
        uuid_of("slaves", "PIF"),
        text("mode"),
        map("properties").edit(Edit::Property),
        uuid_of("primary-slave", "PIF"),
        int("links-up"),
        text("auto-update-mac"),
    ],
};
