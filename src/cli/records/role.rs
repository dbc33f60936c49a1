//! What `xe role-list` and its companions show.

use super::field::{Class, text};

/// The table of `role`.
pub static ROLE: Class = Class {
    name: "role",
    noun: "role",
    api: "role",
    needs: "subroles",
    only: &[],
    defaults: &["uuid", "name", "description", "subroles"],
    fields: &[
        text("uuid"),
        text("name").api("name_label"),
        text("description").api("name_description"),
    ],
};
