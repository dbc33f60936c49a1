//! What `xe hostdriver-list` and its companions show.

use super::field::{Class, text, uuid_of};
use super::rules;

/// The table of `hostdriver`.
pub static HOSTDRIVER: Class = Class {
    name: "hostdriver",
    noun: "host driver",
    api: "Host_driver",
    needs: "",
    only: &[],
    defaults: &[
        "uuid",
        "name",
        "host-uuid",
        "active-variant",
        "selected-variant",
        "variants",
        "variants-uuid",
    ],
    fields: &[
        text("uuid"),
        text("name"),
        text("type"),
        text("description"),
        text("info"),
        uuid_of("host-uuid", "host").api("host"),
        text("active-variant").rule(rules::active_variant),
        text("selected-variant").rule(rules::selected_variant),
        text("variants").rule(rules::driver_variants),
        text("variants-dev-status").rule(rules::driver_status),
        text("variants-uuid").rule(rules::driver_uuids),
        text("variants-hw-present").rule(rules::driver_hardware),
    ],
};
