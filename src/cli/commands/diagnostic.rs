//! Why a VM can or cannot run somewhere.

use super::context::Context;
use super::table::{Command, Kind, Outcome, command, needs};
use crate::cli::errors::{CliError, layout};
use crate::cli::printing::table::Record;
use crate::cli::records::{Rows, vbd, vm};
use crate::client::CallError;
use crate::xenapi::ha_view::Explanation;
use crate::xenapi::{Failure, Value};

/// The commands.
pub const COMMANDS: &[Command] = &[command(
    "diagnostic-vm-status",
    "Show where a VM can run, and whether HA can move it.",
    vm_status,
)
.takes(&[needs("uuid", Kind::Uuid("vm"))])
.standard()];

fn vm_status(ctx: &mut Context<'_, '_>) -> Outcome {
    let rows = Rows::new(ctx.session, &vm::VM);
    let row = rows.by_uuid(ctx.params.need("uuid")?)?;
    let names = ["uuid", "name-label", "power-state", "possible-hosts"];
    let fields: Vec<_> = names.iter().filter_map(|name| vm::VM.field(name)).collect();
    let record = rows.record(&row, &fields, true)?;
    ctx.console.table(&[record]);

    ctx.console.message("Checking to see whether disks are attachable");
    let devices = Rows::new(ctx.session, &vbd::VBD);
    let names = [
        "uuid",
        "vdi-uuid",
        "empty",
        "device",
        "userdevice",
        "mode",
        "type",
        "attachable",
        "storage-lock",
    ];
    let fields: Vec<_> =
        vbd::VBD.fields.iter().filter(|field| names.contains(&field.name)).collect();
    let vbds = ctx.session.records("VBD")?;
    let mut records = Vec::new();
    for device in row.record.get("VBDs").and_then(Value::as_array).unwrap_or_default() {
        let reference = device.as_str().unwrap_or("").to_owned();
        if let Some(record) = vbds.get(&reference) {
            let device = crate::cli::records::Row { reference, record: record.clone() };
            records.push(devices.record(&device, &fields, true)?);
        }
    }
    ctx.console.table(&records);

    ctx.console.message("Checking to see whether VM can boot on each host");
    let vm = row.reference.as_str().into();
    let table = hosts_table(ctx, &vm)?;
    ctx.console.table(&[table]);
    let verdict = match ctx.session.call("VM.assert_agile", std::slice::from_ref(&vm)) {
        Ok(_) => "VM is agile.".to_owned(),
        Err(CallError::Api(failure)) => {
            format!("VM is not agile because: {}", why(ctx, &failure))
        }
        Err(broken) => return Err(broken.into()),
    };
    ctx.console.message(&verdict);
    tell_more(ctx, vm);
    Ok(())
}

/// On stderr, where scripts do not look: every reason with what mends it, if the server tells.
fn tell_more(ctx: &mut Context<'_, '_>, vm: Value) {
    let told: Result<Explanation, _> = super::ha_view::told(ctx, "VM.xe_ha_explain", &[vm]);
    for reason in told.map(|told| told.reasons).unwrap_or_default() {
        ctx.console.note(&format!("{} {}: {}", reason.class, reason.object, reason.why));
        for command in reason.mend {
            ctx.console.note(&format!("    xe {command}"));
        }
    }
}

/// One line a host: can the VM start there now?
pub fn hosts_table(ctx: &Context<'_, '_>, vm: &Value) -> Result<Record, CliError> {
    let hosts = ctx.call("host.get_all", &[])?;
    let mut record = Vec::new();
    for host in hosts.as_array().unwrap_or_default() {
        let name = ctx.text("host.get_name_label", std::slice::from_ref(host))?;
        let verdict = match ctx.session.call("VM.assert_can_boot_here", &[vm.clone(), host.clone()])
        {
            Ok(_) => "OK".to_owned(),
            Err(CallError::Api(failure)) => {
                format!("Cannot start here [{}]", why(ctx, &failure))
            }
            Err(broken) => return Err(broken.into()),
        };
        record.push((name, verdict));
    }
    Ok(record)
}

/// A reason in the few words that scripts know.
fn why(ctx: &Context<'_, '_>, failure: &Failure) -> String {
    let object = |at: usize| {
        failure.params.get(at).map_or_else(
            || "<server did not provide reference>".to_owned(),
            |reference| ctx.described(reference),
        )
    };
    let text = |at: usize| failure.params.get(at).map_or("", String::as_str);
    let enable = "(use 'xe host-enable' to re-enable)";
    match failure.code.as_str() {
        "VM_REQUIRES_SR" => format!("VM requires access to SR: {}", object(1)),
        "HOST_DISABLED" => format!("Host disabled {enable}"),
        "HOST_DISABLED_INDEFINITELY" => format!("Host disabled indefinitely {enable}"),
        "HOST_NOT_LIVE" => "Host down".to_owned(),
        "HOST_NOT_ENOUGH_FREE_MEMORY" => "Not enough free memory".to_owned(),
        "HOST_NOT_ENOUGH_PCPUS" => {
            format!("Not enough CPUs (VM needs {}, but host has {})", text(0), text(1))
        }
        "VM_REQUIRES_NETWORK" => format!("VM requires access to network: {}", object(1)),
        "HOST_CANNOT_ATTACH_NETWORK" => {
            format!("Host cannot attach to network: {}", object(1))
        }
        "VM_HVM_REQUIRED" => "HVM not supported".to_owned(),
        "INVALID_VALUE" => format!("Field has invalid value: {} = {}", text(0), text(1)),
        "HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED" => format!(
            "VM requires access to non-shared SR: {}. Put its disk on shared storage that every \
             host is connected to.",
            object(0)
        ),
        "HA_CONSTRAINT_VIOLATION_NETWORK_NOT_SHARED" => format!(
            "VM requires access to non-shared Network: {}. Give every host an interface on it.",
            object(0)
        ),
        _ => layout::raised(failure),
    }
}
