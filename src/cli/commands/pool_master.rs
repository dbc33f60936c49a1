//! Who is master: the ordinary change, and the emergency ones on the host itself.

use super::context::Context;
use super::table::{Arg, Command, Kind, Outcome, call, command, may, needs};
use crate::cli::errors::CliError;
use crate::xenapi::Value;

/// The commands.
pub const COMMANDS: &[Command] = &[
    call(
        "pool-designate-new-master",
        "Hand the mastership over to another host.",
        "pool.designate_new_master",
        &[Arg::Object("host", "host", "host-uuid")],
    ),
    command(
        "pool-emergency-transition-to-master",
        "Make the host that you are on the master of its pool.",
        to_master,
    )
    .takes(&[may("force", Kind::Bool), may("uuid", Kind::Uuid("host"))])
    .local(),
    command(
        "pool-emergency-reset-master",
        "Tell the host that you are on where its master is.",
        reset_master,
    )
    .takes(&[needs("master-address", Kind::Text)])
    .examples(&["pool-emergency-reset-master master-address=10.0.0.2"])
    .local(),
    command(
        "pool-recover-slaves",
        "Tell every other host that this host is the master now.",
        recover_slaves,
    ),
    call(
        "pool-sync-database",
        "Bring the pool database to every host now.",
        "pool.sync_database",
        &[],
    ),
];

fn to_master(ctx: &mut Context<'_, '_>) -> Outcome {
    this_host_only(ctx)?;
    if !ctx.forced()? && is_master(ctx).unwrap_or(false) {
        ctx.console.message("This host is already master of its pool; --force does it anyway.");
        return Ok(());
    }
    ctx.call("pool.emergency_transition_to_master", &[])?;
    ctx.console.message("Host agent will restart and transition to master in 10.000 seconds...");
    Ok(())
}

fn this_host(ctx: &Context<'_, '_>) -> Result<Value, CliError> {
    Ok(ctx.text("session.get_this_host", &[ctx.session.reference().into()])?.into())
}

/// Whether this host is the master, as far as it can say so now.
fn is_master(ctx: &Context<'_, '_>) -> Result<bool, CliError> {
    let master = ctx.call("pool.get_master", &[ctx.pool()?])?;
    Ok(master == this_host(ctx)?)
}

/// Guides name a host here, but only the host that one is on can do it: another one is refused
/// instead of silently taken for this one.
fn this_host_only(ctx: &Context<'_, '_>) -> Outcome {
    let Some(uuid) = ctx.params.get("uuid") else { return Ok(()) };
    let own = this_host(ctx)
        .and_then(|host| ctx.uuid("host", &host))
        .map_err(|_| CliError::text("this host cannot say now which one it is; leave uuid= out"))?;
    if own == uuid {
        return Ok(());
    }
    Err(CliError::text(format!(
        "this host is {own}, not {uuid}; run the command on the host that is to become master"
    )))
}

fn reset_master(ctx: &mut Context<'_, '_>) -> Outcome {
    let address = ctx.params.need("master-address")?;
    ctx.call("pool.emergency_reset_master", &[address.into()])?;
    ctx.console.message(&format!(
        "Host agent will restart and become slave of {address} in 10.000 seconds..."
    ));
    Ok(())
}

fn recover_slaves(ctx: &mut Context<'_, '_>) -> Outcome {
    let hosts = ctx.call("pool.recover_slaves", &[])?;
    let uuids = hosts
        .as_array()
        .unwrap_or_default()
        .iter()
        .map(|host: &Value| ctx.uuid("host", host))
        .collect::<Result<Vec<_>, _>>()?;
    ctx.console.list(&uuids);
    Ok(())
}
