//! What `xe console-list` and its companions show.

use super::field::{Class, Edit, map, name_of, text, uuid_of, word};
use super::words;

/// The table of `console`.
pub static CONSOLE: Class = Class {
    name: "console",
    noun: "console",
    api: "console",
    needs: "",
    only: &[],
    defaults: &["uuid", "vm-uuid", "vm-name-label", "protocol", "location"],
    fields: &[
        text("uuid"),
        uuid_of("vm-uuid", "VM").api("VM"),
        name_of("vm-name-label", "VM").api("VM"),
        word("protocol", words::SHOW_PROTOCOL),
        text("location"),
        map("other-config").edit(Edit::Entries),
    ],
};
