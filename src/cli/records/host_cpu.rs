//! What `xe host-cpu-list` and its companions show.

use super::field::{Class, float, int, text, uuid_of};
use super::rules;

/// The table of `host-cpu`.
pub static HOST_CPU: Class = Class {
    name: "host-cpu",
    noun: "host CPU",
    api: "host_cpu",
    needs: "",
    only: &[],
    defaults: &["uuid", "number", "vendor", "speed", "utilisation"],
    fields: &[
        text("uuid"),
        uuid_of("host-uuid", "host").api("host"),
        int("number"),
        text("vendor"),
        int("speed"),
        int("model"),
        int("family"),
        text("modelname"),
        text("stepping"),
        text("flags"),
        float("utilisation").rule(rules::cpu_utilisation).expensive(),
    ],
};
