//! What `xe network-list` and its companions show.

use super::field::{Class, Edit, Parse, int, map, text, uuid_of};
use super::words;

/// The table of `network`.
pub static NETWORK: Class = Class {
    name: "network",
    noun: "network",
    api: "network",
    needs: "",
    only: &[],
    defaults: &["uuid", "name-label", "name-description", "bridge"],
    fields: &[
        text("uuid"),
        text("name-label").rw(Parse::Text),
        text("name-description").rw(Parse::Text),
        uuid_of("VIF-uuids", "VIF").api("VIFs").set(),
        uuid_of("PIF-uuids", "PIF").api("PIFs").set(),
        int("MTU").rw(Parse::Int),
        text("bridge"),
        text("managed"),
        map("other-config").edit(Edit::Entries),
        uuid_of("blobs", "blob"),
        text("tags").set().commas().edit(Edit::Members),
        text("default-locking-mode").rw(Parse::Word(words::NETWORK_DEFAULT_LOCKING_MODE)),
        text("purpose").set().commas().edit(Edit::Members),
    ],
};
