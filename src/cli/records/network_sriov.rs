//! What `xe network-sriov-list` and its companions show.

use super::field::{Class, int, text, uuid_of};
use super::rules;

/// The table of `network-sriov`.
pub static NETWORK_SRIOV: Class = Class {
    name: "network-sriov",
    noun: "SR-IOV network",
    api: "network_sriov",
    needs: "",
    only: &[],
    defaults: &["uuid", "physical-pif", "logical-pif", "requires-reboot", "configuration-mode"],
    fields: &[
        text("uuid"),
        uuid_of("physical-PIF", "PIF"),
        uuid_of("logical-PIF", "PIF"),
        text("requires-reboot"),
        int("remaining-capacity").rule(rules::remaining_capacity).expensive(),
    ],
};
