//! What `xe update-list` and its companions show.

use super::field::{Class, int, text, uuid_of};

/// The table of `update`.
pub static UPDATE: Class = Class {
    name: "update",
    noun: "update",
    api: "pool_update",
    needs: "",
    only: &[],
    defaults: &[
        "uuid",
        "name-label",
        "name-description",
        "version",
        "installation-size",
        "hosts",
        "after-apply-guidance",
    ],
    fields: &[
        text("uuid"),
        text("name-label"),
        text("name-description"),
        text("version"),
        int("installation-size"),
        uuid_of("hosts", "host").set().commas(),
        text("after-apply-guidance").set().commas(),
        text("enforce-homogeneity"),
    ],
};
