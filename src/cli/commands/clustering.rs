//! Clusters below storage.

use super::table::{Arg, Command, Prints, call};

/// The commands.
pub const COMMANDS: &[Command] = &[
    call(
        "cluster-destroy",
        "Remove a cluster of one host.",
        "Cluster.destroy",
        &[Arg::Object("Cluster", "cluster", "uuid")],
    ),
    call(
        "cluster-host-create",
        "Bring a host into a cluster.",
        "Cluster_host.create",
        &[
            Arg::Object("Cluster", "cluster", "cluster-uuid"),
            Arg::Object("host", "host", "host-uuid"),
            Arg::Object("PIF", "pif", "pif-uuid"),
        ],
    )
    .prints(Prints::UuidOf("Cluster_host"))
    .hidden(),
    call(
        "cluster-host-destroy",
        "Take a host out of a cluster.",
        "Cluster_host.destroy",
        &[Arg::Object("Cluster_host", "cluster-host", "uuid")],
    ),
    call(
        "cluster-host-disable",
        "Stop a host's part in its cluster.",
        "Cluster_host.disable",
        &[Arg::Object("Cluster_host", "cluster-host", "uuid")],
    ),
    call(
        "cluster-host-enable",
        "Start a host's part in its cluster.",
        "Cluster_host.enable",
        &[Arg::Object("Cluster_host", "cluster-host", "uuid")],
    ),
    call(
        "cluster-host-force-destroy",
        "Take a host out of a cluster that it has lost.",
        "Cluster_host.force_destroy",
        &[Arg::Object("Cluster_host", "cluster-host", "uuid")],
    ),
    call(
        "cluster-pool-destroy",
        "Remove the cluster of the whole pool.",
        "Cluster.pool_destroy",
        &[Arg::Object("Cluster", "cluster", "cluster-uuid")],
    ),
    call(
        "cluster-pool-force-destroy",
        "Remove the cluster of the whole pool, whatever answers.",
        "Cluster.pool_force_destroy",
        &[Arg::Object("Cluster", "cluster", "cluster-uuid")],
    ),
    call(
        "cluster-pool-resync",
        "Bring the cluster's settings to every host again.",
        "Cluster.pool_resync",
        &[Arg::Object("Cluster", "cluster", "cluster-uuid")],
    ),
];
