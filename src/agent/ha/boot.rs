//! What a host does about HA when its agent starts, by [`crate::ha::boot`].

use super::{Session, address_of, client, daemon, forget, keep, refusal, session};
use crate::agent::config::PoolRole;
use crate::agent::master_change::{become_master, follow, step_down};
use crate::agent::standing::Standing;
use crate::agent::{Agent, pool_ref, vm};
use crate::ha::boot::{Action, Facts, Statefile, decide};
use crate::heartbeat::Key;
use crate::heartbeat::liveset::Phase;
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, Value};
use crate::xhad::control::PoolState;
use crate::xhad::statefile::{StatefileError, generation, read_newest_view};
use std::sync::Arc;

/// Decides and does what is due for a host whose daemon runs no session, or that keeps none.
pub fn settle(agent: &Arc<Agent>) -> Answer<()> {
    let kept = session(agent);
    let facts = facts(agent, kept.as_ref());
    let action = decide(&facts);
    match (&action, kept) {
        (Action::CarryOn, _) => {}
        (Action::Join, Some(kept)) => join(agent, &kept)?,
        (Action::RunWithoutHa, Some(kept)) => {
            agent.history.note("ha-off", "the pool runs without HA", serde_json::json!({}));
            // The last view says who is master since; this host's own word is older (S41).
            let role = last_role(agent, &kept);
            super::emergency::clear_mark(agent);
            forget(agent);
            run_without(agent, role)?;
        }
        (Action::FetchAndJoin, _) => fetch_and_join(agent)?,
        (Action::Wait(why), Some(_)) => {
            let failure = Failure::new("HA_HOST_CANNOT_ACCESS_STATEFILE", [why.as_str()]);
            return Err(failure);
        }
        (Action::Wait(why), None) if facts.vms_here => {
            agent.history.note("ha-waits", why, serde_json::json!({}));
        }
        (Action::AskAdministrator(why), _) => ask(agent, why),
        (Action::RunWithoutHa | Action::Wait(_) | Action::Join, _) => {}
    }
    Ok(())
}

fn facts(agent: &Agent, kept: Option<&Session>) -> Facts {
    let role = agent.state_dir.as_deref().map(PoolRole::load);
    let is_master = matches!(role, Some(Ok(PoolRole::Master)));
    let running = client(agent).and_then(|client| client.liveset().map_err(refusal));
    let db = agent.store.read();
    let flag = db.flag("pool", pool_ref(&db).unwrap_or(""), "ha_enabled");
    Facts {
        local_flag: kept.is_some_and(|session| session.armed),
        statefile: kept.map_or(Statefile::Unknown, statefile),
        pool_flag: if is_master { Some(flag) } else { ask_master(agent) },
        is_master,
        session_runs: running.is_ok_and(|liveset| liveset.phase != Phase::Off),
        // What cannot be counted may be there.
        vms_here: agent.driver.scan().map_or(true, |found| !found.is_empty()),
    }
}

/// What the master says about HA; none when it does not answer.
fn ask_master(agent: &Agent) -> Option<bool> {
    let role = PoolRole::load(agent.state_dir.as_deref()?).ok()?;
    let PoolRole::Member { master } = role else { return None };
    let answer = agent.peers.call(&master, "ha_session", &[]).ok()?;
    Some(answer.as_str().is_some_and(|text| !text.is_empty()))
}

fn statefile(kept: &Session) -> Statefile {
    let mut unreadable = None;
    for path in kept.statefile_paths() {
        match generation(&path) {
            Ok(other) if other != kept.generation => return Statefile::OtherSession,
            Ok(_) => {}
            Err(StatefileError::Content { .. }) => return Statefile::Init,
            Err(error) => unreadable = Some(error),
        }
    }
    let Ok(key) = Key::from_hex(&kept.key_hex) else { return Statefile::Unknown };
    match read_newest_view(&kept.statefile_paths(), &key) {
        Ok(last) => match last.state {
            PoolState::Off => Statefile::Off,
            PoolState::Init => Statefile::Init,
            PoolState::Active | PoolState::OffPending => Statefile::Active,
        },
        Err(error) => Statefile::Unreadable(unreadable.unwrap_or(error).to_string()),
    }
}

/// Begins this boot's part in the session. Waits until this host is in a view.
fn join(agent: &Arc<Agent>, kept: &Session) -> Answer<()> {
    let client = client(agent)?;
    let config = daemon::start_config(agent, kept, false);
    let (agent, generation) = (Arc::clone(agent), kept.generation);
    std::thread::spawn(move || match client.start(config) {
        Ok(()) => {
            super::emergency::clear_mark(&agent);
            agent.history.note("ha-rejoined", "this boot is in a view", serde_json::json!({}));
        }
        Err(error) => {
            let why = error.to_string();
            if agent.ha.start.take(generation, &why) {
                agent.history.note("ha-start-failed", &why, serde_json::json!({}));
            }
            step_down(&agent, Standing::Emergency(refusal(error)));
        }
    });
    Ok(())
}

/// The role that the last decided view gives this host; else that of the pool configuration.
fn last_role(agent: &Agent, kept: &Session) -> Option<PoolRole> {
    let key = Key::from_hex(&kept.key_hex).ok()?;
    let last = read_newest_view(&kept.statefile_paths(), &key).ok().and_then(|view| view.master);
    match last {
        Some(master) if master == agent.config.host => Some(PoolRole::Master),
        Some(master) => Some(PoolRole::Member { master: address_of(kept, master)? }),
        None => PoolRole::load(agent.state_dir.as_deref()?).ok(),
    }
}

/// Takes up a role without HA.
fn run_without(agent: &Arc<Agent>, role: Option<PoolRole>) -> Answer<()> {
    match role {
        Some(PoolRole::Member { master }) => {
            follow(agent, &master);
            Ok(())
        }
        Some(PoolRole::Master) => become_master(agent),
        None => Err(Failure::bare("HOST_STILL_BOOTING")),
    }
}

/// Gets the session from the master and joins it (S97).
fn fetch_and_join(agent: &Arc<Agent>) -> Answer<()> {
    let role = agent.state_dir.as_deref().map(PoolRole::load);
    let Some(Ok(PoolRole::Member { master })) = role else { return Ok(()) };
    let answer = agent.peers.call(&master, "ha_session", &[])?;
    let text = answer.as_str().filter(|text| !text.is_empty());
    let Some(text) = text else { return Ok(()) };
    let mut fetched: Session =
        serde_json::from_str(text).map_err(|error| Failure::internal(error.to_string()))?;
    agent.history.note(
        "ha-session-fetched",
        "from the master",
        serde_json::json!({
            "generation": fetched.generation,
        }),
    );
    fetched.armed = true;
    keep(agent, &fetched)
}

/// The master's side: the session for a host that has none (with the paths of this host, which a
/// shared SR has at the same place everywhere); empty while HA is off.
pub fn hand_out(agent: &Agent) -> Answer {
    let db = agent.store.read();
    let on = db.flag("pool", pool_ref(&db).unwrap_or(""), "ha_enabled");
    match session(agent).filter(|_| on) {
        Some(session) => serde_json::to_string(&session)
            .map(Value::from)
            .map_err(|error| Failure::internal(error.to_string())),
        None => Ok(Value::void()),
    }
}

/// The master is not armed although the pool's database says HA is on: never a silent off (S98).
fn ask(agent: &Agent, why: &str) {
    let host = agent.config.host.to_string();
    let db = agent.store.read();
    let told = db.table("message").keys().any(|row| {
        db.text("message", row, "name") == "HA_STATEFILE_LOST"
            && db.text("message", row, "body") == why
    });
    if !told && agent.standing().is_master() {
        vm::message(agent, "HA_STATEFILE_LOST", 2, "Host", &host, why);
    }
}
