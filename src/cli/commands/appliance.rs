//! Appliances: VMs that are started and stopped together.

use super::context::Context;
use super::table::{Arg, Command, Kind, Outcome, call, command, may, needs};
use crate::xenapi::Value;

const APPLIANCE: Arg = Arg::Object("VM_appliance", "appliance", "uuid");

/// The commands.
pub const COMMANDS: &[Command] = &[
    command("appliance-create", "Make an appliance without VMs.", create)
        .takes(&[needs("name-label", Kind::Text), may("name-description", Kind::Text)]),
    call(
        "appliance-destroy",
        "Remove an appliance; its VMs stay.",
        "VM_appliance.destroy",
        &[APPLIANCE],
    ),
    call(
        "appliance-start",
        "Start the VMs of an appliance in their order.",
        "VM_appliance.start",
        &[APPLIANCE, Arg::Flag("paused", false)],
    ),
    command("appliance-shutdown", "Shut the VMs of an appliance down.", |ctx| {
        let force = ctx.forced()?;
        let method =
            if force { "VM_appliance.hard_shutdown" } else { "VM_appliance.clean_shutdown" };
        let appliance = ctx.object("VM_appliance", "uuid")?;
        ctx.call(method, &[appliance])?;
        Ok(())
    })
    .takes(&[needs("uuid", Kind::Uuid("appliance")), may("force", Kind::Bool)]),
];

fn create(ctx: &mut Context<'_, '_>) -> Outcome {
    let record = [
        ("name_label", ctx.params.need("name-label")?),
        ("name_description", ctx.params.text("name-description")),
    ];
    let made = ctx.call("VM_appliance.create", &[Value::text_map(record)])?;
    let uuid = ctx.uuid("VM_appliance", &made)?;
    ctx.console.result(uuid);
    Ok(())
}
