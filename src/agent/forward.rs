//! Calls that another host answers: a member passes its local users' calls on to the master.

use super::Agent;
use super::session::Caller;
use super::standing::Standing;
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, Value};
use std::time::Duration;

/// What a host answers itself, whatever it is in the pool.
const LOCAL: &[&str] = &[
    "session.slave_local_login_with_password",
    "session.local_logout",
    "host.is_in_emergency_mode",
    "host.ha_xapi_healthcheck",
    "host.emergency_ha_disable",
    "host.xe_emergency_ha_disable",
    "host.xe_emergency_ha_warning",
    "host.xe_ha_release",
    "pool.emergency_transition_to_master",
    "pool.emergency_reset_master",
    "pool.is_slave",
];

/// The longest that the master may take over a forwarded call: `event.from` waits for 30 s, a
/// shutdown for the guest.
const LIMIT: Duration = Duration::from_secs(3600);

/// The answer of a call that is not for this agent; none when it is.
pub fn elsewhere(
    agent: &Agent,
    caller: Caller,
    plain: &str,
    method: &str,
    params: &[Value],
) -> Option<Answer> {
    let session = params.first().and_then(Value::as_str).unwrap_or("");
    let local_session = agent.sessions.get(session).is_ok_and(|session| session.local);
    if LOCAL.contains(&plain) || (local_session && plain.starts_with("session.")) {
        return None;
    }
    match agent.standing() {
        Standing::Master { .. } => None,
        Standing::Emergency(why) => Some(Err(why)),
        Standing::Member { master } if caller == Caller::Network => {
            Some(Err(Failure::new("HOST_IS_SLAVE", [master])))
        }
        Standing::Member { master } if plain == "session.login_with_password" => {
            let user = params.first().cloned().unwrap_or_else(Value::void);
            Some(agent.peers.call(&master, "login", &[user]))
        }
        Standing::Member { master } => Some(agent.peers.raw(&master, method, params, LIMIT)),
    }
}
