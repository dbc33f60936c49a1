//! Removing VMs, templates and snapshots together with their disks.

use super::context::Context;
use super::table::{Command, Kind, Outcome, VMS, command, may, needs};
use crate::cli::errors::CliError;
use crate::cli::printing::spelling::is_null;
use crate::cli::records::Row;
use crate::xenapi::Value;

/// The commands.
pub const COMMANDS: &[Command] = &[
    command("vm-uninstall", "Destroy a VM together with its disks.", vm)
        .takes(&[may("force", Kind::Bool)])
        .on(VMS)
        .prompts()
        .standard(),
    command("template-uninstall", "Destroy a template together with its disks.", template)
        .takes(&[needs("template-uuid", Kind::Uuid("template")), may("force", Kind::Bool)])
        .prompts()
        .standard(),
    command("snapshot-uninstall", "Destroy a snapshot together with its disks.", snapshot)
        .takes(&[
            may("uuid", Kind::Uuid("snapshot")),
            may("snapshot-uuid", Kind::Uuid("snapshot")),
            may("force", Kind::Bool),
        ])
        .examples(&["snapshot-uninstall uuid=4a1cb250-342c-4b35-8bd9-efc78ca2c261"])
        .prompts()
        .standard(),
];

fn vm(ctx: &mut Context<'_, '_>) -> Outcome {
    let rows = ctx.on_each(VMS, |_, row| Ok(row.clone()))?;
    let mut doomed = Vec::new();
    for row in rows {
        for snapshot in row.record.get("snapshots").and_then(Value::as_array).unwrap_or_default() {
            doomed.push(row_of(ctx, snapshot.clone())?);
        }
        doomed.push(row);
    }
    uninstall(ctx, &doomed)
}

fn template(ctx: &mut Context<'_, '_>) -> Outcome {
    let template = ctx.object("VM", "template-uuid")?;
    let row = row_of(ctx, template)?;
    if row.record.get("is_a_template").and_then(Value::as_bool) != Some(true) {
        return Err(CliError::text("this is no template; use vm-uninstall for a VM"));
    }
    uninstall(ctx, &[row])
}

fn snapshot(ctx: &mut Context<'_, '_>) -> Outcome {
    let row = super::snapshot::chosen(ctx)?;
    uninstall(ctx, &[row])
}

fn row_of(ctx: &Context<'_, '_>, vm: Value) -> Result<Row, CliError> {
    let record = ctx.call("VM.get_record", std::slice::from_ref(&vm))?;
    Ok(Row { reference: vm.as_str().unwrap_or("").to_owned(), record })
}

/// The disks that go with a VM: those marked as owned, and the image of a suspended one.
fn disks(ctx: &Context<'_, '_>, vm: &Row) -> Result<Vec<Row>, CliError> {
    let (vbds, vdis) = (ctx.session.records_once("VBD")?, ctx.session.records_once("VDI")?);
    let mut references: Vec<String> = Vec::new();
    for vbd in vm.record.get("VBDs").and_then(Value::as_array).unwrap_or_default() {
        let Some(vbd) = vbds.get(vbd.as_str().unwrap_or("")) else { continue };
        let owned = vbd.get("other_config").and_then(|config| config.get("owner")).is_some();
        let vdi = vbd.get("VDI").and_then(Value::as_str).unwrap_or("");
        if owned && !is_null(vdi) {
            references.push(vdi.to_owned());
        }
    }
    references.push(vm.text("suspend_VDI").to_owned());
    Ok(references
        .into_iter()
        .filter_map(|reference| {
            let record = vdis.get(&reference)?.clone();
            Some(Row { reference, record })
        })
        .collect())
}

fn uninstall(ctx: &mut Context<'_, '_>, vms: &[Row]) -> Outcome {
    let line = |kind: &str, row: &Row| {
        format!("{kind}: {} ({})\n", row.text("uuid"), row.text("name_label"))
    };
    let mut doomed = Vec::new();
    let mut text = "These objects will be destroyed:\n".to_owned();
    for vm in vms {
        text.push_str(&line("VM ", vm));
        let disks = disks(ctx, vm)?;
        text.extend(disks.iter().map(|disk| line("VDI", disk)));
        doomed.extend(disks);
    }
    // The lists are shown even when nobody is asked.
    ctx.console.direct(&text);
    ctx.confirm(&[])?;
    for vm in vms {
        let reference = [Value::from(vm.reference.as_str())];
        if ctx.text("VM.get_power_state", &reference)? != "Halted" {
            ctx.call("VM.hard_shutdown", &reference)?;
        }
        ctx.call("VM.destroy", &reference)?;
    }
    for disk in &doomed {
        // A suspended VM's image goes with the VM; the others may have gone as well.
        let _ = ctx.session.call("VDI.destroy", &[disk.reference.as_str().into()]);
    }
    ctx.console.direct("All of them are destroyed.\n");
    Ok(())
}
