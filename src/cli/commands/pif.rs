//! Physical network interfaces of hosts.

use super::context::Context;
use super::table::{Arg, Command, Kind, Outcome, Prints, call, command, needs};

const PIF: Arg = Arg::Object("PIF", "pif", "uuid");
const HOST: Arg = Arg::Object("host", "host", "host-uuid");

/// The commands.
pub const COMMANDS: &[Command] = &[
    command("vlan-create", "Give a network to a host over a tagged interface.", vlan_create).takes(
        &[
            needs("pif-uuid", Kind::Uuid("pif")),
            needs("vlan", Kind::Int),
            needs("network-uuid", Kind::Uuid("network")),
        ],
    ),
    call("pif-plug", "Bring an interface up.", "PIF.plug", &[PIF]),
    call("pif-unplug", "Take an interface down.", "PIF.unplug", &[PIF]),
    call("pif-scan", "Look for new interfaces of a host.", "PIF.scan", &[HOST]),
    call("pif-forget", "Forget an interface that is gone.", "PIF.forget", &[PIF]),
    call("pif-db-forget", "Forget an interface's record only.", "PIF.db_forget", &[PIF]).hidden(),
    call(
        "pif-introduce",
        "Tell the pool of an interface of a host.",
        "PIF.introduce",
        &[HOST, Arg::TextOr("mac", ""), Arg::Text("device"), Arg::Flag("managed", true)],
    )
    .prints(Prints::UuidOf("PIF")),
    call(
        "pif-reconfigure-ip",
        "Record the static address that an interface of a host has; xe configures none.",
        "PIF.reconfigure_ip",
        &[
            PIF,
            Arg::Text("mode"),
            Arg::TextOr("IP", ""),
            Arg::TextOr("netmask", ""),
            Arg::TextOr("gateway", ""),
            Arg::TextOr("DNS", ""),
        ],
    ),
    call(
        "pif-reconfigure-ipv6",
        "Record the static IPv6 address that an interface of a host has; xe configures none.",
        "PIF.reconfigure_ipv6",
        &[
            PIF,
            Arg::Text("mode"),
            Arg::TextOr("IPv6", ""),
            Arg::TextOr("gateway", ""),
            Arg::TextOr("DNS", ""),
        ],
    ),
    call(
        "pif-set-primary-address-type",
        "Choose between IPv4 and IPv6 for an interface.",
        "PIF.set_primary_address_type",
        &[PIF, Arg::Text("primary_address_type")],
    ),
];

/// Prints the uuid of the interface that was made.
fn vlan_create(ctx: &mut Context<'_, '_>) -> Outcome {
    let tagged = ctx.object("PIF", "pif-uuid")?;
    ctx.params.need("vlan")?;
    let tag = ctx.params.int("vlan", 0)?;
    let network = ctx.object("network", "network-uuid")?;
    let vlan = ctx.call("VLAN.create", &[tagged, tag.into(), network])?;
    let untagged = ctx.call("VLAN.get_untagged_PIF", &[vlan])?;
    let uuid = ctx.uuid("PIF", &untagged)?;
    ctx.console.result(uuid);
    Ok(())
}
