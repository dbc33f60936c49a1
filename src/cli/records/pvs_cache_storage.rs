//! What `xe pvs-cache-storage-list` and its companions show.

use super::field::{Class, int, text, uuid_of};

/// The table of `pvs-cache-storage`.
pub static PVS_CACHE_STORAGE: Class = Class {
    name: "pvs-cache-storage",
    noun: "PVS cache storage",
    api: "PVS_cache_storage",
    needs: "",
    only: &[],
    defaults: &["uuid", "host-uuid", "sr-uuid", "pvs-site-uuid", "size"],
    fields: &[
        text("uuid"),
        uuid_of("host-uuid", "host").api("host"),
        uuid_of("sr-uuid", "SR").api("SR"),
        uuid_of("pvs-site-uuid", "PVS_site").api("site"),
        int("size"),
        uuid_of("vdi-uuid", "VDI").api("VDI"),
    ],
};
