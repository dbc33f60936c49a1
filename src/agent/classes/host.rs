//! host: the machines of the pool.

use super::Methods;
use crate::agent::dispatch::Call;
use crate::agent::hooks::{self, Hook};
use crate::agent::jobs::{self, Job};
use crate::agent::maintenance::DISABLED;
use crate::agent::standing::Standing;
use crate::agent::vm::{master_epoch, set_halted};
use crate::agent::{capacity, evacuate, guard, ha, host_facts, maintenance, membership};
use crate::pool::rows::{Host, Pool, Vm};
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, Value};
use std::collections::BTreeMap;

pub(super) const METHODS: Methods = &[
    ("disable", disable),
    ("enable", enable),
    ("evacuate", evacuate),
    ("get_vms_which_prevent_evacuation", preventing),
    ("assert_can_evacuate", assert_can_evacuate),
    ("shutdown", |call| power(call, false)),
    ("reboot", |call| power(call, true)),
    ("destroy", destroy),
    ("declare_dead", declare_dead),
    ("emergency_ha_disable", |call| {
        ha::emergency::disable(call.agent, call.flag(0), false).map(|()| Value::void())
    }),
    ("xe_emergency_ha_disable", |call| {
        let (soft, may_run_twice) = (call.flag(0), call.flag(1));
        ha::emergency::disable(call.agent, soft, may_run_twice).map(|()| Value::void())
    }),
    ("xe_emergency_ha_warning", |call| {
        ha::emergency::planned(call.agent, false).map(|plan| Value::from(plan.warning()))
    }),
    ("xe_ha_release", |call| ha::brake::release(call.agent, call.text(0))),
    ("is_in_emergency_mode", |call| {
        Ok(Value::Bool(matches!(call.agent.standing(), Standing::Emergency(_))))
    }),
    ("ha_xapi_healthcheck", |_| Ok(Value::Bool(true))),
    ("get_servertime", |_| Ok(crate::agent::now())),
    ("get_server_localtime", |_| Ok(crate::agent::now())),
    ("compute_free_memory", free_memory),
    ("compute_memory_overhead", |_| Ok(Value::Int(0))),
    ("restart_agent", restart_agent),
    ("xe_maintenance_enter", |call| {
        let evacuate = call.given < 2 || call.flag(1);
        maintenance::enter(call.agent, call.text(0), evacuate).map(|()| Value::void())
    }),
    ("xe_maintenance_exit", |call| {
        maintenance::exit(call.agent, call.text(0)).map(|()| Value::void())
    }),
];

fn disable(call: &Call<'_>) -> Answer {
    let host = call.text(0);
    let auto_enable = call.given < 2 || call.flag(1);
    let _admitted = guard::admit(call.agent);
    let db = call.agent.store.read();
    db.require("host", host)?;
    guard::disable_host(call.agent, &db, host)?;
    call.agent.store.commit(|tx| {
        tx.set("host", host, "enabled", false);
        if !auto_enable {
            tx.put_key("host", host, "other_config", DISABLED, "true");
        }
        Ok(())
    })?;
    crate::agent::recover::wake(call.agent);
    Ok(Value::void())
}

fn enable(call: &Call<'_>) -> Answer {
    let host = call.text(0);
    let db = call.agent.store.read();
    let row = Host::get(&db, host)?;
    // Such a host is out of the heartbeat and counts as down for that alone.
    if maintenance::is_in(&db, host) {
        return maintenance::exit(call.agent, host).map(|()| Value::void());
    }
    if !capacity::is_live(&db, &row) {
        return Err(Failure::bare("HOST_NOT_LIVE"));
    }
    maintenance::ready(call.agent, host)?;
    call.agent.store.commit(|tx| {
        tx.remove_key("host", host, "other_config", DISABLED);
        tx.set("host", host, "enabled", true);
        Ok(())
    })?;
    crate::agent::recover::wake(call.agent);
    Ok(Value::void())
}

fn evacuate(call: &Call<'_>) -> Answer {
    evacuate::evacuate(call.agent, call.text(0), call.int(2)).map(|()| Value::void())
}

fn preventing(call: &Call<'_>) -> Answer {
    let found = evacuate::preventing(call.agent, call.text(0))?;
    let reason =
        |failure: Failure| Value::text_set(std::iter::once(failure.code).chain(failure.params));
    Ok(Value::Struct(found.into_iter().map(|(vm, why)| (vm, reason(why))).collect()))
}

fn assert_can_evacuate(call: &Call<'_>) -> Answer {
    let found = evacuate::preventing(call.agent, call.text(0))?;
    if found.is_empty() {
        return Ok(Value::void());
    }
    let word = |why: &Failure| {
        std::iter::once(why.code.clone()).chain(why.params.clone()).collect::<Vec<_>>().join(",")
    };
    let reasons: Vec<String> = found.values().map(word).collect();
    Err(Failure::new("CANNOT_EVACUATE_HOST", [reasons.join("|")]))
}

/// Switches a disabled host off. VMs that are still there are stopped; protected ones are started
/// elsewhere by HA, since the host is disabled.
fn power(call: &Call<'_>, reboot: bool) -> Answer {
    let agent = call.agent;
    let epoch = master_epoch(agent)?;
    let host = call.text(0).to_owned();
    let db = agent.store.read();
    let row = Host::get(&db, &host)?;
    if row.enabled() {
        return Err(Failure::bare("HOST_NOT_DISABLED"));
    }
    if Pool::all(&db).any(|pool| pool.ha_enabled()) && !maintenance::is_in(&db, &host) {
        ha::volumes::assert_reached(agent, &host)?;
    }
    for vm in row.resident_VMs().into_iter().filter_map(|vm| Vm::get(&db, vm).ok()) {
        if vm.is_control_domain() {
            continue;
        }
        let uuid = crate::agent::vm::uuid_of(&db, "VM", vm.reference)?;
        jobs::on_host(agent, &host, epoch, &Job::HardStop { vm: uuid })?;
        agent.store.commit(|tx| {
            set_halted(tx, vm.reference);
            Ok(())
        })?;
    }
    jobs::on_host(agent, &host, epoch, &Job::Power { reboot })?;
    Ok(Value::void())
}

/// Forgets a host that is gone for good.
fn destroy(call: &Call<'_>) -> Answer {
    let db = call.agent.store.read();
    let host = Host::get(&db, call.text(0))?;
    let own = call.agent.host_ref(&db);
    if capacity::is_live(&db, &host) || own.as_deref() == Some(host.reference) {
        return Err(Failure::new("HOST_IS_LIVE", [host.reference]));
    }
    if Pool::all(&db).any(|pool| pool.ha_enabled()) {
        return Err(Failure::bare("HA_IS_ENABLED"));
    }
    let real = |vm: &&str| Vm::get(&db, vm).is_ok_and(|vm| !vm.is_control_domain());
    if host.resident_VMs().iter().any(real) {
        return Err(Failure::new("HOST_HAS_RESIDENT_VMS", [host.reference]));
    }
    membership::remove_host(call.agent, host.reference).map(|()| Value::void())
}

/// The operator's word that a host is dead (R5.3e): its VMs may be started elsewhere from now on.
fn declare_dead(call: &Call<'_>) -> Answer {
    let agent = call.agent;
    let host = call.text(0);
    let db = agent.store.read();
    let uuid = db.require("host", host).map(|_| db.text("host", host, "uuid").to_owned())?;
    let member = uuid.parse().is_ok_and(|uuid| {
        agent.ha.liveset().is_some_and(|liveset| liveset.members.contains(&uuid))
    });
    if member || agent.host_ref(&db).as_deref() == Some(host) {
        return Err(Failure::new("HOST_IS_LIVE", [host]));
    }
    let words = [("hostuuid", uuid.as_str()), ("reason", "user")];
    hooks::run(agent, Hook::HostPreDeclareDead, &words);
    // The view must know it too, so that a new master does not have to ask again.
    if let (Ok(client), Ok(dead)) = (ha::client(agent), uuid.parse())
        && ha::is_armed(agent)
    {
        client.declare_dead(dead).map_err(ha::refusal)?;
    }
    agent.history.note(
        "host-declared-dead",
        "the operator said so",
        serde_json::json!({
            "host": uuid,
        }),
    );
    agent.store.commit(|tx| {
        host_facts::forget_boot(tx, host);
        tx.set("host", host, "enabled", false);
        Ok(())
    })?;
    host_facts::set_live(agent, &uuid, false);
    // With HA on it is dead only when its lease has ended for certain; the recovery tells then.
    if !ha::is_armed(agent) {
        let words = vec![("hostuuid", uuid), ("reason", "user".to_owned())];
        hooks::run_aside(agent, Hook::HostPostDeclareDead, words);
    }
    crate::agent::recover::wake(agent);
    Ok(Value::void())
}

fn free_memory(call: &Call<'_>) -> Answer {
    let db = call.agent.store.read();
    let host = Host::get(&db, call.text(0))?;
    let free = capacity::free_memory(&db, &host, &BTreeMap::new())?;
    Ok(Value::Int(i64::try_from(free).unwrap_or(i64::MAX)))
}

fn restart_agent(call: &Call<'_>) -> Answer {
    membership::restart_agent(call.agent, call.text(0)).map(|()| Value::void())
}
