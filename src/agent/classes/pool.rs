//! pool: the hosts as one, and HA.

use super::Methods;
use crate::agent::dispatch::Call;
use crate::agent::{guard, ha, master_change, membership, pool_ref, what_if};
use crate::plan;
use crate::pool::rows::Pool;
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, Value};
use std::collections::BTreeMap;

pub(super) const METHODS: Methods = &[
    ("enable_ha", enable_ha),
    ("disable_ha", disable_ha),
    ("ha_prevent_restarts_for", prevent_restarts),
    ("ha_failover_plan_exists", plan_exists),
    ("ha_compute_max_host_failures_to_tolerate", compute_max),
    ("ha_compute_hypothetical_max_host_failures_to_tolerate", hypothetical),
    ("ha_compute_vm_failover_plan", failover_plan),
    ("set_ha_host_failures_to_tolerate", set_failures),
    ("set_ha_allow_overcommit", set_allow_overcommit),
    ("join", |call| join(call)),
    ("join_force", |call| join(call)),
    ("xe_admit", |call| membership::admit(call.agent, &call.map(0)).map(Value::from)),
    ("eject", |call| membership::eject(call.agent, call.text(0)).map(|()| Value::void())),
    ("designate_new_master", |call| {
        master_change::designate(call.agent, call.text(0)).map(|()| Value::void())
    }),
    ("emergency_transition_to_master", |call| {
        membership::emergency_transition(call.agent).map(|()| Value::void())
    }),
    ("emergency_reset_master", |call| {
        membership::emergency_reset(call.agent, call.text(0)).map(|()| Value::void())
    }),
    ("recover_slaves", |call| Ok(Value::text_set(membership::recover_slaves(call.agent)?))),
    ("sync_database", |call| membership::sync_database(call.agent).map(|()| Value::void())),
    ("xe_ha_status", |call| {
        let db = call.agent.store.read();
        json(&ha::status::status(call.agent, &db)?)
    }),
    ("xe_ha_what_if", |call| json(&what_if::answer(call.agent, &call.map(0))?)),
    ("xe_ha_witness_key", |call| ha::witness::key(call.agent)),
    ("xe_ha_pause", |call| ha::pause::pause(call.agent, call.int(0)).map(|()| Value::void())),
    ("is_slave", |call| Ok(Value::Bool(!call.agent.standing().is_master()))),
];

/// What is told as JSON goes over the wire as a text.
pub(super) fn json(told: &impl serde::Serialize) -> Answer {
    let text = serde_json::to_string(told);
    text.map(Value::from).map_err(|error| Failure::internal(error.to_string()))
}

fn enable_ha(call: &Call<'_>) -> Answer {
    ha::enable::enable(call.agent, &call.refs(0), &call.map(1))?;
    // Whoever switches HA on by hand ends a pause.
    ha::pause::cancel(call.agent)?;
    Ok(Value::void())
}

/// Off; during a pause: HA does not come back by itself.
fn disable_ha(call: &Call<'_>) -> Answer {
    if !ha::pause::cancel(call.agent)? {
        ha::disable::disable(call.agent)?;
    }
    Ok(Value::void())
}

fn join(call: &Call<'_>) -> Answer {
    membership::join(call.agent, call.text(0), call.text(1), call.text(2)).map(|()| Value::void())
}

fn prevent_restarts(call: &Call<'_>) -> Answer {
    let seconds = u64::try_from(call.int(0)).unwrap_or(0);
    crate::agent::recover::prevent_for(call.agent, std::time::Duration::from_secs(seconds));
    Ok(Value::void())
}

fn plan_exists(call: &Call<'_>) -> Answer {
    let db = call.agent.store.read();
    let verdict = guard::max_failures(call.agent, &db)?;
    let wanted = usize::try_from(call.int(0)).unwrap_or(usize::MAX);
    Ok(Value::Bool(verdict.startable && wanted <= verdict.max))
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn compute_max(call: &Call<'_>) -> Answer {
    let db = call.agent.store.read();
    let verdict = guard::max_failures(call.agent, &db)?;
    if Pool::all(&db).any(|pool| pool.ha_enabled()) {
        ha::plan::update(call.agent)?;
    }
    Ok(Value::Int(number(verdict.max)))
}

fn hypothetical(call: &Call<'_>) -> Answer {
    let priorities = call.map(0);
    for priority in priorities.values() {
        if !matches!(priority.as_str(), "restart" | "best-effort" | "") {
            return Err(Failure::new("INVALID_VALUE", ["ha_restart_priority", priority]));
        }
    }
    let db = call.agent.store.read();
    Ok(Value::Int(number(guard::hypothetical(call.agent, &db, &priorities)?.max)))
}

/// `(failed hosts, failed VMs)`: for each VM its new host, or why there is none.
fn failover_plan(call: &Call<'_>) -> Answer {
    let (hosts, vms) = (call.refs(0), call.refs(1));
    let db = call.agent.store.read();
    let found = crate::agent::capacity::capacity(call.agent, &db)?;
    let index = |rows: &[String], row: &String| rows.iter().position(|known| known == row);
    let failed: Vec<usize> = hosts.iter().filter_map(|host| index(&found.hosts, host)).collect();
    let wanted: Vec<usize> = vms.iter().filter_map(|vm| index(&found.vms, vm)).collect();
    let placement = plan::place_most(&found.problem, &failed, &wanted);
    let (mut answer, mut left) = (BTreeMap::new(), found.problem.clone());
    for (vm, host) in &placement.placed {
        let entry = Value::text_map([("host", found.hosts[*host].as_str())]);
        answer.insert(found.vms[*vm].clone(), entry);
        left.hosts[*host].take(&left.vms[*vm]);
    }
    for vm in &placement.left {
        let short = plan::Shortage::of(&left, *vm, |host| !failed.contains(&host));
        let entry = Value::text_map([("error_code", short.code())]);
        answer.insert(found.vms[*vm].clone(), entry);
    }
    Ok(Value::Struct(answer))
}

fn set_failures(call: &Call<'_>) -> Answer {
    let wanted = call.int(1);
    let words = ["ha_host_failures_to_tolerate".to_owned(), wanted.to_string()];
    let number_wanted =
        usize::try_from(wanted).map_err(|_| Failure::new("INVALID_VALUE", words))?;
    let _admitted = guard::admit(call.agent);
    let db = call.agent.store.read();
    let pool = Pool::get(&db, call.text(0))?;
    // Fewer than before is always possible: it is what mends an overcommitted pool.
    let more = wanted > pool.ha_host_failures_to_tolerate();
    if pool.ha_enabled() && !pool.ha_allow_overcommit() && more {
        guard::promise(call.agent, &db, number_wanted)?;
    }
    call.agent.store.commit(|tx| {
        tx.set("pool", call.text(0), "ha_host_failures_to_tolerate", wanted);
        Ok(())
    })?;
    if pool.ha_enabled() {
        ha::plan::update(call.agent)?;
    }
    Ok(Value::void())
}

fn set_allow_overcommit(call: &Call<'_>) -> Answer {
    let allow = call.flag(1);
    call.agent.store.commit(|tx| {
        let pool = pool_ref(tx.db()).unwrap_or("").to_owned();
        tx.set("pool", &pool, "ha_allow_overcommit", allow);
        Ok(Value::void())
    })
}
