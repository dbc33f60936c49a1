//! What `xe sdn-controller-list` and its companions show.

use super::field::{Class, int, text};

/// The table of `sdn-controller`.
pub static SDN_CONTROLLER: Class = Class {
    name: "sdn-controller",
    noun: "SDN controller",
    api: "SDN_controller",
    needs: "",
    only: &[],
    defaults: &["uuid", "protocol", "address", "port"],
    fields: &[text("uuid"), text("protocol"), text("address"), int("port")],
};
