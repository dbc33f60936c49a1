//! What `xe tunnel-list` and its companions show.

use super::field::{Class, Edit, map, text, uuid_of};

/// The table of `tunnel`.
pub static TUNNEL: Class = Class {
    name: "tunnel",
    noun: "tunnel",
    api: "tunnel",
    needs: "",
    only: &[],
    defaults: &["uuid", "transport-PIF", "access-PIF", "status"],
    fields: &[
        text("uuid"),
        uuid_of("access-PIF", "PIF"),
        uuid_of("transport-PIF", "PIF"),
        text("status"),
        map("other-config").edit(Edit::Entries),
        text("protocol"),
    ],
};
