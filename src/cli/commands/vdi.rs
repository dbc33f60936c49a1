//! Virtual disks.

use std::collections::BTreeMap;

use super::context::Context;
use super::table::{Arg, Command, Kind, Outcome, Prints, call, command, maps, may, needs};
use crate::cli::dialect::values;
use crate::xenapi::Value;

const VDI: Arg = Arg::Object("VDI", "vdi", "uuid");

/// The commands.
pub const COMMANDS: &[Command] = &[
    command("vdi-create", "Make a disk.", create)
        .takes(&[
            needs("sr-uuid", Kind::Uuid("sr")),
            needs("name-label", Kind::Text),
            needs("virtual-size", Kind::Size),
            maps("sm-config"),
            may("sharable", Kind::Bool),
            maps("tags"),
            may("type", Kind::Word(&["user", "system", "ephemeral", "suspend", "crashdump"])),
        ])
        .examples(&["vdi-create sr-uuid=5342ea46-0388-3284-b812-21902430f3b0 name-label=data \
             virtual-size=20GiB"]),
    call("vdi-destroy", "Destroy a disk with what is on it.", "VDI.destroy", &[VDI]),
    call("vdi-forget", "Forget a disk; what is on it stays.", "VDI.forget", &[VDI]),
    call("vdi-update", "Read the figures of a disk again.", "VDI.update", &[VDI]),
    command("vdi-resize", "Make a disk larger.", resize).takes(&[
        needs("uuid", Kind::Uuid("vdi")),
        needs("disk-size", Kind::Size),
        may("online", Kind::Bool),
    ]),
    call(
        "vdi-copy",
        "Copy a disk, to other storage if wanted.",
        "VDI.copy",
        &[
            VDI,
            Arg::ObjectOrNull("SR", "sr", "sr-uuid"),
            Arg::ObjectOrNull("VDI", "vdi", "base-vdi-uuid"),
            Arg::ObjectOrNull("VDI", "vdi", "into-vdi-uuid"),
        ],
    )
    .prints(Prints::UuidOf("VDI")),
    call(
        "vdi-snapshot",
        "Keep a disk as it is now.",
        "VDI.snapshot",
        &[VDI, Arg::Map("driver-params")],
    )
    .prints(Prints::UuidOf("VDI")),
    call(
        "vdi-clone",
        "Copy a disk, sharing blocks where the storage can.",
        "VDI.clone",
        &[VDI, Arg::Map("driver-params")],
    )
    .prints(Prints::UuidOf("VDI")),
    call("vdi-enable-cbt", "Track changed blocks of a disk.", "VDI.enable_cbt", &[VDI]),
    call("vdi-disable-cbt", "Stop tracking changed blocks.", "VDI.disable_cbt", &[VDI]),
    call("vdi-data-destroy", "Drop a snapshot's data.", "VDI.data_destroy", &[VDI]),
    call("vdi-unlock", "Break the lock of a disk.", "VDI.force_unlock", &[VDI])
        .takes(&[may("force", Kind::Bool)])
        .needs_force(),
    call(
        "vdi-pool-migrate",
        "Move a disk in use to other storage.",
        "VDI.pool_migrate",
        &[VDI, Arg::Object("SR", "sr", "sr-uuid"), Arg::Map("options")],
    )
    .prints(Prints::UuidOf("VDI")),
];

/// The record of a new user disk.
pub fn vdi_record(sr: Value, name: &str, size: i64) -> BTreeMap<String, Value> {
    let empty = || Value::Struct(BTreeMap::new());
    [
        ("name_label", name.into()),
        ("name_description", "".into()),
        ("SR", sr),
        ("virtual_size", size.into()),
        ("type", "user".into()),
        ("sharable", false.into()),
        ("read_only", false.into()),
        ("other_config", empty()),
        ("xenstore_data", empty()),
        ("sm_config", empty()),
        ("tags", Value::Array(Vec::new())),
    ]
    .into_iter()
    .map(|(field, value)| (field.to_owned(), value))
    .collect()
}

fn create(ctx: &mut Context<'_, '_>) -> Outcome {
    let size = values::size("virtual-size", ctx.params.need("virtual-size")?)?;
    let sharable = ctx.params.flag("sharable", false)?;
    let sr = ctx.object("SR", "sr-uuid")?;
    let mut record = vdi_record(sr, ctx.params.need("name-label")?, size);
    let kind = ctx.params.get("type").unwrap_or("user").to_lowercase();
    let tags = ctx.params.map("tags").into_iter().map(|(tag, _)| tag);
    record.insert("type".to_owned(), kind.into());
    record.insert("sharable".to_owned(), sharable.into());
    record.insert("sm_config".to_owned(), ctx.map("sm-config"));
    record.insert("tags".to_owned(), Value::text_set(tags));
    let made = ctx.call("VDI.create", &[Value::Struct(record)])?;
    let uuid = ctx.uuid("VDI", &made)?;
    ctx.console.result(uuid);
    Ok(())
}

fn resize(ctx: &mut Context<'_, '_>) -> Outcome {
    let size = values::size("disk-size", ctx.params.need("disk-size")?)?;
    let online = ctx.params.flag("online", false)?;
    let vdi = ctx.object("VDI", "uuid")?;
    let method = if online { "VDI.resize_online" } else { "VDI.resize" };
    ctx.call(method, &[vdi, size.into()])?;
    Ok(())
}
