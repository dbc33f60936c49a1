//! What `xe pvs-server-list` and its companions show.

use super::field::{Class, int, text, uuid_of};

/// The table of `pvs-server`.
pub static PVS_SERVER: Class = Class {
    name: "pvs-server",
    noun: "PVS server",
    api: "PVS_server",
    needs: "",
    only: &[],
    defaults: &["uuid", "addresses", "pvs-site-uuid"],
    fields: &[
        text("uuid"),
        text("addresses").set(),
        int("first-port"),
        int("last-port"),
        uuid_of("pvs-site-uuid", "PVS_site").api("site"),
    ],
};
