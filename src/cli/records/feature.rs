//! What `xe feature-list` and its companions show.

use super::field::{Class, text, uuid_of};

/// The table of `feature`.
pub static FEATURE: Class = Class {
    name: "feature",
    noun: "feature",
    api: "Feature",
    needs: "",
    only: &[],
    defaults: &[
        "uuid",
        "name-label",
        "name-description",
        "enabled",
        "experimental",
        "version",
        "host-uuid",
    ],
    fields: &[
        text("uuid"),
        text("name-label"),
        text("name-description"),
        text("enabled"),
        text("experimental"),
        text("version"),
        uuid_of("host-uuid", "host").api("host"),
    ],
};
