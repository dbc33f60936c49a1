//! Emergency disable: one host alone, without any decision (R9.3), as [`crate::ha::emergency`]
//! plans.

use super::{client, forget, keep, refusal, session};
use crate::agent::standing::Standing;
use crate::agent::{Agent, config, master_change, pool_ref, starts, vm};
use crate::ha::emergency::{Facts, Step, plan};
use crate::heartbeat::liveset::Liveness;
use crate::xenapi::Failure;
use crate::xenapi::failure::Answer;
use std::sync::Arc;
use std::time::Duration;

/// Switches HA off on this host alone. `soft` leaves it armed for the next start.
pub fn disable(agent: &Arc<Agent>, soft: bool) -> Answer<()> {
    let Some(kept) = session(agent) else {
        return if soft { Ok(()) } else { Err(Failure::bare("HA_NOT_ENABLED")) };
    };
    let facts = facts(agent)?;
    let plan = plan(facts);
    agent.history.note(
        "emergency-ha-disable",
        &plan.warning(),
        serde_json::json!({
            "soft": soft, "steps": format!("{:?}", plan.steps),
        }),
    );
    let was_master = agent.standing().is_master();
    let client = client(agent)?.with_timeout(Duration::from_secs(60));
    for step in plan.steps {
        match step {
            Step::RefuseVms => set_mark(agent)?,
            Step::StopVms => stop_all_vms(agent).inspect_err(|_| clear_mark(agent))?,
            Step::Disarm => client.disarm_fencing(false).map_err(refusal)?,
            Step::DisarmByForce => client.disarm_fencing(true).map_err(refusal)?,
            Step::ClearLocalFlag if soft => keep(agent, &kept)?,
            Step::ClearLocalFlag => forget(agent),
        }
    }
    let _ = client.stop();
    set_mark(agent)?;
    if was_master {
        return goes_on_as_master(agent);
    }
    // The pool goes on with HA; this host serves nothing until the operator points it to a master
    // (pool-emergency-reset-master) or it boots anew.
    let waiting = Failure::bare("HA_POOL_IS_ENABLED_BUT_HOST_IS_DISABLED");
    master_change::step_down(agent, Standing::Emergency(waiting));
    Ok(())
}

/// The boot in which the operator switched HA off on this host: it does not come back by itself.
fn mark(agent: &Agent) -> Option<std::path::PathBuf> {
    agent.state_dir.as_ref().map(|dir| dir.join("ha-emergency.json"))
}

fn set_mark(agent: &Agent) -> Answer<()> {
    let Some(path) = mark(agent) else { return Ok(()) };
    config::write(&path, &agent.boot).map_err(|error| Failure::internal(format!("{error:#}")))
}

/// Lets this host take part in HA again.
pub fn clear_mark(agent: &Agent) {
    if let Some(path) = mark(agent) {
        let _ = std::fs::remove_file(path);
    }
}

/// Whether the operator switched HA off on this host in this boot.
pub fn is_marked(agent: &Agent) -> bool {
    mark(agent).and_then(|path| config::read::<String>(&path).ok()).as_ref() == Some(&agent.boot)
}

fn facts(agent: &Agent) -> Answer<Facts> {
    let liveset = client(agent)?.liveset().ok();
    let armed = liveset
        .as_ref()
        .is_some_and(|set| set.hosts.iter().any(|host| Some(host.uuid) == set.me && host.armed));
    let others = liveset.iter().flat_map(|set| {
        set.hosts
            .iter()
            .filter(|host| set.members.contains(&host.uuid) && Some(host.uuid) != set.me)
    });
    Ok(Facts {
        armed,
        others: others.clone().count(),
        storage_lost_by_all: liveset.as_ref().is_some_and(|set| set.storage_lost_by_all),
        all_heard: others.clone().all(|host| host.liveness == Liveness::Live),
        may_run_twice: false,
    })
}

/// The others may restart this host's VMs: none may be left here.
fn stop_all_vms(agent: &Agent) -> Answer<()> {
    for vm in starts::scan_after(agent)? {
        agent.driver.hard_stop(vm.vm).map_err(|error| Failure::internal(error.to_string()))?;
        let why = "emergency disable without the others' knowledge";
        agent.history.note("vm-stopped", why, serde_json::json!({ "vm": vm.vm }));
    }
    Ok(())
}

/// A former master goes on as master without HA and says so loudly; the other hosts elect their own
/// master, whose view lacks this host.
fn goes_on_as_master(agent: &Arc<Agent>) -> Answer<()> {
    agent.store.set_volume(None);
    master_change::become_master(agent)?;
    agent.store.commit(|tx| {
        let pool = pool_ref(tx.db()).unwrap_or("").to_owned();
        tx.set("pool", &pool, "ha_enabled", false);
        Ok(())
    })?;
    let why = "HA was switched off here by an emergency disable of the pool's master";
    vm::message(agent, "HA_STATEFILE_LOST", 2, "Host", &agent.config.host.to_string(), why);
    Ok(())
}
