//! The life of a VM: start, stop, pause, suspend, move.

use super::context::Context;
use super::table::{Command, Kind, Outcome, Selector, VMS, command, may};
use crate::cli::errors::CliError;
use crate::cli::records::Row;
use crate::xenapi::{Failure, Value};

/// VMs and control domains.
const STARTABLE: Selector = Selector::Vms { control_domains: true, templates: false };

/// Whatever is a VM.
const ANY: Selector = Selector::Vms { control_domains: true, templates: true };

/// The commands.
pub const COMMANDS: &[Command] = &[
    command(
        "vm-start",
        "Start a VM, on any host or on the one given; with force, also when HA could then not \
         restart every protected VM.",
        start,
    )
    .takes(&[may("force", Kind::Bool), may("on", Kind::Host), may("paused", Kind::Bool)])
    .examples(&["vm-start vm=web1", "vm-start vm=web1 on=host2"])
    .on(STARTABLE)
    .standard(),
    command("vm-shutdown", "Shut a VM down; with force, switch it off.", shutdown)
        .takes(&[may("force", Kind::Bool)])
        .on(VMS)
        .standard(),
    command("vm-reboot", "Restart a VM; with force, without asking it.", reboot)
        .takes(&[may("force", Kind::Bool)])
        .on(VMS)
        .standard(),
    command("vm-suspend", "Save a VM's memory to disk and stop it.", suspend).on(VMS).standard(),
    command(
        "vm-resume",
        "Let a suspended VM go on; with force, also when HA could then not restart every \
         protected VM.",
        resume,
    )
    .takes(&[may("force", Kind::Bool), may("on", Kind::Host)])
    .on(VMS)
    .standard(),
    command("vm-pause", "Hold a VM's CPUs.", |ctx| ctx.call_on_each(VMS, "VM.pause"))
        .on(VMS)
        .standard(),
    command("vm-unpause", "Let a paused VM go on.", |ctx| ctx.call_on_each(VMS, "VM.unpause"))
        .on(VMS)
        .standard(),
    command("vm-migrate", "Move a running VM to another host.", migrate)
        .takes(&[
            may("live", Kind::Bool),
            may("host", Kind::Host),
            may("host-uuid", Kind::Uuid("host")),
            may("host-name", Kind::Host),
            may("remote-master", Kind::Text),
            may("remote-username", Kind::Text),
            may("remote-password", Kind::Text),
            may("remote-network", Kind::Text),
            may("force", Kind::Bool),
            may("copy", Kind::Bool),
            may("compress", Kind::Bool),
            super::table::maps("vif"),
            super::table::maps("vdi"),
            super::table::maps("image-format"),
        ])
        .examples(&["vm-migrate vm=web1 host=host2 live=true"])
        .on(ANY)
        .standard(),
    command("vm-reset-powerstate", "Record a VM as halted, whatever it does.", |ctx| {
        ctx.call_on_each(VMS, "VM.power_state_reset")
    })
    .takes(&[may("force", Kind::Bool)])
    .on(VMS)
    .needs_force()
    .standard(),
];

fn vm(row: &Row) -> Value {
    row.reference.as_str().into()
}

/// The host that a text names by name or uuid; the first match wins.
fn host(ctx: &Context<'_, '_>, text: &str) -> Result<Value, CliError> {
    let hosts = ctx.session.records_once("host")?;
    let is = |host: &Value, field| host.get(field).and_then(Value::as_str) == Some(text);
    hosts
        .iter()
        .find(|(_, host)| is(host, "name_label") || is(host, "uuid"))
        .map(|(reference, _)| reference.as_str().into())
        .ok_or_else(|| CliError::text(format!("Host {text} not found")))
}

/// Whether a person at a terminal wants a start that breaks the failover plan.
fn proceeds(ctx: &mut Context<'_, '_>, failure: &Failure) -> bool {
    if !ctx.console.terminal {
        return false;
    }
    let why = failure.params.first().map_or("", String::as_str);
    ctx.console.note(&format!("This would overcommit the pool: {why}."));
    let choices = ["cancel", "proceed"];
    ctx.console.choose("Start it nevertheless?", &choices) == Some(1)
}

/// `VM.start` or `VM.resume`, on any host or on the one given.
fn begin(ctx: &mut Context<'_, '_>, selector: Selector, method: &str) -> Outcome {
    let force = ctx.forced()?;
    let paused = ctx.params.flag("paused", false)?;
    let on = ctx.params.get("on").map(|text| host(ctx, text)).transpose()?;
    let method = if on.is_some() { format!("{method}_on") } else { method.to_owned() };
    ctx.on_each(selector, |ctx, row| {
        let mut params = vec![vm(row)];
        params.extend(on.clone());
        params.extend([paused.into(), force.into()]);
        let mut done = ctx.run_task(&method, &params);
        if let Err(CliError::Server(failure)) = &done
            && failure.code == "HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN"
            && !force
            && proceeds(ctx, failure)
        {
            params.pop();
            params.push(true.into());
            done = ctx.run_task(&method, &params);
        }
        if done.as_ref().is_err_and(|error| error.code() == Some("NO_HOSTS_AVAILABLE")) {
            let table = super::diagnostic::hosts_table(ctx, &vm(row))?;
            ctx.console.table(&[table]);
        }
        done
    })?;
    Ok(())
}

fn start(ctx: &mut Context<'_, '_>) -> Outcome {
    begin(ctx, STARTABLE, "VM.start")
}

fn resume(ctx: &mut Context<'_, '_>) -> Outcome {
    begin(ctx, VMS, "VM.resume")
}

fn shutdown(ctx: &mut Context<'_, '_>) -> Outcome {
    let method = if ctx.forced()? { "VM.hard_shutdown" } else { "VM.clean_shutdown" };
    ctx.on_each(VMS, |ctx, row| ctx.run_task(method, &[vm(row)]))?;
    Ok(())
}

fn reboot(ctx: &mut Context<'_, '_>) -> Outcome {
    let method = if ctx.forced()? { "VM.hard_reboot" } else { "VM.clean_reboot" };
    ctx.call_on_each(VMS, method)
}

fn suspend(ctx: &mut Context<'_, '_>) -> Outcome {
    ctx.on_each(VMS, |ctx, row| ctx.run_task("VM.suspend", &[vm(row)]))?;
    Ok(())
}

fn migrate(ctx: &mut Context<'_, '_>) -> Outcome {
    if ctx.params.has("remote-master") {
        return Err(CliError::text(
            "moving VMs to another pool is not supported; use vm-migrate with host= inside \
             this pool",
        ));
    }
    let given = ["host", "host-uuid", "host-name"].iter().find_map(|key| ctx.params.get(key));
    let Some(given) = given else {
        return Err(CliError::text("Required parameter not found: host"));
    };
    let target = host(ctx, given)?;
    let options: Vec<(&str, &str)> = ["live", "force", "copy", "compress"]
        .into_iter()
        .filter_map(|key| Some((key, ctx.params.get(key)?)))
        .collect();
    let options = Value::text_map(options);
    ctx.on_each(ANY, |ctx, row| {
        ctx.call("VM.pool_migrate", &[vm(row), target.clone(), options.clone()])
    })?;
    Ok(())
}
