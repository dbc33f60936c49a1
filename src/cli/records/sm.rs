//! What `xe sm-list` and its companions show.

use super::field::{Class, map, text};

/// The table of `sm`.
pub static SM: Class = Class {
    name: "sm",
    noun: "storage driver",
    api: "SM",
    needs: "",
    only: &[],
    defaults: &[
        "uuid",
        "type",
        "name-label",
        "name-description",
        "vendor",
        "copyright",
        "configuration",
    ],
    fields: &[
        text("uuid"),
        text("name-label"),
        text("name-description"),
        text("type"),
        text("vendor"),
        text("copyright"),
        text("required-api-version"),
        text("capabilities").deprecated(),
        map("features"),
        text("configuration"),
        text("driver-filename"),
        text("required-cluster-stack").commas(),
        text("supported-image-formats"),
    ],
};
