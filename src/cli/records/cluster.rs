//! What `xe cluster-list` and its companions show.

use super::field::{Class, Edit, float, int, map, text, uuid_of};

/// The table of `cluster`.
pub static CLUSTER: Class = Class {
    name: "cluster",
    noun: "cluster",
    api: "Cluster",
    needs: "",
    only: &[],
    defaults: &[
        "uuid",
        "cluster-hosts",
        "cluster-token",
        "cluster-stack",
        "allowed-operations",
        "current-operations",
        "pool-auto-join",
        "cluster-config",
        "other-config",
    ],
    fields: &[
        text("uuid"),
        uuid_of("cluster-hosts", "Cluster_host").set(),
        text("cluster-token"),
        text("cluster-stack"),
        int("cluster-stack-version"),
        float("token-timeout"),
        float("token-timeout-coefficient"),
        text("pending-forget").set().hidden(),
        text("allowed-operations").set(),
        text("current-operations").set(),
        text("pool-auto-join"),
        map("cluster-config"),
        map("other-config").edit(Edit::Entries),
        text("is-quorate"),
        int("quorum"),
        int("live-hosts"),
        int("expected-hosts"),
    ],
};
