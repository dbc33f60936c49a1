//! Virtual network interfaces.

use std::collections::BTreeMap;

use super::context::Context;
use super::table::{Arg, Command, Kind, Outcome, call, command, may, needs};
use crate::xenapi::Value;

const VIF: Arg = Arg::Object("VIF", "vif", "uuid");

/// The commands.
pub const COMMANDS: &[Command] = &[
    command("vif-create", "Give a VM an interface on a network.", create)
        .takes(&[
            needs("device", Kind::Text),
            needs("network-uuid", Kind::Uuid("network")),
            needs("vm-uuid", Kind::Uuid("vm")),
            may("mac", Kind::Text),
        ])
        .examples(&["vif-create vm-uuid=4a1cb250-342c-4b35-8bd9-efc78ca2c261 device=0 \
             network-uuid=b33187c0-b231-0c69-6ee9-3ad2dcefa6f8"]),
    call("vif-plug", "Attach an interface to its running VM.", "VIF.plug", &[VIF]),
    command("vif-unplug", "Detach an interface from its running VM.", |ctx| {
        let method = if ctx.forced()? { "VIF.unplug_force" } else { "VIF.unplug" };
        let vif = ctx.object("VIF", "uuid")?;
        ctx.call(method, &[vif])?;
        Ok(())
    })
    .takes(&[needs("uuid", Kind::Uuid("vif")), may("force", Kind::Bool)]),
    call("vif-destroy", "Remove an interface.", "VIF.destroy", &[VIF]),
    call(
        "vif-move",
        "Put an interface on another network.",
        "VIF.move",
        &[VIF, Arg::Object("network", "network", "network-uuid")],
    ),
    call(
        "vif-configure-ipv4",
        "Set the address of an interface inside the VM.",
        "VIF.configure_ipv4",
        &[VIF, Arg::Text("mode"), Arg::TextOr("address", ""), Arg::TextOr("gateway", "")],
    ),
    call(
        "vif-configure-ipv6",
        "Set the IPv6 address of an interface inside the VM.",
        "VIF.configure_ipv6",
        &[VIF, Arg::Text("mode"), Arg::TextOr("address", ""), Arg::TextOr("gateway", "")],
    ),
];

fn create(ctx: &mut Context<'_, '_>) -> Outcome {
    let vm = ctx.object("VM", "vm-uuid")?;
    let network = ctx.object("network", "network-uuid")?;
    let mtu = ctx.call("network.get_MTU", std::slice::from_ref(&network))?;
    // `random` asks for a new address, as no address at all does.
    let mac = ctx.params.get("mac").filter(|mac| *mac != "random").unwrap_or("");
    let empty = || Value::Struct(BTreeMap::new());
    let record = [
        ("device", ctx.params.need("device")?.into()),
        ("network", network),
        ("VM", vm),
        ("MAC", mac.into()),
        ("MTU", Value::Int(mtu.as_int().unwrap_or(1500))),
        ("other_config", empty()),
        ("qos_algorithm_type", "".into()),
        ("qos_algorithm_params", empty()),
        ("locking_mode", "network_default".into()),
        ("ipv4_allowed", Value::Array(Vec::new())),
        ("ipv6_allowed", Value::Array(Vec::new())),
    ];
    let record = record.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let made = ctx.call("VIF.create", &[Value::Struct(record)])?;
    let uuid = ctx.uuid("VIF", &made)?;
    ctx.console.result(uuid);
    Ok(())
}
