//! What `xe subject-list` and its companions show.

use super::field::{Class, map, text};
use super::rules;

/// The table of `subject`.
pub static SUBJECT: Class = Class {
    name: "subject",
    noun: "subject",
    api: "subject",
    needs: "",
    only: &[],
    defaults: &["uuid", "subject-identifier", "other-config", "roles"],
    fields: &[
        text("uuid"),
        text("subject-identifier"),
        map("other-config"),
        text("roles").rule(rules::subject_roles).set(),
    ],
};
