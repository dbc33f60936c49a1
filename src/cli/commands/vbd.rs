//! Virtual block devices: what connects a VM to a disk.

use std::collections::BTreeMap;
use std::time::Duration;

use super::context::Context;
use super::table::{Arg, Command, Kind, Outcome, call, command, may, needs};
use crate::xenapi::{NULL_REF, Value};

const VBD: Arg = Arg::Object("VBD", "vbd", "uuid");

/// The commands.
pub const COMMANDS: &[Command] = &[
    command("vbd-create", "Connect a VM to a disk, or give it an empty drive.", create)
        .takes(&[
            needs("vm-uuid", Kind::Uuid("vm")),
            needs("device", Kind::Text),
            may("vdi-uuid", Kind::Uuid("vdi")),
            may("bootable", Kind::Bool),
            may("type", Kind::Word(&["Disk", "CD", "Floppy"])),
            may("mode", Kind::Word(&["RW", "RO"])),
            may("unpluggable", Kind::Bool),
        ])
        .examples(&["vbd-create vm-uuid=4a1cb250-342c-4b35-8bd9-efc78ca2c261 device=autodetect \
             vdi-uuid=4a30bd24-d21a-4130-9198-fcbb20d1265a bootable=true"]),
    call("vbd-plug", "Attach a block device to its running VM.", "VBD.plug", &[VBD]),
    command("vbd-unplug", "Detach a block device from its running VM.", unplug).takes(&[
        needs("uuid", Kind::Uuid("vbd")),
        may("timeout", Kind::Int),
        may("force", Kind::Bool),
    ]),
    call("vbd-destroy", "Remove a block device; the disk stays.", "VBD.destroy", &[VBD]),
    call("vbd-eject", "Take the medium out of a drive.", "VBD.eject", &[VBD]),
    call(
        "vbd-insert",
        "Put a medium into a drive.",
        "VBD.insert",
        &[VBD, Arg::Object("VDI", "vdi", "vdi-uuid")],
    ),
];

/// The record of a writable disk device.
pub fn vbd_record(vm: Value, vdi: Value, device: &str) -> BTreeMap<String, Value> {
    let empty = || Value::Struct(BTreeMap::new());
    [
        ("VM", vm),
        ("VDI", vdi),
        ("userdevice", device.into()),
        ("bootable", false.into()),
        ("mode", "RW".into()),
        ("type", "Disk".into()),
        ("unpluggable", true.into()),
        ("empty", false.into()),
        ("other_config", empty()),
        ("qos_algorithm_type", "".into()),
        ("qos_algorithm_params", empty()),
    ]
    .into_iter()
    .map(|(field, value)| (field.to_owned(), value))
    .collect()
}

/// A word of the wire in the wire's case.
fn word(given: Option<&str>, words: &[&str]) -> Option<Value> {
    let given = given?;
    let known = words.iter().find(|word| word.eq_ignore_ascii_case(given));
    Some(known.map_or(given, |word| word).into())
}

fn create(ctx: &mut Context<'_, '_>) -> Outcome {
    let vm = ctx.object("VM", "vm-uuid")?;
    let vdi = ctx.object_if_given("VDI", "vdi-uuid")?;
    let empty = vdi.is_none();
    let vdi = vdi.unwrap_or_else(|| NULL_REF.into());
    let mut record = vbd_record(vm, vdi, ctx.params.need("device")?);
    record.insert("empty".to_owned(), empty.into());
    record.insert("bootable".to_owned(), ctx.params.flag("bootable", false)?.into());
    record.insert("unpluggable".to_owned(), ctx.params.flag("unpluggable", true)?.into());
    if let Some(kind) = word(ctx.params.get("type"), &["Disk", "CD", "Floppy"]) {
        record.insert("type".to_owned(), kind);
    }
    if let Some(mode) = word(ctx.params.get("mode"), &["RW", "RO"]) {
        record.insert("mode".to_owned(), mode);
    }
    let made = ctx.call("VBD.create", &[Value::Struct(record)])?;
    let uuid = ctx.uuid("VBD", &made)?;
    ctx.console.result(uuid);
    Ok(())
}

fn unplug(ctx: &mut Context<'_, '_>) -> Outcome {
    const PAUSE: u64 = 5;
    let method = if ctx.forced()? { "VBD.unplug_force" } else { "VBD.unplug" };
    let vbd = ctx.object("VBD", "uuid")?;
    let mut left = ctx.params.int("timeout", 0)?;
    loop {
        match ctx.call(method, std::slice::from_ref(&vbd)) {
            Err(error) if error.code() == Some("DEVICE_DETACH_REJECTED") && left > 0 => {
                std::thread::sleep(Duration::from_secs(PAUSE));
                left -= PAUSE as i64;
            }
            other => return other.map(drop),
        }
    }
}
