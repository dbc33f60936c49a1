//! What `xe pbd-list` and its companions show.

use super::field::{Class, Edit, map, name_of, text, uuid_of};

/// The table of `pbd`.
pub static PBD: Class = Class {
    name: "pbd",
    noun: "storage connection of a host",
    api: "PBD",
    needs: "",
    only: &[],
    defaults: &["uuid", "host-uuid", "sr-uuid", "device-config", "currently-attached"],
    fields: &[
        text("uuid"),
        uuid_of("host", "host").deprecated(),
        uuid_of("host-uuid", "host").api("host"),
        name_of("host-name-label", "host").api("host"),
        uuid_of("sr-uuid", "SR").api("SR"),
        name_of("sr-name-label", "SR").api("SR"),
        map("device-config"),
        text("currently-attached"),
        map("other-config").edit(Edit::Entries),
    ],
};
