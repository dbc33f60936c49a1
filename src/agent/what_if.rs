//! What would happen if: hosts failed, a VM was started, a host was disabled or emptied. Nothing
//! changes; the answers come from the guards, the planner and the recovery's own policy.

use super::capacity::{Capacity, budget, capacity, footprint};
use super::explain::named;
use super::vm::choose::choose;
use super::{Agent, evacuate, guard, recover};
use crate::plan;
use crate::pool::Database;
use crate::pool::rows::{Host, Pool, Vm};
use crate::recovery::rehearse::rehearse;
use crate::recovery::{Pool as Rows, Priority};
use crate::xenapi::Failure;
use crate::xenapi::failure::Answer;
use crate::xenapi::ha_view::{Left, Step, WhatIf};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Answers one question: `hosts` (uuids), `vm-start`, `host-disable` or `host-evacuate` (a uuid).
pub fn answer(agent: &Agent, question: &BTreeMap<String, String>) -> Answer<WhatIf> {
    let mut told = played(agent, question)?;
    told.verdict = match (&told.refusal, told.allowed, question.contains_key("hosts")) {
        (Some(why), _, _) => format!("refused: {why}"),
        (None, true, true) => "every protected VM comes back".to_owned(),
        (None, false, true) => "not every protected VM comes back".to_owned(),
        (None, true, false) => "allowed".to_owned(),
        (None, false, false) => "not for every VM".to_owned(),
    };
    Ok(told)
}

fn played(agent: &Agent, question: &BTreeMap<String, String>) -> Answer<WhatIf> {
    let db = agent.store.read();
    let asked: Vec<(&str, &str)> =
        question.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    match asked[..] {
        [("hosts", uuids)] => hosts_fail(agent, &db, uuids),
        [("vm-start", uuid)] => vm_start(agent, &db, db.require_uuid("VM", uuid)?),
        [("host-disable", uuid)] => host_disable(agent, &db, db.require_uuid("host", uuid)?),
        [("host-evacuate", uuid)] => host_evacuate(agent, &db, db.require_uuid("host", uuid)?),
        _ => {
            let keys: Vec<&str> = asked.iter().map(|(key, _)| *key).collect();
            Err(Failure::new("INVALID_VALUE", ["question", &keys.join(",")]))
        }
    }
}

fn survives(capacity: &Capacity) -> i64 {
    let verdict = plan::max_failures(&capacity.problem, &budget());
    if verdict.startable { i64::try_from(verdict.max).unwrap_or(i64::MAX) } else { 0 }
}

fn begin(db: &Database, question: String, before: &Capacity, guarded: Answer<()>) -> WhatIf {
    let refusal = guarded.err().map(|failure| super::words::why(db, &failure));
    WhatIf {
        question,
        allowed: refusal.is_none(),
        refusal,
        survives_before: survives(before),
        ..WhatIf::default()
    }
}

fn step(db: &Database, vm: &str, to: &str, at_ms: u64) -> Answer<Step> {
    let row = Vm::get(db, vm)?;
    Ok(Step {
        at_ms,
        vm: named(db, "VM", vm),
        from: row.resident_on().map(|host| named(db, "host", host)),
        to: named(db, "host", to),
        priority: row.ha_restart_priority().to_owned(),
        order: row.order(),
        start_delay: row.start_delay(),
        memory: footprint(&row),
    })
}

/// The rows for a rehearsal. While HA is off: as they would be when it is switched on.
fn rows(agent: &Agent, db: &Database) -> Answer<Rows> {
    let mut rows = recover::view(agent, db)?;
    if Pool::all(db).any(|pool| pool.ha_enabled()) {
        return Ok(rows);
    }
    for vm in &mut rows.vms {
        let Some(row) = db.by_uuid("VM", &vm.uuid.to_string()) else { continue };
        let row = Vm::get(db, row)?;
        vm.priority = match row.ha_restart_priority() {
            "restart" => Priority::Restart,
            "best-effort" => Priority::BestEffort,
            _ => Priority::None,
        };
        vm.always_run |= vm.priority == Priority::Restart && row.power_state() == "Running";
    }
    Ok(rows)
}

fn hosts_fail(agent: &Agent, db: &Database, uuids: &str) -> Answer<WhatIf> {
    let (mut failed, mut hosts) = (Vec::<Uuid>::new(), Vec::new());
    for uuid in uuids.split(',').filter(|uuid| !uuid.is_empty()) {
        let host = db.require_uuid("host", uuid)?;
        // Named twice it fails once.
        if !hosts.contains(&host) {
            failed.push(super::vm::uuid_of(db, "host", host)?);
            hosts.push(host);
        }
    }
    if hosts.is_empty() {
        return Err(Failure::new("INVALID_VALUE", ["hosts", uuids, "it names no host"]));
    }
    let before = capacity(agent, db)?;
    let names: Vec<String> = hosts.iter().map(|host| named(db, "host", host).to_string()).collect();
    let on = Pool::all(db).any(|pool| pool.ha_enabled());
    let as_if = if on { "" } else { " (HA is off: as if it were on)" };
    let fail = if names.len() == 1 { "fails" } else { "fail at the same moment" };
    let question = format!("{} {fail}{as_if}", names.join(", "));
    let mut told = begin(db, question, &before, Ok(()));
    let played = rehearse(&rows(agent, db)?, &failed);
    let mut after = before;
    for host in &hosts {
        after.apply(guard::disabled(&after, host));
    }
    let row = |class: &str, uuid: Uuid| db.by_uuid(class, &uuid.to_string()).unwrap_or("");
    for start in &played.starts {
        let (vm, host) = (row("VM", start.vm), row("host", start.host));
        let at_ms = u64::try_from(start.at.as_millis()).unwrap_or(u64::MAX);
        told.steps.push(step(db, vm, host, at_ms)?);
        after.apply(guard::started(&after, &Vm::get(db, vm)?, host));
    }
    for vm in &played.left {
        told.left.push(left(db, row("VM", *vm), &hosts)?);
    }
    told.allowed = told.left.iter().all(|left| left.priority != "restart");
    told.survives_after = survives(&after);
    Ok(told)
}

fn left(db: &Database, vm: &str, failed: &[&str]) -> Answer<Left> {
    let row = Vm::get(db, vm)?;
    let priority = row.ha_restart_priority();
    let takes = |host: &Host<'_>| host.enabled() && super::capacity::is_live(db, host);
    let stays = |host: &Host<'_>| !failed.contains(&host.reference) && takes(host);
    let stay: Vec<Host<'_>> = Host::all(db).filter(stays).collect();
    let possible = super::agility::possible_hosts(db, &row);
    let why = match priority {
        "restart" | "best-effort" if stay.is_empty() => "no host is left that takes VMs",
        "restart" | "best-effort" => {
            let reached = stay.iter().any(|host| possible.iter().any(|it| it == host.reference));
            if reached { "no host that can run it has room" } else { "no other host can run it" }
        }
        _ => "it has no restart priority",
    };
    Ok(Left { vm: named(db, "VM", vm), priority: priority.to_owned(), why: why.to_owned() })
}

fn vm_start(agent: &Agent, db: &Database, vm: &str) -> Answer<WhatIf> {
    let row = Vm::get(db, vm)?;
    let before = capacity(agent, db)?;
    let may = |_: ()| super::vm::assert_power(&row, &["Halted"]);
    let ready = super::vm::assert_machine(&row).and_then(may);
    let on = |force| ready.clone().and_then(|()| choose(agent, db, &row, force));
    let (chosen, forced) = (on(false), on(true).ok());
    let question = format!("{} is started", named(db, "VM", vm));
    let mut told = begin(db, question, &before, chosen.clone().map(|_| ()));
    told.survives_after = told.survives_before;
    if let Ok(host) = &chosen {
        told.steps.push(step(db, vm, host, 0)?);
    }
    // Of a start that is refused: what would be left if it were forced.
    if let Some(host) = chosen.ok().or(forced) {
        let mut after = before;
        after.apply(guard::started(&after, &row, &host));
        told.survives_after = survives(&after);
    }
    Ok(told)
}

fn host_disable(agent: &Agent, db: &Database, host: &str) -> Answer<WhatIf> {
    let before = capacity(agent, db)?;
    let question = format!("{} is disabled", named(db, "host", host));
    let mut told = begin(db, question, &before, guard::disable_host(agent, db, host));
    let mut after = before;
    after.apply(guard::disabled(&after, host));
    told.survives_after = survives(&after);
    Ok(told)
}

fn host_evacuate(agent: &Agent, db: &Database, host: &str) -> Answer<WhatIf> {
    let before = capacity(agent, db)?;
    let question = format!("every VM leaves {}", named(db, "host", host));
    let planned = evacuate::planned(agent, db, host)?;
    let (moves, _) = evacuate::moves(db, planned.clone());
    let mut told = begin(db, question, &before, evacuate::allowed(agent, db, host, &moves));
    let mut after = before;
    after.apply(guard::disabled(&after, host));
    for (vm, target) in planned {
        let row = Vm::get(db, &vm)?;
        match target {
            Ok(to) if row.power_state() == "Running" => {
                told.steps.push(step(db, &vm, &to, 0)?);
                after.apply(guard::started(&after, &row, &to));
            }
            refused => {
                let paused = || "it is paused".to_owned();
                let why = refused.err().map_or_else(paused, |why| super::words::why(db, &why));
                let priority = row.ha_restart_priority().to_owned();
                told.left.push(Left { vm: named(db, "VM", &vm), priority, why });
            }
        }
    }
    told.allowed &= told.left.is_empty();
    told.survives_after = survives(&after);
    Ok(told)
}
