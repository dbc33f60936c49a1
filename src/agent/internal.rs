//! Calls that only agents of the same pool make of each other: `internal.<name>`, secret first.

use super::jobs::{self, Job};
use super::store::Follow;
use super::{Agent, vm};
use crate::pool::journal::Position;
use crate::xenapi::failure::Answer;
use crate::xenapi::roles::Role;
use crate::xenapi::{Failure, Value};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;
use std::time::Duration;

/// Answers an internal call.
pub fn dispatch(agent: &Arc<Agent>, name: &str, params: &[Value]) -> Answer {
    let Some((secret, params)) = params.split_first() else {
        return Err(Failure::new("MESSAGE_METHOD_UNKNOWN", [name]));
    };
    let known = agent.identity.as_ref();
    if !known.is_some_and(|identity| identity.accepts_secret(secret.as_str().unwrap_or(""))) {
        return Err(Failure::new("SESSION_AUTHENTICATION_FAILED", ["pool", "the secret is wrong"]));
    }
    let text = |at: usize| params.get(at).and_then(Value::as_str).unwrap_or("");
    let number = |at: usize| {
        let number = params.get(at).and_then(Value::as_int).unwrap_or(0);
        u64::try_from(number).unwrap_or(0)
    };
    let json = |error: serde_json::Error| Failure::internal(error.to_string());
    match name {
        "job" => {
            let job: Job = serde_json::from_str(text(1)).map_err(json)?;
            let done = jobs::run(agent, number(0), &job)?;
            Ok(Value::from(serde_json::to_string(&done).map_err(json)?))
        }
        "follow" => {
            master_only(agent)?;
            let from: Position = serde_json::from_str(text(1)).map_err(json)?;
            let patience = Duration::from_millis(number(2).min(30_000));
            let (kind, bytes) = match agent.store.follow(text(0), from, patience)? {
                Follow::Records(bytes) => ("records", bytes),
                Follow::Snapshot(bytes) => ("snapshot", bytes),
            };
            super::host_facts::seen(agent, text(0));
            Ok(Value::text_map([("kind", kind.to_owned()), ("bytes", STANDARD.encode(bytes))]))
        }
        "login" => {
            master_only(agent)?;
            Ok(Value::from(agent.sessions.open(agent, Role::PoolAdmin, false, text(0))))
        }
        "host_up" => {
            master_only(agent)?;
            let facts = serde_json::from_str(text(0)).map_err(json)?;
            super::host_facts::report(agent, &facts)?;
            Ok(Value::void())
        }
        "exits" => {
            master_only(agent)?;
            let exits = serde_json::from_str(text(1)).map_err(json)?;
            vm::exits::handle(agent, text(0), exits)?;
            Ok(Value::void())
        }
        "boot" => Ok(Value::from(agent.boot.as_str())),
        "is_armed" => Ok(Value::Bool(super::ha::is_armed(agent))),
        "is_master" => Ok(Value::Bool(agent.standing().is_master())),
        "new_master" => {
            super::master_change::follow(agent, text(0));
            Ok(Value::void())
        }
        "ha_release" => super::ha::brake::release_here(agent),
        "ha_session" => super::ha::boot::hand_out(agent),
        "restart_agent" => {
            super::membership::restart_soon(agent);
            Ok(Value::void())
        }
        "ejected" => {
            super::membership::ejected(agent)?;
            Ok(Value::void())
        }
        "become_master" => super::master_change::become_master(agent).map(|()| Value::void()),
        _ => Err(Failure::new("MESSAGE_METHOD_UNKNOWN", [name])),
    }
}

fn master_only(agent: &Agent) -> Answer<()> {
    match agent.standing() {
        super::standing::Standing::Master { .. } => Ok(()),
        super::standing::Standing::Member { master } => {
            Err(Failure::new("HOST_IS_SLAVE", [master]))
        }
        super::standing::Standing::Emergency(why) => Err(why),
    }
}
