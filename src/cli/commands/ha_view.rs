//! What an administrator wants to know of HA: how it stands, what would happen, and why.

use super::context::Context;
use super::table::{Command, Kind, Outcome, command, may, needs};
use crate::cli::errors::CliError;
use crate::cli::printing::ha::{explanation, status, what_if};
use crate::cli::suggest;
use crate::client::CallError;
use crate::xenapi::Value;
use crate::xenapi::ha_view::{Explanation, Status, WhatIf};

/// The commands.
pub const COMMANDS: &[Command] = &[
    command(
        "pool-ha-status",
        "Show how high availability stands: hosts and the margins of their paths, statefiles, \
         timers, what the pool survives, and the memory of VMs by priority. With --minimal: \
         whether it is on, the configured and the present number of failures, whether the pool \
         is overcommitted.",
        ha_status,
    )
    .takes(&[may("json", Kind::Bool)])
    .examples(&["pool-ha-status", "pool-ha-status --json", "pool-ha-status --minimal"]),
    command(
        "pool-ha-what-if",
        "Show what would happen, and change nothing: where VMs would be restarted and when if \
         hosts failed together (hosts=), what starting a VM (vm-start=) or disabling a host \
         (host-disable=) would do to the failover plan. With --minimal: the VMs that would not \
         come back.",
        ha_what_if,
    )
    .takes(&[
        may("hosts", Kind::Host),
        may("vm-start", Kind::Text),
        may("host-disable", Kind::Host),
        may("json", Kind::Bool),
    ])
    .examples(&[
        "pool-ha-what-if hosts=host1,host2",
        "pool-ha-what-if vm-start=db1",
        "pool-ha-what-if host-disable=host1 --json",
    ]),
    command(
        "vm-ha-explain",
        "Show every reason why a VM is not agile or not protected, with the command that mends \
         it. With --minimal: the commands alone.",
        ha_explain,
    )
    .takes(&[needs("uuid", Kind::Uuid("vm")), may("json", Kind::Bool)]),
];

/// Asks a hidden method of ours; gives the text as well, for `--json`.
pub fn told<T: serde::de::DeserializeOwned>(
    ctx: &Context<'_, '_>,
    method: &str,
    params: &[Value],
) -> Result<T, CliError> {
    let text = match ctx.session.call(method, params) {
        Ok(answer) => answer.as_str().unwrap_or("").to_owned(),
        Err(CallError::Api(failure)) if failure.code == "MESSAGE_METHOD_UNKNOWN" => {
            return Err(CliError::text(
                "this server cannot tell; save its database with pool-dump-database \
                 file-name=FILE and ask again with --database FILE",
            ));
        }
        Err(other) => return Err(other.into()),
    };
    serde_json::from_str(&text)
        .map_err(|error| CliError::text(format!("the server's answer is not understood: {error}")))
}

/// Prints an answer as JSON if that is wanted; whether it was.
pub fn as_json(ctx: &mut Context<'_, '_>, told: &impl serde::Serialize) -> Result<bool, CliError> {
    if !ctx.params.flag("json", false)? {
        return Ok(false);
    }
    let text = serde_json::to_string_pretty(told).map_err(|e| CliError::text(e.to_string()))?;
    ctx.console.direct(&format!("{text}\n"));
    Ok(true)
}

fn ha_status(ctx: &mut Context<'_, '_>) -> Outcome {
    let found: Status = told(ctx, "pool.xe_ha_status", &[])?;
    if as_json(ctx, &found)? {
        return Ok(());
    }
    if ctx.console.is_minimal() {
        let capacity = &found.capacity;
        ctx.console.list(&[
            found.enabled.to_string(),
            capacity.configured.to_string(),
            capacity.current.to_string(),
            capacity.overcommitted.to_string(),
        ]);
        return Ok(());
    }
    ctx.console.direct(&status(&found));
    Ok(())
}

fn ha_what_if(ctx: &mut Context<'_, '_>) -> Outcome {
    let keys = ["hosts", "vm-start", "host-disable"];
    let given: Vec<&str> = keys.into_iter().filter(|key| ctx.params.has(key)).collect();
    let [key] = given[..] else {
        // A word that is not known has been named already.
        let known = |key: &str| key.is_empty() || suggest::is_global(key) || key == "json";
        let stray = ctx.params.all().iter().any(|it| it.typed && !known(&it.key));
        return Err(match given.is_empty() && stray {
            true => CliError::Client("See 'xe help pool-ha-what-if'.".to_owned()),
            false => CliError::text("give one of hosts=, vm-start= and host-disable="),
        });
    };
    let class = if key == "vm-start" { "VM" } else { "host" };
    let mut uuids = Vec::new();
    for word in ctx.params.need(key)?.split(',').filter(|word| !word.is_empty()) {
        let uuid = uuid_of(ctx, class, word)?;
        if !uuids.contains(&uuid) {
            uuids.push(uuid);
        }
    }
    if uuids.is_empty() {
        return Err(CliError::text(format!("{key}= names no {class}")));
    }
    if key != "hosts" && uuids.len() != 1 {
        return Err(CliError::text(format!("{key}= takes one object")));
    }
    show_what_if(ctx, key, &uuids.join(","))
}

/// Asks and prints one question.
pub fn show_what_if(ctx: &mut Context<'_, '_>, key: &str, uuids: &str) -> Outcome {
    let question = Value::text_map([(key, uuids)]);
    let found: WhatIf = told(ctx, "pool.xe_ha_what_if", &[question])?;
    if as_json(ctx, &found)? {
        return Ok(());
    }
    if ctx.console.is_minimal() {
        let left: Vec<String> = found.left.iter().map(|left| left.vm.uuid.clone()).collect();
        ctx.console.list(&left);
        return Ok(());
    }
    ctx.console.direct(&what_if(&found));
    Ok(())
}

/// The uuid of an object that a word names by uuid or name.
fn uuid_of(ctx: &Context<'_, '_>, class: &str, word: &str) -> Result<String, CliError> {
    let rows = ctx.session.records_once(class)?;
    let text =
        |record: &Value, field: &str| record.get(field).and_then(Value::as_str).map(str::to_owned);
    let mut named = rows.values().filter(|record| {
        text(record, "uuid").as_deref() == Some(word)
            || text(record, "name_label").as_deref() == Some(word)
    });
    match (named.next(), named.next()) {
        (Some(record), None) => Ok(text(record, "uuid").unwrap_or_default()),
        (None, _) => Err(CliError::text(format!("no {class} is called {word}"))),
        (Some(_), Some(_)) => {
            Err(CliError::text(format!("several are called {word}; give a uuid")))
        }
    }
}

fn ha_explain(ctx: &mut Context<'_, '_>) -> Outcome {
    let vm = ctx.object("VM", "uuid")?;
    let found: Explanation = told(ctx, "VM.xe_ha_explain", &[vm])?;
    if as_json(ctx, &found)? {
        return Ok(());
    }
    if ctx.console.is_minimal() {
        let mut commands: Vec<String> =
            found.reasons.iter().flat_map(|reason| reason.mend.iter().take(1).cloned()).collect();
        commands.dedup();
        ctx.console.list(&commands);
        return Ok(());
    }
    ctx.console.direct(&explanation(&found));
    Ok(())
}
