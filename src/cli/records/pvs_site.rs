//! What `xe pvs-site-list` and its companions show.

use super::field::{Class, Parse, text, uuid_of};

/// The table of `pvs-site`.
pub static PVS_SITE: Class = Class {
    name: "pvs-site",
    noun: "PVS site",
    api: "PVS_site",
    needs: "",
    only: &[],
    defaults: &["uuid", "name-label", "name-description", "pvs-uuid", "pvs-server-uuids"],
    fields: &[
        text("uuid"),
        text("name-label").rw(Parse::Text),
        text("name-description").rw(Parse::Text),
        text("pvs-uuid").api("PVS_uuid").rw(Parse::Text),
        uuid_of("pvs-cache-storage-uuids", "PVS_cache_storage").api("cache_storage").set(),
        uuid_of("pvs-server-uuids", "PVS_server").api("servers").set(),
        uuid_of("pvs-proxy-uuids", "PVS_proxy").api("proxies").set(),
    ],
};
