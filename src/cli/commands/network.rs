//! Networks.

use super::context::Context;
use super::table::{Arg, Command, Kind, Outcome, call, command, may, needs};
use crate::xenapi::Value;

/// The commands.
pub const COMMANDS: &[Command] = &[
    command("network-create", "Make a network.", create).takes(&[
        needs("name-label", Kind::Text),
        may("name-description", Kind::Text),
        may("MTU", Kind::Int),
        may("bridge", Kind::Text),
        may("managed", Kind::Bool),
    ]),
    call(
        "network-destroy",
        "Remove a network that nobody uses.",
        "network.destroy",
        &[Arg::Object("network", "network", "uuid")],
    ),
    call(
        "network-attach",
        "Bring a network up on a host.",
        "network.attach",
        &[Arg::Object("network", "network", "uuid"), Arg::Object("host", "host", "host-uuid")],
    )
    .hidden(),
];

fn create(ctx: &mut Context<'_, '_>) -> Outcome {
    let record = [
        ("name_label", ctx.params.need("name-label")?.into()),
        ("name_description", ctx.params.text("name-description").into()),
        ("MTU", ctx.params.int("MTU", 1500)?.into()),
        ("bridge", ctx.params.text("bridge").into()),
        ("managed", ctx.params.flag("managed", true)?.into()),
        ("other_config", Value::Struct(Default::default())),
        ("tags", Value::Array(Vec::new())),
    ];
    let record = record.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let made = ctx.call("network.create", &[Value::Struct(record)])?;
    let uuid = ctx.uuid("network", &made)?;
    ctx.console.result(uuid);
    Ok(())
}
