//! Switching HA off for the pool, step by step as [`crate::ha::disable`] says.

use super::{HostStep, address_of, client, end_session, refusal, session};
use crate::agent::jobs::{self, Job};
use crate::agent::standing::Standing;
use crate::agent::vm::master_epoch;
use crate::agent::{Agent, master_change, pool_ref};
use crate::ha::disable::{Disable, Event, Step};
use crate::heartbeat::{Liveset, Mode};
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, Value};
use crate::xhad::control::PoolState;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// How long the hosts may take to notice that a decided view switched HA off.
const NOTICE: Duration = Duration::from_secs(30);

/// Switches HA off: by decided views when the statefile answers (R9.2), else host by host (R9.3).
pub fn disable(agent: &Arc<Agent>) -> Answer<()> {
    let epoch = master_epoch(agent)?;
    let db = agent.store.read();
    let pool = pool_ref(&db).unwrap_or("");
    if !db.flag("pool", pool, "ha_enabled") {
        return Err(Failure::bare("HA_NOT_ENABLED"));
    }
    let Some(liveset) = agent.ha.liveset() else {
        // The flag is a leftover: no daemon runs here (S98).
        return record(agent);
    };
    agent.history.note("ha-disable", "asked for by a user", serde_json::json!({}));
    let (mut switch, steps) = Disable::begin(&liveset.members, liveset.statefile_ok);
    let mut todo: VecDeque<Step> = steps.into();
    while let Some(step) = todo.pop_front() {
        let event = carry_out(agent, epoch, &step);
        todo.extend(switch.event(event));
    }
    match switch.outcome() {
        Some(Ok(())) => Ok(()),
        Some(Err(why)) => Err(Failure::new("HA_LOST_STATEFILE", [why.as_str()])),
        None => Err(Failure::internal("the switch ended half way")),
    }
}

fn carry_out(agent: &Arc<Agent>, epoch: u64, step: &Step) -> Event {
    let decide = |state| client(agent).and_then(|c| c.set_pool_state(state).map_err(refusal));
    let on_host = |host: &uuid::Uuid, step: HostStep| {
        let db = agent.store.read();
        let row = db.by_uuid("host", &host.to_string()).unwrap_or("").to_owned();
        jobs::on_host(agent, &row, epoch, &Job::Ha(step)).map(|_| ())
    };
    let (outcome, host) = match step {
        Step::DecideOffPending => (decide(PoolState::OffPending), None),
        Step::DecideOff => (decide(PoolState::Off), None),
        // Failover is blocked by the mark itself: an unarmed host is never presumed dead (R5).
        Step::BlockFailover(host) => (Ok(()), Some(*host)),
        Step::Disarm(host) => (on_host(host, HostStep::Disarm), Some(*host)),
        // A host that saw the decided view has ended its session already.
        Step::StopDaemon(host) => (wait_off(agent, *host), Some(*host)),
        Step::ClearPoolFlag => (clear(agent), None),
    };
    match (outcome, host) {
        (Ok(()), None) => Event::Done,
        (Ok(()), Some(host)) => Event::HostDone(host),
        (Err(failure), None) => Event::Failed(failure.to_string()),
        (Err(failure), Some(host)) => Event::HostFailed(host, failure.to_string()),
    }
}

/// Waits until this host acts as master without HA; another host stops by itself.
fn wait_off(agent: &Agent, host: uuid::Uuid) -> Answer<()> {
    if host != agent.config.host {
        return Ok(());
    }
    let step = Duration::from_millis(100);
    for _ in 0..NOTICE.as_millis() / step.as_millis() {
        if session(agent).is_none() && agent.standing().is_master() {
            return Ok(());
        }
        std::thread::sleep(step);
    }
    Err(Failure::new("HA_LOST_STATEFILE", ["this host is still armed"]))
}

fn clear(agent: &Arc<Agent>) -> Answer<()> {
    record(agent)
}

/// Writes "HA is off" to the database.
fn record(agent: &Agent) -> Answer<()> {
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
