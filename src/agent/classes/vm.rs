//! VM: virtual machines.

use super::Methods;
use crate::agent::dispatch::Call;
use crate::agent::generic::checked_record;
use crate::agent::vm::lifecycle::{self, Down};
use crate::agent::vm::start::{Begin, start};
use crate::agent::vm::{assert_power, copy, migrate};
use crate::agent::{agility, capacity, explain, guard, ha, new_reference, new_uuid};
use crate::pool::rows::{Host, Pool, Vm};
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, Model, Value};
use std::collections::BTreeMap;

pub(super) const METHODS: Methods = &[
    ("create", create),
    ("destroy", |call| copy::destroy(call.agent, call.text(0)).map(done)),
    ("clone", |call| copy::clone(call.agent, call.text(0), call.text(1)).map(Value::from)),
    ("copy", |call| copy::clone(call.agent, call.text(0), call.text(1)).map(Value::from)),
    ("provision", |call| copy::provision(call.agent, call.text(0)).map(done)),
    ("start", |call| begin(call, None, call.flag(1), call.flag(2))),
    ("start_on", |call| begin(call, Some(call.text(1)), call.flag(2), call.flag(3))),
    ("resume", |call| resume(call, None, call.flag(2))),
    ("resume_on", |call| resume(call, Some(call.text(1)), call.flag(3))),
    ("clean_shutdown", |call| lifecycle::shutdown(call.agent, call.text(0), Down::Clean).map(done)),
    ("hard_shutdown", |call| lifecycle::shutdown(call.agent, call.text(0), Down::Hard).map(done)),
    ("shutdown", shutdown),
    ("clean_reboot", |call| lifecycle::reboot(call.agent, call.text(0), Down::Clean).map(done)),
    ("hard_reboot", |call| lifecycle::reboot(call.agent, call.text(0), Down::Hard).map(done)),
    ("pause", |call| lifecycle::pause(call.agent, call.text(0), true).map(done)),
    ("unpause", |call| lifecycle::pause(call.agent, call.text(0), false).map(done)),
    ("suspend", |call| lifecycle::suspend(call.agent, call.text(0)).map(done)),
    ("power_state_reset", |call| lifecycle::power_state_reset(call.agent, call.text(0)).map(done)),
    ("pool_migrate", |call| migrate::migrate(call.agent, call.text(0), call.text(1)).map(done)),
    ("assert_agile", assert_agile),
    ("assert_can_boot_here", assert_can_boot_here),
    ("get_possible_hosts", possible_hosts),
    ("xe_ha_explain", ha_explain),
    ("set_ha_restart_priority", set_priority),
    ("set_ha_always_run", set_always_run),
    ("set_order", |call| set_number(call, "order")),
    ("set_start_delay", |call| set_number(call, "start_delay")),
    ("set_shutdown_delay", |call| set_number(call, "shutdown_delay")),
    ("set_is_a_template", set_is_a_template),
    ("set_memory_static_max", |call| set_memory(call, &[(1, "memory_static_max")])),
    ("set_memory_static_min", |call| set_memory(call, &[(1, "memory_static_min")])),
    ("set_memory_dynamic_max", |call| set_memory(call, &[(1, "memory_dynamic_max")])),
    ("set_memory_dynamic_min", |call| set_memory(call, &[(1, "memory_dynamic_min")])),
    ("set_memory_dynamic_range", |call| {
        set_memory(call, &[(1, "memory_dynamic_min"), (2, "memory_dynamic_max")])
    }),
    ("set_memory", |call| {
        set_memory(
            call,
            &[(1, "memory_static_max"), (1, "memory_dynamic_max"), (1, "memory_dynamic_min")],
        )
    }),
    ("set_memory_limits", |call| {
        let fields = [
            (1, "memory_static_min"),
            (2, "memory_static_max"),
            (3, "memory_dynamic_min"),
            (4, "memory_dynamic_max"),
        ];
        set_memory(call, &fields)
    }),
    ("set_groups", set_groups),
    ("set_VCPUs_max", |call| set_number(call, "VCPUs_max")),
    ("set_VCPUs_at_startup", |call| set_number(call, "VCPUs_at_startup")),
    ("compute_memory_overhead", |_| Ok(Value::Int(0))),
    ("get_allowed_VBD_devices", |call| allowed_devices(call, "VBDs", "VBD", "userdevice", 16)),
    ("get_allowed_VIF_devices", |call| allowed_devices(call, "VIFs", "VIF", "device", 7)),
];

fn done(_: ()) -> Value {
    Value::void()
}

fn create(call: &Call<'_>) -> Answer {
    let reference = new_reference();
    let empty = BTreeMap::new();
    let given = call.params[0].as_struct().unwrap_or(&empty);
    let class = Model::get().class("VM").ok_or_else(|| Failure::internal("no VMs"))?;
    call.agent.store.commit(|tx| {
        let mut fields = checked_record(tx.db(), class, given)?;
        let priority = fields.get("ha_restart_priority").and_then(Value::as_str).unwrap_or("");
        valid_priority(priority)?;
        fields.insert("uuid".to_owned(), Value::from(new_uuid()));
        fields.insert("power_state".to_owned(), Value::from("Halted"));
        fields.insert("metrics".to_owned(), Value::from(copy::new_metrics(tx)));
        tx.create("VM", &reference, fields);
        Ok(())
    })?;
    Ok(Value::from(reference))
}

/// With `force` a start may break the failover plan; the pool then shows as overcommitted.
fn begin(call: &Call<'_>, on: Option<&str>, paused: bool, force: bool) -> Answer {
    let begin = if paused { Begin::BootPaused } else { Begin::Boot };
    begun(call, on, begin, force)
}

fn resume(call: &Call<'_>, on: Option<&str>, force: bool) -> Answer {
    begun(call, on, Begin::Resume, force)
}

fn begun(call: &Call<'_>, on: Option<&str>, begin: Begin, force: bool) -> Answer {
    start(call.agent, call.text(0), on, begin, (call.task, force))?;
    if force {
        // Whoever forces a start wants to see at once what it did to the plan.
        ha::plan::update(call.agent)?;
    }
    Ok(Value::void())
}

/// Cleanly if the guest obeys, else hard.
fn shutdown(call: &Call<'_>) -> Answer {
    let clean = lifecycle::shutdown(call.agent, call.text(0), Down::Clean);
    match clean {
        Ok(()) => Ok(Value::void()),
        Err(failure) if failure.code == "XE_JOB_UNDECIDED" => {
            lifecycle::shutdown(call.agent, call.text(0), Down::Hard).map(done)
        }
        Err(failure) => Err(failure),
    }
}

fn assert_agile(call: &Call<'_>) -> Answer {
    let db = call.agent.store.read();
    agility::assert_agile(&db, &Vm::get(&db, call.text(0))?).map(done)
}

fn assert_can_boot_here(call: &Call<'_>) -> Answer {
    let db = call.agent.store.read();
    let vm = Vm::get(&db, call.text(0))?;
    agility::assert_can_boot_here(&db, &vm, call.text(1), call.agent.host_memory()).map(done)
}

fn ha_explain(call: &Call<'_>) -> Answer {
    let db = call.agent.store.read();
    super::pool::json(&explain::explain(call.agent, &db, &Vm::get(&db, call.text(0))?))
}

/// The hosts that could run the VM, as far as storage, networks and their state go.
fn possible_hosts(call: &Call<'_>) -> Answer {
    let db = call.agent.store.read();
    let vm = Vm::get(&db, call.text(0))?;
    let usable = |host: &String| {
        Host::get(&db, host).is_ok_and(|host| host.enabled() && capacity::is_live(&db, &host))
    };
    Ok(Value::text_set(agility::possible_hosts(&db, &vm).into_iter().filter(usable)))
}

fn valid_priority(priority: &str) -> Answer<()> {
    match priority {
        "restart" | "best-effort" | "" => Ok(()),
        other => {
            let mut words = vec!["ha_restart_priority", other];
            words.extend(new_value(other));
            Err(Failure::new("INVALID_VALUE", words))
        }
    }
}

/// What is to be said today instead of a priority of old releases.
fn new_value(old: &str) -> Option<&'static str> {
    Some(match old {
        "0" => "old releases: use restart with order=0",
        "1" => "old releases: use restart with order=1",
        "2" => "old releases: use restart with order=2",
        "3" => "old releases: use restart with order=3",
        "best_effort" | "besteffort" => "use best-effort",
        "always_run" | "always-run" | "true" => "use restart",
        "none" | "false" | "do-not-restart" => "use the empty value",
        _ => return None,
    })
}

/// `restart`, `best-effort` or nothing; a VM that runs is meant to run from now on, or not.
fn set_priority(call: &Call<'_>) -> Answer {
    valid_priority(call.text(1))?;
    set_priority_to(call, call.text(0), call.text(1))
}

fn set_priority_to(call: &Call<'_>, vm: &str, priority: &str) -> Answer {
    let _admitted = guard::admit(call.agent);
    let db = call.agent.store.read();
    let row = Vm::get(&db, vm)?;
    if priority == "restart"
        && row.power_state() != "Halted"
        && row.ha_restart_priority() != priority
    {
        guard::protect(call.agent, &db, vm)?;
    }
    call.agent.store.commit(|tx| {
        let db = tx.db().clone();
        let row = Vm::get(&db, vm)?;
        if row.ha_restart_priority() != priority && row.power_state() == "Running" {
            tx.set("VM", vm, "ha_always_run", priority == "restart");
        }
        if priority != "restart" {
            tx.set("VM", vm, "ha_always_run", false);
        }
        tx.set("VM", vm, "ha_restart_priority", priority);
        Ok(())
    })?;
    plan_changed(call);
    Ok(Value::void())
}

/// Deprecated: true is priority `restart`, false wipes the priority.
fn set_always_run(call: &Call<'_>) -> Answer {
    set_priority_to(call, call.text(0), if call.flag(1) { "restart" } else { "" })
}

/// The plan is computed anew when HA is on.
fn plan_changed(call: &Call<'_>) {
    crate::agent::recover::wake(call.agent);
}

/// A VM is in one group at most, which must be there.
fn set_groups(call: &Call<'_>) -> Answer {
    let (vm, groups) = (call.text(0), call.refs(1));
    if groups.len() > 1 {
        return Err(Failure::bare("TOO_MANY_GROUPS"));
    }
    call.agent.store.commit(|tx| {
        tx.row("VM", vm)?;
        groups.iter().try_for_each(|group| tx.row("VM_group", group).map(drop))?;
        tx.set("VM", vm, "groups", Value::text_set(groups.iter().map(String::as_str)));
        Ok(())
    })?;
    plan_changed(call);
    Ok(Value::void())
}

fn set_number(call: &Call<'_>, field: &str) -> Answer {
    let (vm, number) = (call.text(0), call.int(1));
    if number < 0 && field.ends_with("delay") || number < 1 && field.starts_with("VCPUs") {
        return Err(Failure::new("INVALID_VALUE", [field.to_owned(), number.to_string()]));
    }
    call.agent.store.commit(|tx| {
        let db = tx.db().clone();
        let row = Vm::get(&db, vm)?;
        if field == "VCPUs_max" {
            assert_power(&row, &["Halted"])?;
        }
        tx.set("VM", vm, field, number);
        Ok(Value::void())
    })
}

fn set_memory(call: &Call<'_>, fields: &[(usize, &str)]) -> Answer {
    let vm = call.text(0);
    let _admitted = guard::admit(call.agent);
    let db = call.agent.store.read();
    if let Some((at, _)) = fields.iter().find(|(_, field)| *field == "memory_static_max") {
        let overhead = Vm::get(&db, vm)?.memory_overhead();
        let size = u64::try_from(call.int(*at) + overhead).unwrap_or(0);
        guard::resize(call.agent, &db, vm, size)?;
    }
    call.agent.store.commit(|tx| {
        let db = tx.db().clone();
        let row = Vm::get(&db, vm)?;
        if fields.iter().any(|(_, field)| field.contains("static")) {
            assert_power(&row, &["Halted"])?;
        }
        for (at, field) in fields {
            tx.set("VM", vm, field, call.int(*at));
        }
        let db = tx.db();
        let of = |field: &str| db.int("VM", vm, field);
        let ordered = of("memory_static_min") <= of("memory_dynamic_min")
            && of("memory_dynamic_min") <= of("memory_dynamic_max")
            && of("memory_dynamic_max") <= of("memory_static_max");
        if !ordered {
            let why = "static min <= dynamic min <= dynamic max <= static max";
            return Err(Failure::new("MEMORY_CONSTRAINT_VIOLATION", [why]));
        }
        Ok(Value::void())
    })
}

fn set_is_a_template(call: &Call<'_>) -> Answer {
    let (vm, template) = (call.text(0), call.flag(1));
    call.agent.store.commit(|tx| {
        let db = tx.db().clone();
        let row = Vm::get(&db, vm)?;
        assert_power(&row, &["Halted"])?;
        let ha_enabled = Pool::all(&db).any(|pool| pool.ha_enabled());
        if template && ha_enabled && capacity::is_protected(&row) {
            return Err(Failure::new("VM_IS_PROTECTED", [vm]));
        }
        if template {
            tx.set("VM", vm, "ha_always_run", false);
        }
        tx.set("VM", vm, "is_a_template", template);
        Ok(Value::void())
    })
}

fn allowed_devices(call: &Call<'_>, set: &str, class: &str, field: &str, most: u8) -> Answer {
    let db = call.agent.store.read();
    db.require("VM", call.text(0))?;
    let rows = db.set_of("VM", call.text(0), set);
    let used: Vec<&str> = rows.iter().map(|row| db.text(class, row, field)).collect();
    let free = (0..most).map(|number| number.to_string());
    Ok(Value::text_set(free.filter(|number| !used.contains(&number.as_str()))))
}
