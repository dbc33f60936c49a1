//! High availability of the pool: on, off, and what it can survive.

use std::collections::BTreeMap;

use super::context::Context;
use super::table::{Arg, Command, Kind, Outcome, Prints, call, command, maps, may, needs};
use crate::cli::errors::CliError;
use crate::cli::printing::table::Record;
use crate::xenapi::Value;

/// The commands.
pub const COMMANDS: &[Command] = &[
    command(
        "pool-ha-enable",
        "Switch high availability on for the whole pool. The keys of ha-config: timeout (seconds, \
         60), statefiles (1, 3 or 5), witness (HOST:PORT), links (network uuids), fence-hook (a \
         program), fence-hook-timeout (seconds, 30), isolation-response (fence or stop-vms), \
         not-real-time (allow: take a timeout under 10 although a daemon has no real-time \
         priority).",
        enable,
    )
    .takes(&[may("heartbeat-sr-uuids", Kind::Uuids("sr")), maps("ha-config")])
    .examples(&[
        "pool-ha-enable heartbeat-sr-uuids=5342ea46-0388-3284-b812-21902430f3b0 \
         ha-config:timeout=30",
        "pool-ha-enable ha-config:statefiles=3 ha-config:witness=witness.example:694",
    ]),
    call(
        "pool-ha-witness-key",
        "Show the key that a witness of this pool needs: put it into a file that only root may \
         read on the third machine and run there 'xe xhad --witness --listen ADDRESS:PORT \
         --state-dir DIR --key-file FILE'. It stays the same when HA is switched off and on.",
        "pool.xe_ha_witness_key",
        &[],
    )
    .prints(Prints::Answer)
    .examples(&["pool-ha-witness-key > witness.key"]),
    call("pool-ha-disable", "Switch high availability off.", "pool.disable_ha", &[]),
    call(
        "pool-ha-pause",
        "Switch fencing and restarts off in the whole pool for some seconds; then HA is switched \
         on again by itself, with the same settings and all its checks. Zero ends a pause at once, \
         pool-ha-disable makes it last. No failure is handled meanwhile, that of the master \
         neither.",
        "pool.xe_ha_pause",
        &[Arg::Int("seconds")],
    )
    .examples(&["pool-ha-pause seconds=600", "pool-ha-pause seconds=0"]),
    call(
        "pool-ha-prevent-restarts-for",
        "Hold back the restarts of VMs for some seconds.",
        "pool.ha_prevent_restarts_for",
        &[Arg::Int("seconds")],
    )
    .hidden(),
    call(
        "pool-ha-compute-max-host-failures-to-tolerate",
        "Show how many hosts may fail with every protected VM restarted.",
        "pool.ha_compute_max_host_failures_to_tolerate",
        &[],
    )
    .prints(Prints::Answer),
    command(
        "pool-ha-compute-hypothetical-max-host-failures-to-tolerate",
        "Show how many hosts may fail if VMs had other restart priorities.",
        hypothetical,
    )
    .takes(&[
        may("vm-uuid", Kind::Uuid("vm")),
        may("restart-priority", Kind::Word(&["restart", "best-effort", ""])),
    ])
    .examples(&["pool-ha-compute-hypothetical-max-host-failures-to-tolerate \
         vm-uuid=4a1cb250-342c-4b35-8bd9-efc78ca2c261 restart-priority=restart"]),
    command(
        "pool-ha-compute-vm-failover-plan",
        "Show where the VMs of some hosts would be restarted.",
        failover_plan,
    )
    .takes(&[needs("host-uuids", Kind::Uuids("host"))])
    .hidden(),
];

fn enable(ctx: &mut Context<'_, '_>) -> Outcome {
    let uuids = ctx.params.text("heartbeat-sr-uuids");
    let srs = ctx.objects("SR", uuids)?;
    ctx.call("pool.enable_ha", &[Value::Array(srs), ctx.map("ha-config")])?;
    tell_promise(ctx);
    Ok(())
}

/// Says on stderr which disturbances HA bears and what to mend, if the server tells. Scripts see
/// nothing of it.
fn tell_promise(ctx: &mut Context<'_, '_>) {
    let config = ctx.pool().and_then(|pool| ctx.call("pool.get_ha_configuration", &[pool]));
    let Ok(config) = config else { return };
    let figure = |key: &str| config.get(key).and_then(Value::as_str).map(str::to_owned);
    let figures = (figure("bears-network"), figure("bears-disk"), figure("bears-stall"));
    if let (Some(network), Some(disk), Some(stall)) = figures {
        ctx.console.note(&format!(
            "No host is reset by a network disturbance of up to {network} s, a disk disturbance of \
             up to {disk} s, or a stall of up to {stall} s."
        ));
    }
    if let Some(warning) = figure("warning") {
        ctx.console.note(&format!("Warning: {warning}."));
    }
}

fn hypothetical(ctx: &mut Context<'_, '_>) -> Outcome {
    let values = |key: &str| -> Vec<&str> {
        let params = ctx.params.all().iter();
        params.filter(|param| param.key == key).map(|param| param.value.as_str()).collect()
    };
    let (vms, priorities) = (values("vm-uuid"), values("restart-priority"));
    if vms.len() != priorities.len() {
        return Err(CliError::text(
            "Call requires an equal number of vm-uuid and restart-priority arguments",
        ));
    }
    let mut wanted = BTreeMap::new();
    for (uuid, priority) in vms.into_iter().zip(priorities) {
        wanted.insert(ctx.session.by_uuid("VM", uuid)?, priority.into());
    }
    let method = "pool.ha_compute_hypothetical_max_host_failures_to_tolerate";
    let answer = ctx.call(method, &[Value::Struct(wanted)])?;
    ctx.console.result(crate::cli::printing::spelling::plain(&answer));
    Ok(())
}

fn failover_plan(ctx: &mut Context<'_, '_>) -> Outcome {
    let hosts = ctx.objects("host", ctx.params.need("host-uuids")?)?;
    let mut vms = Vec::new();
    for host in &hosts {
        let residents = ctx.call("host.get_resident_VMs", std::slice::from_ref(host))?;
        for vm in residents.as_array().unwrap_or_default() {
            let dom0 = ctx.call("VM.get_is_control_domain", std::slice::from_ref(vm))?;
            if dom0.as_bool() != Some(true) {
                vms.push(vm.clone());
            }
        }
    }
    let plan =
        ctx.call("pool.ha_compute_vm_failover_plan", &[Value::Array(hosts), Value::Array(vms)])?;
    let head = ("VM".to_owned(), "Destination Host or Error".to_owned());
    let (mut errors, mut placed): (Record, Record) = Default::default();
    for (vm, target) in plan.as_struct().into_iter().flatten() {
        let label = named(ctx, "VM", vm)?;
        let field = |name| target.get(name).and_then(Value::as_str);
        match (field("host"), field("error_code")) {
            (Some(host), _) => placed.push((label, named(ctx, "host", host)?)),
            (None, code) => errors.push((label, code.unwrap_or("UNKNOWN").to_owned())),
        }
    }
    let mut record = vec![head];
    record.append(&mut errors);
    record.append(&mut placed);
    ctx.console.table(&[record]);
    Ok(())
}

/// An object as `uuid (name)`.
fn named(ctx: &Context<'_, '_>, class: &str, reference: &str) -> Result<String, CliError> {
    let reference = [Value::from(reference)];
    let uuid = ctx.text(&format!("{class}.get_uuid"), &reference)?;
    let name = ctx.text(&format!("{class}.get_name_label"), &reference)?;
    Ok(format!("{uuid} ({name})"))
}
