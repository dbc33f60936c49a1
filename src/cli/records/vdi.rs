//! What `xe vdi-list` and its companions show.

use super::field::{Class, Edit, Parse, date, int, map, name_of, text, uuid_of, word};
use super::{rules, words};

/// The table of `vdi`.
pub static VDI: Class = Class {
    name: "vdi",
    noun: "virtual disk",
    api: "VDI",
    needs: "",
    only: &[],
    defaults: &["uuid", "name-label", "name-description", "virtual-size", "read-only", "sharable", "sr-uuid"],
    fields: &[
        text("uuid"),
        text("name-label").rw(Parse::Text),
        text("name-description").rw(Parse::Text),
        text("is-a-snapshot"),
        uuid_of("snapshot-of", "VDI"),
        uuid_of("snapshots", "VDI"),
        date("snapshot-time"),
        text("allowed-operations").set(),
        text("current-operations").set(),
        uuid_of("sr-uuid", "SR").api("SR"),
        name_of("sr-name-label", "SR").api("SR"),
        uuid_of("vbd-uuids", "VBD").api("VBDs").set(),
        uuid_of("crashdump-uuids", "crashdump").api("crash_dumps").set(),
        int("virtual-size"),
        int("physical-utilisation"),
        text("location"),
        word("type", words::SHOW_VDI_TYPE),
        text("sharable"),
        text("read-only"),
        text("storage-lock"),
        text("managed"),
        uuid_of("parent", "VDI").deprecated(),
        text("missing"),
        text("is-tools-iso"),
        map("other-config").edit(Edit::Entries),
        map("xenstore-data").clears(),
        map("sm-config"),
        text("on-boot").rw(Parse::Word(words::ON_BOOT)),
        text("allow-caching").rw(Parse::StrictBool),
        text("metadata-latest"),
        text("metadata-of-pool").rule(rules::metadata_of_pool),
        text("tags").set().commas().edit(Edit::Members),
        text("cbt-enabled"),
    ],
};
