//! What `xe patch-list` and its companions show.

use super::field::{Class, int, text, uuid_of};
use super::rules;

/// The table of `patch`.
pub static PATCH: Class = Class {
    name: "patch",
    noun: "patch",
    api: "pool_patch",
    needs: "",
    only: &[],
    defaults: &["uuid", "name-label", "name-description", "size", "hosts", "after-apply-guidance"],
    fields: &[
        text("uuid"),
        text("name-label"),
        text("name-description"),
        int("size"),
        text("hosts").rule(rules::patch_hosts).set().commas(),
        text("after-apply-guidance").set().commas(),
        uuid_of("update", "pool_update").api("pool_update"),
    ],
};
