//! The pool itself: who belongs to it, and its database.

use super::context::Context;
use super::table::{Arg, Command, Kind, Outcome, Prints, call, command, may, needs};
use crate::xenapi::Value;

/// The commands.
pub const COMMANDS: &[Command] = &[
    command("pool-join", "Make the host that you are on a member of another pool.", join)
        .takes(&[
            needs("master-address", Kind::Text),
            needs("master-username", Kind::Text),
            needs("master-password", Kind::Text),
            may("force", Kind::Bool),
        ])
        .examples(&[
            "pool-join master-address=10.0.0.1 master-username=root master-password=secret",
        ]),
    command("pool-eject", "Take a host out of the pool and make it new.", eject)
        .takes(&[needs("host-uuid", Kind::Uuid("host")), may("force", Kind::Bool)])
        .prompts(),
    command("pool-dump-database", "Write the pool database to a file.", super::files::dump)
        .takes(&[needs("file-name", Kind::File)])
        .examples(&["pool-dump-database file-name=/root/pool.xml"]),
    command(
        "pool-restore-database",
        "Put a dumped pool database back; the host starts again with it.",
        super::files::restore,
    )
    .takes(&[needs("file-name", Kind::File), may("dry-run", Kind::Bool), may("force", Kind::Bool)])
    .examples(&["pool-restore-database file-name=/root/pool.xml dry-run=true"]),
    call(
        "pool-management-reconfigure",
        "Move the management interface of every host to another network.",
        "pool.management_reconfigure",
        &[Arg::Object("network", "network", "network-uuid")],
    ),
    call(
        "pool-enable-redo-log",
        "Write database changes to a volume as they happen.",
        "pool.enable_redo_log",
        &[Arg::Object("SR", "sr", "sr-uuid")],
    ),
    call("pool-disable-redo-log", "Stop the redo log.", "pool.disable_redo_log", &[]),
    call("pool-secret-rotate", "Give the pool a new secret.", "pool.rotate_secret", &[]),
    call(
        "pool-enable-tls-verification",
        "Have the hosts check each other's certificates.",
        "pool.enable_tls_verification",
        &[],
    ),
    call(
        "pool-certificate-sync",
        "Bring the pool's certificates to every host.",
        "pool.certificate_sync",
        &[],
    ),
    call("pool-crl-list", "Show the revocation lists.", "pool.crl_list", &[])
        .prints(Prints::Answer),
];

fn join(ctx: &mut Context<'_, '_>) -> Outcome {
    let method = if ctx.forced()? { "pool.join_force" } else { "pool.join" };
    let keys = ["master-address", "master-username", "master-password"];
    let params = keys
        .into_iter()
        .map(|key| ctx.params.need(key).map(Value::from))
        .collect::<Result<Vec<_>, _>>()?;
    ctx.call(method, &params)?;
    ctx.console.message("The host agent will restart and join the pool in 10.000 seconds...");
    Ok(())
}

fn eject(ctx: &mut Context<'_, '_>) -> Outcome {
    let host = ctx.object("host", "host-uuid")?;
    if !ctx.forced()? {
        let mut warnings = vec![
            "WARNING: A host that leaves the pool starts anew, with empty local storage."
                .to_owned(),
            "WARNING: Whatever is on its local storage now is lost.".to_owned(),
        ];
        let disks = local_disks(ctx, &host)?;
        if !disks.is_empty() {
            warnings.push("These disks will be destroyed:".to_owned());
            warnings.extend(disks);
        }
        ctx.confirm(&warnings)?;
    }
    ctx.call("pool.eject", &[host])?;
    ctx.console.message(
        "Specified host will attempt to restart as a master of a new pool in 10.000 seconds...",
    );
    Ok(())
}

/// The disks on storage that only this host is connected to.
fn local_disks(
    ctx: &Context<'_, '_>,
    host: &Value,
) -> Result<Vec<String>, crate::cli::errors::CliError> {
    let mut lines = Vec::new();
    let pbds = ctx.session.records_once("PBD")?;
    let srs = ctx.session.records_once("SR")?;
    let vdis = ctx.session.records_once("VDI")?;
    for sr in srs.values() {
        let connections = sr.get("PBDs").and_then(Value::as_array).unwrap_or_default();
        let [only] = connections else { continue };
        let pbd = pbds.get(only.as_str().unwrap_or(""));
        if pbd.and_then(|pbd| pbd.get("host")) != Some(host) {
            continue;
        }
        for vdi in sr.get("VDIs").and_then(Value::as_array).unwrap_or_default() {
            let Some(vdi) = vdis.get(vdi.as_str().unwrap_or("")) else { continue };
            let text = |field| vdi.get(field).and_then(Value::as_str).unwrap_or("");
            lines.push(format!("VDI: {} ({})", text("uuid"), text("name_label")));
        }
    }
    Ok(lines)
}
