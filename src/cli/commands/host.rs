//! Hosts.

use super::context::Context;
use super::table::{Arg, Command, Kind, Outcome, Prints, Selector, call, command, may, needs};
use crate::cli::errors::CliError;
use crate::client::{Account, CallError, Session};
use crate::xenapi::{NULL_REF, Value};

const HOSTS: Selector = Selector::Hosts;

/// The commands.
pub const COMMANDS: &[Command] = &[
    command("host-disable", "Let a host take no further VM.", disable)
        .takes(&[may("auto-enable", Kind::Bool)])
        .on(HOSTS),
    command("host-enable", "Let a host take VMs again.", enable).on(HOSTS),
    command(
        "host-evacuate",
        "Move every running VM off a host; with dry-run, only show where they would go.",
        evacuate,
    )
    .takes(&[
        may("network-uuid", Kind::Uuid("network")),
        may("batch-size", Kind::Int),
        may("dry-run", Kind::Bool),
        may("json", Kind::Bool),
    ])
    .examples(&["host-evacuate host=host1", "host-evacuate host=host1 --dry-run"])
    .on_one(HOSTS),
    command(
        "host-maintenance-enter",
        "Take a host into maintenance: it is disabled, its VMs move away, and it leaves the \
         heartbeat, so that it can be unplugged or rebooted without being reset or missed. It \
         stays so through reboots.",
        maintenance_enter,
    )
    .takes(&[may("evacuate", Kind::Bool)])
    .on_one(HOSTS),
    command(
        "host-maintenance-exit",
        "End the maintenance of a host: it comes back into the heartbeat and takes VMs.",
        maintenance_exit,
    )
    .on_one(HOSTS),
    command(
        "host-restart-agent",
        "Start the agent of a host anew. Its VMs run on, and HA resets nobody for it: the \
         heartbeat is a process of its own.",
        restart_agent,
    )
    .on_one(HOSTS),
    command("host-shutdown", "Shut a disabled host down.", |ctx| {
        ctx.call_on_each(HOSTS, "host.shutdown")
    })
    .on(HOSTS),
    command("host-reboot", "Restart a disabled host.", |ctx| {
        ctx.call_on_each(HOSTS, "host.reboot")
    })
    .on(HOSTS),
    command("host-power-on", "Switch a host on from afar.", |ctx| {
        ctx.call_on_each(HOSTS, "host.power_on")
    })
    .on(HOSTS),
    command("host-sync-data", "Bring pool data to a host again.", |ctx| {
        ctx.call_on_each(HOSTS, "host.sync_data")
    })
    .on(HOSTS),
    command("host-forget", "Take a dead host out of the pool for ever.", forget)
        .takes(&[needs("uuid", Kind::Uuid("host")), may("force", Kind::Bool)])
        .prompts(),
    command("host-declare-dead", "Say that a host is surely off.", declare_dead)
        .takes(&[needs("uuid", Kind::Uuid("host")), may("force", Kind::Bool)])
        .prompts(),
    command(
        "host-emergency-ha-disable",
        "Switch high availability off on the host that you are on.",
        emergency_ha_disable,
    )
    .takes(&[
        may("force", Kind::Bool),
        may("soft", Kind::Bool),
        may("vms-may-run-twice", Kind::Bool),
    ])
    .examples(&["host-emergency-ha-disable --force"])
    .needs_force()
    .local(),
    command(
        "host-ha-release",
        "End the wait of a host that came up after several fences in a row and is held back \
         until its paths have been clean for five minutes: the one that you are on, or the one \
         that is named. Mend first what it was fenced for.",
        ha_release,
    )
    .takes(&[may("uuid", Kind::Uuid("host"))])
    .examples(&["host-ha-release", "host-ha-release uuid=<host>"])
    .local(),
    command(
        "host-is-in-emergency-mode",
        "Show whether the host that you are on has lost its pool.",
        is_in_emergency_mode,
    )
    .local(),
    command("host-ha-xapi-healthcheck", "Ask this host's agent whether it is well.", healthcheck)
        .hidden()
        .local(),
    command(
        "host-get-vms-which-prevent-evacuation",
        "Show which VMs cannot leave a host, and why.",
        prevent_evacuation,
    )
    .takes(&[needs("uuid", Kind::Uuid("host"))]),
    call(
        "host-management-reconfigure",
        "Move a host's management to another interface.",
        "host.management_reconfigure",
        &[Arg::Object("PIF", "pif", "pif-uuid")],
    ),
    call(
        "host-shutdown-agent",
        "Stop the agent of the host that you are on.",
        "host.shutdown_agent",
        &[],
    )
    .local(),
    command("host-compute-free-memory", "Show how much memory a host has free.", |ctx| {
        answer(ctx, "host.compute_free_memory")
    })
    .on_one(HOSTS),
    command("host-compute-memory-overhead", "Show the memory that a host keeps.", |ctx| {
        answer(ctx, "host.compute_memory_overhead")
    })
    .on_one(HOSTS),
    command("host-dmesg", "Show a host's kernel messages.", dmesg).on(HOSTS),
    call(
        "host-set-hostname-live",
        "Give a host another network name.",
        "host.set_hostname_live",
        &[Arg::Object("host", "host", "host-uuid"), Arg::Text("host-name")],
    ),
    call(
        "host-syslog-reconfigure",
        "Have a host read its log settings again.",
        "host.syslog_reconfigure",
        &[Arg::Object("host", "host", "host-uuid")],
    ),
    call(
        "host-call-plugin",
        "Call a function of a host's plugin.",
        "host.call_plugin",
        &[
            Arg::Object("host", "host", "host-uuid"),
            Arg::Text("plugin"),
            Arg::Text("fn"),
            Arg::Map("args"),
        ],
    )
    .prints(Prints::Answer),
];

fn reference(row: &crate::cli::records::Row) -> Value {
    row.reference.as_str().into()
}

fn answer(ctx: &mut Context<'_, '_>, method: &str) -> Outcome {
    let row = ctx.select_one(HOSTS)?;
    let value = ctx.call(method, &[reference(&row)])?;
    ctx.console.result(crate::cli::printing::spelling::plain(&value));
    Ok(())
}

fn dmesg(ctx: &mut Context<'_, '_>) -> Outcome {
    let texts =
        ctx.on_each(HOSTS, |ctx, row| ctx.text("host.dmesg", &[row.reference.as_str().into()]))?;
    ctx.console.list(&texts);
    Ok(())
}

fn disable(ctx: &mut Context<'_, '_>) -> Outcome {
    let auto_enable = ctx.params.flag("auto-enable", true)?;
    ctx.on_each(HOSTS, |ctx, row| ctx.call("host.disable", &[reference(row), auto_enable.into()]))?;
    Ok(())
}

fn enable(ctx: &mut Context<'_, '_>) -> Outcome {
    ctx.on_each(HOSTS, |ctx, row| {
        let params = [reference(row), "MAINTENANCE_MODE".into()];
        ctx.call("host.remove_from_other_config", &params)?;
        ctx.call("host.enable", &[reference(row)])
    })?;
    Ok(())
}

fn evacuate(ctx: &mut Context<'_, '_>) -> Outcome {
    let network =
        ctx.object_if_given("network", "network-uuid")?.unwrap_or_else(|| NULL_REF.into());
    let batch = ctx.params.int("batch-size", 0)?;
    let row = ctx.select_one(HOSTS)?;
    if ctx.params.flag("dry-run", false)? {
        let uuid = row.text("uuid").to_owned();
        return super::ha_view::show_what_if(ctx, "host-evacuate", &uuid);
    }
    ctx.call("host.evacuate", &[reference(&row), network, batch.into()])?;
    Ok(())
}

fn restart_agent(ctx: &mut Context<'_, '_>) -> Outcome {
    let row = ctx.select_one(HOSTS)?;
    ctx.call("host.restart_agent", &[reference(&row)])?;
    Ok(())
}

fn maintenance_enter(ctx: &mut Context<'_, '_>) -> Outcome {
    let evacuate = ctx.params.flag("evacuate", true)?;
    let row = ctx.select_one(HOSTS)?;
    let done = ctx.run_task("host.xe_maintenance_enter", &[reference(&row), evacuate.into()]);
    if done.is_err() {
        tell_disabled(ctx, &row);
    }
    done.map(drop)
}

/// A maintenance that was begun and not reached leaves the host disabled.
fn tell_disabled(ctx: &mut Context<'_, '_>, row: &crate::cli::records::Row) {
    let get = |field: &str| ctx.call(&format!("host.get_{field}"), &[reference(row)]);
    let marked = get("other_config").is_ok_and(|map| map.get("xe-maintenance").is_some());
    if !marked && get("enabled").is_ok_and(|enabled| enabled.as_bool() == Some(false)) {
        let uuid = row.text("uuid");
        ctx.afterwards.push(format!(
            "The host is not in maintenance but stays disabled: type 'xe host-maintenance-enter \
             uuid={uuid}' again when this is mended, or 'xe host-enable uuid={uuid}' to give up."
        ));
    }
}

fn maintenance_exit(ctx: &mut Context<'_, '_>) -> Outcome {
    let row = ctx.select_one(HOSTS)?;
    ctx.run_task("host.xe_maintenance_exit", &[reference(&row)])?;
    Ok(())
}

fn lines(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn forget(ctx: &mut Context<'_, '_>) -> Outcome {
    let host = ctx.object("host", "uuid")?;
    ctx.confirm(&lines(&[
        "WARNING: A host should only be forgotten if it is broken and will never come back.",
        "WARNING: It cannot be added to the pool again as it is; it has to be installed anew.",
        "WARNING: Its local storage and all disks on it are forgotten too.",
        "WARNING: A host that still works is taken out with pool-eject instead.",
    ]))?;
    ctx.call("host.destroy", &[host])?;
    Ok(())
}

fn declare_dead(ctx: &mut Context<'_, '_>) -> Outcome {
    let host = ctx.object("host", "uuid")?;
    ctx.confirm(&lines(&[
        "WARNING: Declare a host dead only if it is surely off: look at the machine itself.",
        "WARNING: Its VMs can then be started on other hosts.",
        "WARNING: If it still runs them, their disks are written twice and destroyed.",
    ]))?;
    ctx.call("host.declare_dead", &[host])?;
    Ok(())
}

/// How often, in seconds, a new agent is asked again after the mastership went to another host.
const NEW_AGENT: u32 = 60;

fn emergency_ha_disable(ctx: &mut Context<'_, '_>) -> Outcome {
    let soft = ctx.params.flag("soft", false)?;
    let twice = ctx.params.flag("vms-may-run-twice", false)?;
    let ask = |session: &Session<'_>| match twice {
        true => session.call("host.xe_emergency_ha_disable", &[soft.into(), true.into()]),
        false => session.call("host.emergency_ha_disable", &[soft.into()]),
    };
    // What it means for the others; only our agent says it.
    if !twice && let Ok(warning) = ctx.text("host.xe_emergency_ha_warning", &[]) {
        ctx.console.note(&format!("Note: {warning}."));
    }
    let mut answer = ask(ctx.session);
    for round in 0..NEW_AGENT {
        if !matches!(answer, Err(CallError::Broken { .. })) {
            break;
        }
        if round == 0 {
            ctx.console.note(
                "This host is the master: another one takes over first, and the agent here begins \
                 anew. Going on when it answers.",
            );
        }
        std::thread::sleep(std::time::Duration::from_secs(1));
        let transport = ctx.session.transport();
        if let Ok(session) = Session::login(transport, Account::Local, "root", "") {
            answer = ask(&session);
            session.logout();
        }
    }
    answer?;
    Ok(())
}

fn ha_release(ctx: &mut Context<'_, '_>) -> Outcome {
    let uuid = ctx.params.get("uuid").unwrap_or_default().to_owned();
    ctx.call("host.xe_ha_release", &[uuid.into()])?;
    Ok(())
}

fn is_in_emergency_mode(ctx: &mut Context<'_, '_>) -> Outcome {
    let answer = ctx.call("host.is_in_emergency_mode", &[])?;
    ctx.console.message(&answer.as_bool().unwrap_or_default().to_string());
    Ok(())
}

fn healthcheck(ctx: &mut Context<'_, '_>) -> Outcome {
    let threw = |text: String| format!("Host.ha_xapi_healthcheck threw exception: {text}");
    let said = match ctx.session.call("host.ha_xapi_healthcheck", &[]) {
        Ok(Value::Bool(true)) => {
            ctx.console.direct("xapi is healthy.\n");
            return Ok(());
        }
        Ok(_) => "Host.ha_xapi_healthcheck reports false".to_owned(),
        Err(CallError::Api(failure)) => {
            threw(format!("{}: [ {} ]", failure.code, failure.params.join("; ")))
        }
        Err(other) => threw(other.to_string()),
    };
    ctx.console.note(&said);
    Err(CliError::Exit(3))
}

fn prevent_evacuation(ctx: &mut Context<'_, '_>) -> Outcome {
    let host = ctx.object("host", "uuid")?;
    let answer = ctx.call("host.get_vms_which_prevent_evacuation", &[host])?;
    let mut records = Vec::new();
    for (vm, reason) in answer.as_struct().into_iter().flatten() {
        let vm = [Value::from(vm.as_str())];
        let words: Vec<String> = reason
            .as_array()
            .unwrap_or_default()
            .iter()
            .map(|word| word.as_str().unwrap_or("").to_owned())
            .collect();
        records.push(vec![
            ("uuid ( RO)".to_owned(), ctx.text("VM.get_uuid", &vm)?),
            ("name-label ( RW)".to_owned(), ctx.text("VM.get_name_label", &vm)?),
            ("reason ( RO)".to_owned(), words.join(",")),
        ]);
    }
    ctx.console.table(&records);
    Ok(())
}
