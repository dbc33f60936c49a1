//! The witness as the agent knows it: its address, whether it answers, its key for who sets it up.

use super::Session;
use crate::agent::Agent;
use crate::heartbeat::timing::{MILLISECOND, Timing};
use crate::heartbeat::view::Slot;
use crate::heartbeat::{Key, Liveset};
use crate::host::faults::Faults;
use crate::xenapi::failure::Answer;
use crate::xenapi::ha_view::Witness;
use crate::xenapi::{Failure, Value};
use crate::xhad::witness_call;
use std::net::{SocketAddr, ToSocketAddrs};

/// The address of the name that was given, which all hosts use: it may mean something else
/// elsewhere. It is one that the hosts' first link can reach.
pub fn address(agent: &Agent, name: Option<&str>) -> Answer<Option<SocketAddr>> {
    let Some(name) = name else { return Ok(None) };
    let refused = |why: &str| Failure::new("INVALID_VALUE", ["ha-config:witness", name, why]);
    let found: Vec<SocketAddr> = name
        .to_socket_addrs()
        .map_err(|_| refused("the name of the machine is not known; give its address"))?
        .collect();
    let six = agent.config.address.is_ipv6();
    let fits = found.into_iter().find(|address| address.is_ipv6() == six);
    let lacks = match six {
        true => "it has no IPv6 address, and the hosts of the pool have IPv6 addresses",
        false => "it has no IPv4 address, and the hosts of the pool have IPv4 addresses",
    };
    fits.map(Some).ok_or_else(|| refused(lacks))
}

/// The pool's key for packets to and from a witness.
pub fn key(agent: &Agent) -> Answer {
    let none = || Failure::new("OPERATION_NOT_ALLOWED", ["a saved database has no witness key"]);
    agent.identity.as_ref().map(|own| Value::from(own.witness_key())).ok_or_else(none)
}

/// Whether the session's witness, if there is one, answers this host; why not.
pub fn answers(agent: &Agent, session: &Session) -> Result<(), String> {
    let Some(witness) = session.witness else { return Ok(()) };
    let key = agent.identity.as_ref().and_then(|own| Key::from_hex(&own.witness_key()).ok());
    let key = key.ok_or("this host has no key for it")?;
    let host = |(uuid, _): &(uuid::Uuid, String)| *uuid == agent.config.host;
    let me = session.hosts.iter().position(host).map(Slot::at).ok_or("it is not in the pool")?;
    let from = agent.config.address;
    witness_call::ask(from, witness, &key, (session.generation, me), &Faults::from_environment())
}

/// The witness for `pool-ha-status`.
pub fn row(set: Option<&Liveset>, session: Option<&Session>) -> Option<Witness> {
    let session = session?;
    let age_ms = set.and_then(|set| set.witness.as_ref()?.age_ms);
    let timing = Timing::new(session.timeout_s, session.hosts.len(), session.disk_cycle, 0).ok();
    let fresh = |age: u64| timing.is_some_and(|timing| age < timing.s / MILLISECOND);
    Some(Witness {
        address: session.witness?.to_string(),
        answers: set.map(|_| age_ms.is_some_and(fresh)),
        age_ms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heartbeat::liveset::WitnessStatus;

    #[test]
    fn a_witness_answers_while_its_last_round_trip_is_not_suspect() {
        let nil = uuid::Uuid::nil();
        let session = |witness: Option<&str>| -> Session {
            let session = serde_json::json!({
                "generation": nil, "key_hex": "", "timeout_s": 10, "hosts": [[nil, ""]],
                "statefiles": [], "metadata": [], "epoch_base": 0,
                "first_master": nil, "witness": witness,
            });
            serde_json::from_value(session).unwrap()
        };
        let told = |age_ms| {
            let witness = Some(WitnessStatus { age_ms });
            let set = Liveset { witness, ..Liveset::off() };
            row(Some(&set), Some(&session(Some("192.0.2.7:694")))).unwrap().answers
        };
        assert_eq!(told(Some(7000)), Some(true));
        assert_eq!([told(Some(8000)), told(None)], [Some(false); 2]);
        let unknown = row(None, Some(&session(Some("192.0.2.7:694")))).unwrap();
        assert_eq!((unknown.address.as_str(), unknown.answers), ("192.0.2.7:694", None));
        assert_eq!(row(Some(&Liveset::off()), Some(&session(None))), None);
    }
}
