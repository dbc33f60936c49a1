//! Bonds, VLANs, tunnels and SR-IOV: how interfaces are put together.

use super::table::{Arg, Command, Prints, call};

/// The commands.
pub const COMMANDS: &[Command] = &[
    call(
        "bond-destroy",
        "Take a bond apart.",
        "Bond.destroy",
        &[Arg::Object("Bond", "bond", "uuid")],
    ),
    call(
        "bond-set-mode",
        "Choose how a bond spreads its traffic.",
        "Bond.set_mode",
        &[Arg::Object("Bond", "bond", "uuid"), Arg::Text("mode")],
    ),
    call(
        "tunnel-destroy",
        "Remove a tunnel.",
        "tunnel.destroy",
        &[Arg::Object("tunnel", "tunnel", "uuid")],
    ),
    call(
        "network-sriov-create",
        "Let VMs use virtual functions of an interface.",
        "network_sriov.create",
        &[Arg::Object("PIF", "pif", "pif-uuid"), Arg::Object("network", "network", "network-uuid")],
    )
    .prints(Prints::UuidOf("network_sriov")),
    call(
        "network-sriov-destroy",
        "Stop the use of virtual functions of an interface.",
        "network_sriov.destroy",
        &[Arg::Object("network_sriov", "network-sriov", "uuid")],
    ),
    call(
        "sdn-controller-forget",
        "Forget a network controller.",
        "SDN_controller.forget",
        &[Arg::Object("SDN_controller", "sdn-controller", "uuid")],
    ),
    call(
        "pool-set-vswitch-controller",
        "Name the pool's switch controller.",
        "pool.set_vswitch_controller",
        &[Arg::Text("address")],
    )
    .hidden(),
];
