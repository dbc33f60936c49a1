//! Snapshots of VMs.

use super::context::Context;
use super::table::{Command, Kind, Outcome, command, may, needs};
use crate::cli::errors::CliError;
use crate::cli::records::Row;
use crate::xenapi::Value;

const WHICH: &[super::table::Parameter] =
    &[may("uuid", Kind::Uuid("snapshot")), may("snapshot-uuid", Kind::Uuid("snapshot"))];

/// The commands.
pub const COMMANDS: &[Command] = &[
    command("snapshot-clone", "Make a template from a snapshot.", |ctx| {
        let name = ctx.params.need("new-name-label")?.to_owned();
        let row = chosen(ctx)?;
        let made = ctx.call("VM.clone", &[row.reference.as_str().into(), name.into()])?;
        if let Some(text) = ctx.params.get("new-name-description") {
            ctx.call("VM.set_name_description", &[made.clone(), text.into()])?;
        }
        let uuid = ctx.uuid("VM", &made)?;
        ctx.console.result(uuid);
        Ok(())
    })
    .takes(&[
        needs("new-name-label", Kind::Text),
        may("uuid", Kind::Uuid("snapshot")),
        may("new-name-description", Kind::Text),
    ])
    .examples(&["snapshot-clone uuid=4a1cb250-342c-4b35-8bd9-efc78ca2c261 new-name-label=base"])
    .standard(),
    command("snapshot-revert", "Put a VM back to a snapshot.", |ctx| on(ctx, "VM.revert"))
        .takes(WHICH)
        .examples(&["snapshot-revert uuid=4a1cb250-342c-4b35-8bd9-efc78ca2c261"])
        .standard(),
    command("snapshot-destroy", "Remove a snapshot's record; its disks stay.", |ctx| {
        on(ctx, "VM.destroy")
    })
    .takes(WHICH)
    .examples(&["snapshot-destroy uuid=4a1cb250-342c-4b35-8bd9-efc78ca2c261"]),
];

/// The snapshot that `uuid=` or `snapshot-uuid=` names.
pub fn chosen(ctx: &Context<'_, '_>) -> Result<Row, CliError> {
    let key = ["uuid", "snapshot-uuid"].into_iter().find(|key| ctx.params.has(key));
    let Some(key) = key else {
        return Err(CliError::text("Required parameter not found: snapshot-uuid"));
    };
    let vm = ctx.object("VM", key)?;
    let record = ctx.call("VM.get_record", std::slice::from_ref(&vm))?;
    if record.get("is_a_snapshot").and_then(Value::as_bool) != Some(true) {
        return Err(CliError::text("this is no snapshot; snapshot-list shows them"));
    }
    Ok(Row { reference: vm.as_str().unwrap_or("").to_owned(), record })
}

fn on(ctx: &mut Context<'_, '_>, method: &str) -> Outcome {
    let row = chosen(ctx)?;
    ctx.call(method, &[row.reference.as_str().into()])?;
    Ok(())
}
