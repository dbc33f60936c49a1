//! What `xe pvs-proxy-list` and its companions show.

use super::field::{Class, text, uuid_of, word};
use super::words;

/// The table of `pvs-proxy`.
pub static PVS_PROXY: Class = Class {
    name: "pvs-proxy",
    noun: "PVS proxy",
    api: "PVS_proxy",
    needs: "",
    only: &[],
    defaults: &["uuid", "vif-uuid", "pvs-site-uuid", "currently-attached", "cache-sr-uuid"],
    fields: &[
        text("uuid"),
        uuid_of("pvs-site-uuid", "PVS_site").api("site"),
        uuid_of("vif-uuid", "VIF").api("VIF"),
        text("currently-attached"),
        word("status", words::SHOW_PVS_PROXY_STATUS),
    ],
};
