//! What `xe hostdriver-variant-list` and its companions show.

use super::field::{Class, text, uuid_of};
use super::rules;

/// The table of `hostdriver-variant`.
pub static HOSTDRIVER_VARIANT: Class = Class {
    name: "hostdriver-variant",
    noun: "host driver variant",
    api: "Driver_variant",
    needs: "",
    only: &[],
    defaults: &[
        "uuid",
        "driver-name",
        "name",
        "version",
        "priority",
        "host-uuid",
        "driver-uuid",
        "active",
        "selected",
        "status",
        "hw-present",
    ],
    fields: &[
        text("uuid"),
        text("name"),
        text("version"),
        text("status"),
        text("priority"),
        text("active").rule(rules::driver_active),
        text("selected").rule(rules::driver_selected),
        uuid_of("driver-uuid", "Host_driver").api("driver"),
        text("driver-name").via("driver", "Host_driver", "name", "<not in database>"),
        uuid_of("host-uuid", "host").via("driver", "Host_driver", "host", "<not in database>"),
        text("hw-present").api("hardware_present"),
    ],
};
