//! VMs as things: made, copied, destroyed.

use super::context::Context;
use super::table::{Arg, Command, Kind, Outcome, Prints, Selector, call, command, may, needs};
use crate::cli::errors::CliError;
use crate::cli::records::{Rows, vm};
use crate::xenapi::{NULL_REF, Value};

/// What can be copied: also templates.
const COPYABLE: Selector = Selector::Vms { control_domains: false, templates: true };

const NEW_NAMES: &[super::table::Parameter] =
    &[needs("new-name-label", Kind::Text), may("new-name-description", Kind::Text)];

/// The commands.
pub const COMMANDS: &[Command] = &[
    command("vm-create", "Make an empty VM record.", create)
        .takes(&[needs("name-label", Kind::Text), may("name-description", Kind::Text)])
        .hidden(),
    command("vm-install", "Make a VM from a template.", install)
        .takes(&[
            needs("new-name-label", Kind::Text),
            may("sr-name-label", Kind::Text),
            may("sr-uuid", Kind::Uuid("sr")),
            may("template", Kind::Text),
            may("template-uuid", Kind::Uuid("template")),
            may("template-name", Kind::Text),
            may("copy-bios-strings-from", Kind::Uuid("host")),
        ])
        .examples(&["vm-install new-name-label=web1 template=base sr-name-label=shared"])
        .standard(),
    command("vm-clone", "Copy a VM, sharing disk blocks where the storage can.", |ctx| {
        copies(ctx, "VM.clone", &[])
    })
    .takes(NEW_NAMES)
    .on_one(COPYABLE)
    .standard(),
    command("vm-copy", "Copy a VM with whole disks of its own.", copy)
        .takes(&[
            needs("new-name-label", Kind::Text),
            may("new-name-description", Kind::Text),
            may("sr-uuid", Kind::Uuid("sr")),
        ])
        .on_one(COPYABLE)
        .standard(),
    command("vm-snapshot", "Keep a VM's disks as they are now.", |ctx| {
        let ignored = ctx.objects("VDI", ctx.params.text("ignore-vdi-uuids"))?;
        copies(ctx, "VM.snapshot", &[Value::Array(ignored)])
    })
    .takes(&[
        needs("new-name-label", Kind::Text),
        may("new-name-description", Kind::Text),
        may("ignore-vdi-uuids", Kind::Uuids("vdi")),
    ])
    .on_one(COPYABLE)
    .standard(),
    command("vm-checkpoint", "Keep a VM's disks and memory as they are now.", |ctx| {
        copies(ctx, "VM.checkpoint", &[])
    })
    .takes(NEW_NAMES)
    .on_one(COPYABLE)
    .standard(),
    command("vm-destroy", "Remove a VM's record; its disks stay.", destroy)
        .takes(&[needs("uuid", Kind::Uuid("vm"))]),
    call(
        "vm-call-plugin",
        "Call a function of a plugin for a VM.",
        "VM.call_plugin",
        &[
            Arg::Object("VM", "vm", "vm-uuid"),
            Arg::Text("plugin"),
            Arg::Text("fn"),
            Arg::Map("args"),
        ],
    )
    .prints(Prints::Answer),
];

fn create(ctx: &mut Context<'_, '_>) -> Outcome {
    let name = ctx.params.need("name-label")?;
    let mut record = vm_record();
    record.insert("name_label".to_owned(), name.into());
    record.insert("name_description".to_owned(), ctx.params.text("name-description").into());
    let made = ctx.call("VM.create", &[Value::Struct(record)])?;
    let uuid = ctx.uuid("VM", &made)?;
    ctx.console.result(uuid);
    Ok(())
}

/// The record of a small VM with nothing attached.
fn vm_record() -> std::collections::BTreeMap<String, Value> {
    const MEMORY: i64 = 256 << 20;
    let mut record = std::collections::BTreeMap::new();
    let mut put = |fields: &[&str], value: Value| {
        for field in fields {
            record.insert((*field).to_owned(), value.clone());
        }
    };
    put(&["is_a_template", "is_vmss_snapshot"], false.into());
    put(&["affinity", "appliance", "snapshot_schedule", "suspend_SR"], NULL_REF.into());
    put(&["user_version", "VCPUs_max", "VCPUs_at_startup"], 1.into());
    put(&["order", "start_delay", "shutdown_delay", "version"], 0.into());
    put(
        &["memory_static_max", "memory_static_min", "memory_dynamic_max", "memory_dynamic_min"],
        MEMORY.into(),
    );
    put(&["actions_after_shutdown"], "destroy".into());
    put(&["actions_after_reboot", "actions_after_crash"], "restart".into());
    put(
        &[
            "PV_args",
            "PV_kernel",
            "PV_ramdisk",
            "PV_bootloader",
            "PV_bootloader_args",
            "PV_legacy_args",
            "PCI_bus",
            "recommendations",
            "ha_restart_priority",
            "generation_id",
        ],
        "".into(),
    );
    put(&["HVM_boot_policy"], "BIOS order".into());
    put(&["HVM_shadow_multiplier"], Value::Float(1.0));
    put(&["ha_always_run", "has_vendor_device"], false.into());
    put(&["hardware_platform_version"], 0.into());
    put(&["tags"], Value::Array(Vec::new()));
    put(
        &[
            "HVM_boot_params",
            "VCPUs_params",
            "platform",
            "other_config",
            "xenstore_data",
            "blocked_operations",
            "bios_strings",
        ],
        Value::Struct(Default::default()),
    );
    record
}

fn install(ctx: &mut Context<'_, '_>) -> Outcome {
    let name = ctx.params.need("new-name-label")?;
    let template = template(ctx)?;
    let sr = target_sr(ctx)?;
    let made = match &sr {
        Some(sr) => ctx.call("VM.copy", &[template, name.into(), sr.clone()])?,
        None => ctx.call("VM.clone", &[template, name.into()])?,
    };
    let finished = finish(ctx, &made, sr);
    if let Err(error) = finished {
        // Half a VM helps nobody.
        let _ = ctx.session.call("VM.destroy", &[made]);
        return Err(error);
    }
    let uuid = ctx.uuid("VM", &made)?;
    ctx.console.result(uuid);
    Ok(())
}

fn finish(ctx: &Context<'_, '_>, vm: &Value, sr: Option<Value>) -> Outcome {
    let made = || vm.clone();
    let text = "";
    ctx.call("VM.set_name_description", &[made(), text.into()])?;
    if let Some(sr) = sr {
        ctx.call("VM.set_suspend_SR", &[made(), sr])?;
    }
    ctx.call("VM.provision", &[made()])?;
    if let Some(host) = ctx.object_if_given("host", "copy-bios-strings-from")? {
        ctx.call("VM.copy_bios_strings", &[made(), host])?;
    }
    Ok(())
}

fn template(ctx: &Context<'_, '_>) -> Result<Value, CliError> {
    let wanted = ["template", "template-uuid", "template-name", "template-name-label"]
        .into_iter()
        .find_map(|key| ctx.params.get(key))
        .ok_or_else(|| CliError::Missing("template".to_owned()))?;
    let rows = Rows::new(ctx.session, &vm::TEMPLATE).all()?;
    let is_template = |row: &crate::cli::records::Row| {
        row.record.get("is_a_template").and_then(Value::as_bool) == Some(true)
    };
    let fitting = |field: &str| -> Vec<Value> {
        rows.iter()
            .filter(|row| is_template(row) && row.text(field) == wanted)
            .map(|row| row.reference.as_str().into())
            .collect()
    };
    let by_uuid = fitting("uuid");
    let found = if by_uuid.is_empty() { fitting("name_label") } else { by_uuid };
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(CliError::text("No templates matched")),
        _ => Err(CliError::text("More than one matching template found")),
    }
}

fn target_sr(ctx: &Context<'_, '_>) -> Result<Option<Value>, CliError> {
    if let Some(sr) = ctx.object_if_given("SR", "sr-uuid")? {
        return Ok(Some(sr));
    }
    let Some(name) = ctx.params.get("sr-name-label") else { return Ok(None) };
    let found = ctx.call("SR.get_by_name_label", &[name.into()])?;
    match found.as_array().unwrap_or_default() {
        [one] => Ok(Some(one.clone())),
        [] => Err(CliError::text(format!("no SR is called {name}"))),
        _ => Err(CliError::text(format!("several SRs are called {name}; give sr-uuid="))),
    }
}

/// Copies the picked VM with a new name and prints the copy's uuid.
fn copies(ctx: &mut Context<'_, '_>, method: &str, more: &[Value]) -> Outcome {
    let name = ctx.params.need("new-name-label")?;
    let row = ctx.select_one(COPYABLE)?;
    let mut params = vec![row.reference.as_str().into(), name.into()];
    params.extend_from_slice(more);
    let made = ctx.call(method, &params)?;
    if let Some(text) = ctx.params.get("new-name-description") {
        ctx.call("VM.set_name_description", &[made.clone(), text.into()])?;
    }
    let uuid = ctx.uuid("VM", &made)?;
    ctx.console.result(uuid);
    Ok(())
}

fn copy(ctx: &mut Context<'_, '_>) -> Outcome {
    let sr = ctx.object_if_given("SR", "sr-uuid")?.unwrap_or_else(|| NULL_REF.into());
    copies(ctx, "VM.copy", &[sr])
}

fn destroy(ctx: &mut Context<'_, '_>) -> Outcome {
    let vm = ctx.object("VM", "uuid")?;
    let dom0 = ctx.call("VM.get_is_control_domain", std::slice::from_ref(&vm))?;
    if dom0.as_bool() == Some(true) {
        return Err(CliError::text("a control domain cannot be destroyed"));
    }
    ctx.call("VM.destroy", &[vm])?;
    Ok(())
}
