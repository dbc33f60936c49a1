//! Storage repositories, and the connections of hosts to them.

use super::context::Context;
use super::table::{Arg, Command, Kind, Outcome, call, command, maps, may, needs};
use crate::cli::dialect::values;
use crate::cli::errors::CliError;
use crate::xenapi::Value;

/// The commands.
pub const COMMANDS: &[Command] = &[
    command("sr-create", "Make new storage and connect hosts to it.", create)
        .takes(&[
            needs("name-label", Kind::Text),
            needs("type", Kind::Text),
            may("name-description", Kind::Text),
            may("host-uuid", Kind::Uuid("host")),
            maps("device-config"),
            may("shared", Kind::Bool),
            may("physical-size", Kind::Size),
            may("content-type", Kind::Text),
            maps("sm-config"),
        ])
        .examples(&[
            "sr-create name-label=shared type=nfs shared=true device-config:server=10.0.0.9 \
             device-config:serverpath=/export",
        ]),
    command("sr-introduce", "Tell the pool of storage that exists already.", introduce).takes(&[
        needs("name-label", Kind::Text),
        needs("type", Kind::Text),
        needs("uuid", Kind::Uuid("sr")),
        may("name-description", Kind::Text),
        may("shared", Kind::Bool),
        may("content-type", Kind::Text),
    ]),
    call(
        "sr-forget",
        "Forget storage; what is on it stays.",
        "SR.forget",
        &[Arg::Object("SR", "sr", "uuid")],
    ),
    call(
        "sr-scan",
        "Look for disks that were added or lost.",
        "SR.scan",
        &[Arg::Object("SR", "sr", "uuid")],
    ),
    call(
        "sr-destroy",
        "Destroy storage with all that is on it.",
        "SR.destroy",
        &[Arg::Object("SR", "sr", "uuid")],
    ),
    call(
        "sr-update",
        "Read the figures of storage again.",
        "SR.update",
        &[Arg::Object("SR", "sr", "uuid")],
    ),
    command("sr-probe", "Look what storage is there to be used.", probe)
        .takes(&[
            needs("type", Kind::Text),
            may("host-uuid", Kind::Uuid("host")),
            maps("device-config"),
            maps("sm-config"),
        ])
        .examples(&["sr-probe type=nfs device-config:server=10.0.0.9"]),
    command("pbd-create", "Connect a host to storage, unplugged at first.", pbd_create).takes(&[
        needs("host-uuid", Kind::Uuid("host")),
        needs("sr-uuid", Kind::Uuid("sr")),
        maps("device-config"),
    ]),
    call(
        "pbd-destroy",
        "Remove an unplugged connection of a host to storage.",
        "PBD.destroy",
        &[Arg::Object("PBD", "pbd", "uuid")],
    ),
    call("pbd-plug", "Attach storage to a host.", "PBD.plug", &[Arg::Object("PBD", "pbd", "uuid")]),
    call(
        "pbd-unplug",
        "Detach storage from a host.",
        "PBD.unplug",
        &[Arg::Object("PBD", "pbd", "uuid")],
    ),
];

/// The host that does the work: the one given, the only one, or else the master.
fn host(ctx: &Context<'_, '_>, shared: bool) -> Result<Value, CliError> {
    if let Some(host) = ctx.object_if_given("host", "host-uuid")? {
        return Ok(host);
    }
    let hosts = ctx.call("host.get_all", &[])?;
    match hosts.as_array().unwrap_or_default() {
        [only] => Ok(only.clone()),
        _ if shared => ctx.call("pool.get_master", &[ctx.pool()?]),
        _ => Err(CliError::text("Required parameter not found: host-uuid")),
    }
}

fn create(ctx: &mut Context<'_, '_>) -> Outcome {
    let shared = ctx.params.flag("shared", false)?;
    let size = values::size("physical-size", ctx.params.get("physical-size").unwrap_or("0"))?;
    let kind = ctx.params.need("type")?;
    let content = ctx.params.get("content-type").unwrap_or(if kind == "iso" { "iso" } else { "" });
    let host = host(ctx, shared)?;
    let params = [
        host,
        ctx.map("device-config"),
        size.into(),
        ctx.params.need("name-label")?.into(),
        ctx.params.text("name-description").into(),
        kind.into(),
        content.into(),
        shared.into(),
        ctx.map("sm-config"),
    ];
    let sr = ctx.call("SR.create", &params)?;
    let uuid = ctx.uuid("SR", &sr)?;
    // The peer prints this one straight, minimal or not.
    ctx.console.direct(&format!("{uuid}\n"));
    Ok(())
}

fn introduce(ctx: &mut Context<'_, '_>) -> Outcome {
    let shared = ctx.params.flag("shared", false)?;
    let uuid = ctx.params.need("uuid")?;
    let params = [
        uuid.into(),
        ctx.params.need("name-label")?.into(),
        ctx.params.text("name-description").into(),
        ctx.params.need("type")?.into(),
        ctx.params.text("content-type").into(),
        shared.into(),
        ctx.map("sm-config"),
    ];
    ctx.call("SR.introduce", &params)?;
    ctx.console.result(uuid);
    Ok(())
}

fn probe(ctx: &mut Context<'_, '_>) -> Outcome {
    let host = host(ctx, true)?;
    let params =
        [host, ctx.map("device-config"), ctx.params.need("type")?.into(), ctx.map("sm-config")];
    let found = ctx.text("SR.probe", &params)?;
    ctx.console.result(found);
    Ok(())
}

fn pbd_create(ctx: &mut Context<'_, '_>) -> Outcome {
    let record = [
        ("host", ctx.object("host", "host-uuid")?),
        ("SR", ctx.object("SR", "sr-uuid")?),
        ("device_config", ctx.map("device-config")),
        ("other_config", Value::Struct(Default::default())),
    ];
    let record = record.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let made = ctx.call("PBD.create", &[Value::Struct(record)])?;
    let uuid = ctx.uuid("PBD", &made)?;
    ctx.console.result(uuid);
    Ok(())
}
