//! What `xe observer-list` and its companions show.

use super::field::{Class, Edit, Parse, map, text, uuid_of};

/// The table of `observer`.
pub static OBSERVER: Class = Class {
    name: "observer",
    noun: "observer",
    api: "Observer",
    needs: "",
    only: &[],
    defaults: &["uuid", "name-label", "name-description", "host-uuids", "endpoints", "enabled"],
    fields: &[
        text("uuid"),
        uuid_of("host-uuids", "host")
            .api("hosts")
            .set()
            .rw(Parse::List(&Parse::Uuid("host")))
            .edit(Edit::Whole)
            .member(Parse::Uuid("host")),
        text("name-label"),
        text("name-description"),
        map("attributes").edit(Edit::Whole),
        text("endpoints").set().rw(Parse::List(&Parse::Text)).edit(Edit::Whole),
        text("components").set().rw(Parse::List(&Parse::Text)).edit(Edit::Whole),
        text("enabled").rw(Parse::Bool),
    ],
};
