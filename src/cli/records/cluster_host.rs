//! What `xe cluster-host-list` and its companions show.

use super::field::{Class, date, map, text, uuid_of};

/// The table of `cluster-host`.
pub static CLUSTER_HOST: Class = Class {
    name: "cluster-host",
    noun: "cluster host",
    api: "Cluster_host",
    needs: "",
    only: &[],
    defaults: &[
        "uuid",
        "cluster",
        "pif",
        "host",
        "enabled",
        "allowed-operations",
        "current-operations",
        "other-config",
    ],
    fields: &[
        text("uuid"),
        uuid_of("cluster", "Cluster"),
        uuid_of("PIF", "PIF"),
        uuid_of("host", "host"),
        text("enabled"),
        text("joined"),
        text("live"),
        date("last-update-live"),
        text("allowed-operations").set(),
        text("current-operations").set(),
        map("other-config"),
    ],
};
