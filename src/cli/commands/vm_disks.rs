//! The disks and CDs of a VM.

use super::context::Context;
use super::table::{Command, Kind, Outcome, VMS, command, may, needs};
use super::vbd::vbd_record;
use crate::cli::dialect::values;
use crate::cli::errors::CliError;
use crate::cli::records::{Class, Row, Rows, vbd, vdi, vif};
use crate::xenapi::{Failure, Value};

const COLUMNS: &[super::table::Parameter] =
    &[may("vbd-params", Kind::Text), may("vdi-params", Kind::Text)];

/// The commands.
pub const COMMANDS: &[Command] = &[
    command("vm-disk-list", "Show the disks of a VM.", |ctx| list(ctx, "Disk"))
        .takes(COLUMNS)
        .on(VMS)
        .standard(),
    command("vm-cd-list", "Show the CDs of a VM.", |ctx| list(ctx, "CD"))
        .takes(COLUMNS)
        .on(VMS)
        .standard(),
    command("cd-list", "Show the CD images that can be inserted.", cd_list)
        .takes(&[may("params", Kind::Text)])
        .standard(),
    command("vm-vif-list", "Show the network interfaces of a VM.", vif_list).on(VMS).standard(),
    command("vm-disk-add", "Give a VM a new disk.", disk_add)
        .takes(&[
            needs("disk-size", Kind::Size),
            needs("device", Kind::Text),
            may("sr-uuid", Kind::Uuid("sr")),
        ])
        .on(VMS)
        .standard(),
    command("vm-cd-add", "Give a VM a drive with a CD in it.", cd_add)
        .takes(&[needs("cd-name", Kind::Text), needs("device", Kind::Text)])
        .on(VMS)
        .standard(),
    command("vm-cd-eject", "Take the CD out of a VM's drive.", cd_eject).on(VMS).standard(),
    command("vm-cd-insert", "Put a CD into a VM's empty drive.", cd_insert)
        .takes(&[needs("cd-name", Kind::Text)])
        .on(VMS)
        .standard(),
];

/// The block devices of a VM that have this type, as rows.
fn devices(ctx: &Context<'_, '_>, vm: &Row, kind: &str) -> Result<Vec<Row>, CliError> {
    let vbds = ctx.session.records("VBD")?;
    let own = vm.record.get("VBDs").and_then(Value::as_array).unwrap_or_default();
    Ok(own
        .iter()
        .filter_map(|vbd| {
            let reference = vbd.as_str()?.to_owned();
            let record = vbds.get(&reference)?.clone();
            Some(Row { reference, record })
        })
        .filter(|row| row.text("type") == kind)
        .collect())
}

fn is_empty(row: &Row) -> bool {
    row.record.get("empty").and_then(Value::as_bool) == Some(true)
}

fn list(ctx: &mut Context<'_, '_>, kind: &str) -> Outcome {
    let vbd_params = ctx.params.get("vbd-params").unwrap_or("uuid,vm-name-label,userdevice");
    let vdi_params =
        ctx.params.get("vdi-params").unwrap_or("uuid,name-label,virtual-size,sr-name-label");
    let (vbd_params, vdi_params) = (vbd_params.to_owned(), vdi_params.to_owned());
    ctx.on_each(VMS, |ctx, vm| {
        let devices = devices(ctx, vm, kind)?;
        for (number, device) in devices.iter().enumerate() {
            ctx.console.message(&format!("{kind} {number} VBD:"));
            show(ctx, &vbd::VBD, device, &vbd_params)?;
            if is_empty(device) {
                continue;
            }
            let reference = device.text("VDI").to_owned();
            let found = ctx.session.records_once("VDI")?.get(&reference).cloned();
            if let Some(record) = found {
                ctx.console.message(&format!("{kind} {number} VDI:"));
                show(ctx, &vdi::VDI, &Row { reference, record }, &vdi_params)?;
            }
        }
        Ok(())
    })?;
    Ok(())
}

/// The disks on storage for images.
fn cd_list(ctx: &mut Context<'_, '_>) -> Outcome {
    let rows = Rows::new(ctx.session, &vdi::VDI);
    let srs = ctx.session.records_once("SR")?;
    let is_image = |row: &Row| {
        let sr = srs.get(row.text("SR"));
        sr.and_then(|sr| sr.get("content_type")).and_then(Value::as_str) == Some("iso")
    };
    let fields = vdi::VDI.shown(Some(ctx.params.get("params").unwrap_or("name-label,uuid")));
    let records = rows
        .all()?
        .iter()
        .filter(|row| is_image(row))
        .map(|row| rows.record(row, &fields, false))
        .collect::<Result<Vec<_>, _>>()?;
    ctx.console.table(&records);
    Ok(())
}

fn vif_list(ctx: &mut Context<'_, '_>) -> Outcome {
    let records = ctx.on_each(VMS, |ctx, vm| {
        let rows = Rows::new(ctx.session, &vif::VIF);
        let fields = vif::VIF.shown(Some("uuid,device,MAC,network-uuid,network-name-label"));
        let own = rows.all()?.into_iter().filter(|row| row.text("VM") == vm.reference);
        own.map(|row| rows.record(&row, &fields, false)).collect::<Result<Vec<_>, _>>()
    })?;
    ctx.console.table(&records.concat());
    Ok(())
}

fn show(ctx: &mut Context<'_, '_>, class: &'static Class, row: &Row, params: &str) -> Outcome {
    let rows = Rows::new(ctx.session, class);
    let record = rows.record(row, &class.shown(Some(params)), true)?;
    ctx.console.table(&[record]);
    Ok(())
}

fn disk_add(ctx: &mut Context<'_, '_>) -> Outcome {
    let size = values::size("disk-size", ctx.params.need("disk-size")?)?;
    let device = ctx.params.need("device")?.to_owned();
    let sr = match ctx.object_if_given("SR", "sr-uuid")? {
        Some(sr) => sr,
        None => ctx.call("pool.get_default_SR", &[ctx.pool()?])?,
    };
    ctx.on_each(VMS, |ctx, vm| {
        let name = format!("Disk of {}", vm.text("name_label"));
        let record = super::vdi::vdi_record(sr.clone(), &name, size);
        let disk = ctx.call("VDI.create", &[Value::Struct(record)])?;
        let mut record = vbd_record(vm.reference.as_str().into(), disk.clone(), &device);
        // The mark by which vm-uninstall knows that the disk goes with the VM.
        record.insert("other_config".to_owned(), Value::text_map([("owner", "")]));
        let added = ctx
            .call("VBD.create", &[Value::Struct(record)])
            .and_then(|vbd| plug_if_running(ctx, vm, vbd));
        if added.is_err() {
            let _ = ctx.session.call("VDI.destroy", &[disk]);
        }
        added
    })?;
    Ok(())
}

fn plug_if_running(ctx: &Context<'_, '_>, vm: &Row, vbd: Value) -> Outcome {
    if vm.text("power_state") == "Running" {
        ctx.call("VBD.plug", &[vbd])?;
    }
    Ok(())
}

/// The CD image with this name, on storage for images.
fn image(ctx: &Context<'_, '_>, name: &str) -> Result<Value, CliError> {
    let found = ctx.call("VDI.get_by_name_label", &[name.into()])?;
    for vdi in found.as_array().unwrap_or_default() {
        let sr = ctx.call("VDI.get_SR", std::slice::from_ref(vdi))?;
        if ctx.text("SR.get_content_type", &[sr])? == "iso" {
            return Ok(vdi.clone());
        }
    }
    Err(CliError::text(format!("CD {name} not found; xe cd-list names those that there are")))
}

fn cd_add(ctx: &mut Context<'_, '_>) -> Outcome {
    let cd = image(ctx, ctx.params.need("cd-name")?)?;
    let device = ctx.params.need("device")?.to_owned();
    ctx.on_each(VMS, |ctx, vm| {
        let mut record = vbd_record(vm.reference.as_str().into(), cd.clone(), &device);
        record.insert("mode".to_owned(), "RO".into());
        record.insert("type".to_owned(), "CD".into());
        let vbd = ctx.call("VBD.create", &[Value::Struct(record)])?;
        plug_if_running(ctx, vm, vbd)
    })?;
    Ok(())
}

fn cd_eject(ctx: &mut Context<'_, '_>) -> Outcome {
    ctx.on_each(VMS, |ctx, vm| {
        let drives = devices(ctx, vm, "CD")?;
        let full: Vec<&Row> = drives.iter().filter(|drive| !is_empty(drive)).collect();
        match full.as_slice() {
            [drive] => ctx.call("VBD.eject", &[drive.reference.as_str().into()]),
            [] => Err(CliError::text("the VM has no CD in a drive")),
            _ => {
                Err(CliError::text("several drives of the VM hold a CD; choose one with vbd-eject"))
            }
        }
    })?;
    Ok(())
}

fn cd_insert(ctx: &mut Context<'_, '_>) -> Outcome {
    let cd = image(ctx, ctx.params.need("cd-name")?)?;
    ctx.on_each(VMS, |ctx, vm| {
        let drives = devices(ctx, vm, "CD")?;
        let Some(drive) = drives.iter().find(|drive| is_empty(drive)) else {
            return Err(Failure::new("VM_NO_EMPTY_CD_VBD", [vm.reference.as_str()]).into());
        };
        ctx.call("VBD.insert", &[drive.reference.as_str().into(), cd.clone()])
    })?;
    Ok(())
}
