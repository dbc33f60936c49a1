//! What `xe host-crashdump-list` and its companions show.

use super::field::{Class, date, int, text, uuid_of};

/// The table of `host-crashdump`.
pub static HOST_CRASHDUMP: Class = Class {
    name: "host-crashdump",
    noun: "host crash dump",
    api: "host_crashdump",
    needs: "",
    only: &[],
    defaults: &["uuid", "host", "timestamp", "size"],
    fields: &[
        text("uuid"),
        uuid_of("host-uuid", "host").api("host"),
        date("timestamp"),
        int("size"),
    ],
};
