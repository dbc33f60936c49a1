//! What `xe sr-list` and its companions show.

use super::field::{Class, Edit, Parse, int, map, text, uuid_of, word};
use super::{rules, words};

/// The table of `sr`.
pub static SR: Class = Class {
    name: "sr",
    noun: "storage repository",
    api: "SR",
    needs: "",
    only: &[],
    defaults: &["uuid", "name-label", "name-description", "host", "type", "content-type"],
    fields: &[
        text("uuid"),
        text("name-label").rw(Parse::Text),
        text("name-description").rw(Parse::Text),
        text("host").rule(rules::sr_host),
        word("allowed-operations", words::SHOW_SR_OPERATION).set(),
        word("current-operations", words::SHOW_SR_OPERATION).set(),
        uuid_of("VDIs", "VDI").set(),
        uuid_of("PBDs", "PBD").set(),
        int("virtual-allocation"),
        int("physical-utilisation"),
        int("physical-size"),
        text("type"),
        text("content-type"),
        text("shared").rw(Parse::Bool),
        uuid_of("introduced-by", "DR_task"),
        text("is-tools-sr"),
        map("other-config").edit(Edit::Entries),
        map("sm-config"),
        uuid_of("blobs", "blob"),
        text("local-cache-enabled"),
        text("tags").set().commas().edit(Edit::Members),
        text("clustered"),
    ],
};
