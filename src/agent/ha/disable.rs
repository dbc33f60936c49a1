//! Switching HA off for the pool, step by step as [`crate::ha::disable`] says.

use super::{address_of, client, end_session, is_armed, refusal, session};
use crate::agent::standing::Standing;
use crate::agent::vm::master_epoch;
use crate::agent::{Agent, master_change, pool_ref};
use crate::ha::disable::{STEPS, Step, left_by};
use crate::heartbeat::{Liveset, Mode};
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, Value};
use crate::xhad::control::PoolState;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long the hosts may take to notice that a decided view switched HA off.
const NOTICE: Duration = Duration::from_secs(30);

/// Switches HA off by decided views.
pub fn disable(agent: &Arc<Agent>) -> Answer<()> {
    master_epoch(agent)?;
    let db = agent.store.read();
    if !db.flag("pool", pool_ref(&db).unwrap_or(""), "ha_enabled") {
        return Err(Failure::bare("HA_NOT_ENABLED"));
    }
    if !is_armed(agent) {
        // The flag is a leftover: the master takes no part in any session (S98).
        return record(agent);
    }
    agent.history.note("ha-disable", "asked for by a user", serde_json::json!({}));
    let decide = |state| client(agent).and_then(|c| c.set_pool_state(state).map_err(refusal));
    for step in STEPS {
        let done = match step {
            Step::DecideOffPending => decide(PoolState::OffPending),
            Step::DecideOff => decide(PoolState::Off),
            Step::AwaitOff => await_off(agent),
            Step::ClearPoolFlag => record(agent),
        };
        done.map_err(|failure| {
            let why = format!("{failure}; {}", left_by(step));
            Failure::new("HA_LOST_STATEFILE", [why])
        })?;
    }
    Ok(())
}

/// Waits until this host acts as master without HA; the others stop by themselves.
fn await_off(agent: &Agent) -> Answer<()> {
    let step = Duration::from_millis(100);
    for _ in 0..NOTICE.as_millis() / step.as_millis() {
        if session(agent).is_none() && agent.standing().is_master() {
            return Ok(());
        }
        std::thread::sleep(step);
    }
    Err(Failure::new("HA_LOST_STATEFILE", ["this host is still armed"]))
}

/// Writes "HA is off" to the database.
pub(crate) fn record(agent: &Agent) -> Answer<()> {
    agent.store.commit(|tx| {
        let db = tx.db().clone();
        let pool = pool_ref(&db).unwrap_or("");
        tx.set("pool", pool, "ha_enabled", false);
        tx.set("pool", pool, "ha_configuration", Value::Struct(BTreeMap::new()));
        tx.set("pool", pool, "ha_statefiles", Value::Array(Vec::new()));
        tx.set("pool", pool, "ha_plan_exists_for", 0);
        tx.set("pool", pool, "ha_overcommitted", false);
        for host in db.table("host").keys() {
            tx.set("host", host, "ha_statefiles", Value::Array(Vec::new()));
            tx.set("host", host, "ha_network_peers", Value::Array(Vec::new()));
        }
        Ok(())
    })
}

/// This host's daemon is disarmed: by a decided "off", or because this host left.
pub fn went_off(agent: &Arc<Agent>, liveset: &Liveset) {
    let decided_off = liveset.mode == Some(Mode::Off);
    let Some(session) = session(agent).filter(|_| decided_off) else { return };
    agent.history.note(
        "ha-off",
        "a decided view says so",
        serde_json::json!({
            "epoch": liveset.epoch,
        }),
    );
    if agent.standing().is_master() {
        // Nobody may take it for the master without HA before it is that and can write.
        let until_then = Standing::Emergency(Failure::bare("HOST_STILL_BOOTING"));
        master_change::step_down(agent, until_then);
    }
    agent.store.set_lease(None);
    agent.store.set_volume(None);
    end_session(agent);
    if liveset.master.is_some() && liveset.master == liveset.me {
        let seen = session.epoch_base + liveset.epoch;
        if let Err(failure) = master_change::become_master_after(agent, seen) {
            agent.history.note("ha-off-failed", &failure.to_string(), serde_json::json!({}));
        }
    } else if let Some(master) = liveset.master.and_then(|m| address_of(&session, m)) {
        master_change::follow(agent, &master);
    }
}
