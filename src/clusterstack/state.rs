//! `ha_set_pool_state`: the initial state is written, every other one is decided by the hosts.

use super::exit::{Exit, Failure};
use super::{Context, disk, session_runs};
use crate::heartbeat::Mode;
use crate::xhad::control::{Client, PoolState};

/// A state that the toolstack can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// A new session, before any host has joined it.
    Init,
    /// HA is on.
    Active,
    /// HA is off for good.
    Invalid,
}

impl Wanted {
    /// The state with this name.
    pub fn parse(word: &str) -> Result<Self, Failure> {
        match word {
            "init" => Ok(Wanted::Init),
            "active" => Ok(Wanted::Active),
            "invalid" => Ok(Wanted::Invalid),
            other => {
                let sentence = format!("{other} is neither init nor active nor invalid");
                Err(Failure::new(Exit::Parameter, sentence))
            }
        }
    }
}

/// Brings the pool into that state.
pub fn set(context: &Context, wanted: Wanted) -> Result<(), Failure> {
    let client = context.settings.client();
    let runs = session_runs(&client)?;
    match (wanted, runs) {
        (Wanted::Init, true) => {
            let sentence = "a heartbeat session runs here; end it before a new one is prepared";
            Err(Failure::new(Exit::DaemonPresent, sentence))
        }
        (Wanted::Init, false) => {
            let config = context.config()?;
            disk::format(&config, &context.key(&config)?)
        }
        (Wanted::Active, true) => Ok(client.set_pool_state(PoolState::Active)?),
        (Wanted::Invalid, true) => switch_off(&client),
        (_, false) => compare(context, wanted),
    }
}

/// Two decided views: nobody decides about failovers any more, then nobody is armed any more.
/// When the second fails, the first stays; the toolstack asks again until both hold.
fn switch_off(client: &Client) -> Result<(), Failure> {
    if client.liveset()?.mode != Some(Mode::OffPending) {
        client.set_pool_state(PoolState::OffPending).map_err(unreached)?;
    }
    client.set_pool_state(PoolState::Off).map_err(unreached)
}

/// A decision that did not come lacks the statefile: the toolstack goes its other way then.
fn unreached(error: crate::xhad::control::ControlError) -> Failure {
    use crate::xhad::control::RefusedKind;
    match error.kind() {
        Some(RefusedKind::TimedOut) => Failure::new(Exit::StatefileInaccessible, error),
        _ => error.into(),
    }
}

/// Without a session here nothing can be decided; what holds already is granted.
fn compare(context: &Context, wanted: Wanted) -> Result<(), Failure> {
    let config = context.config()?;
    let state = disk::pool_state(&config, &context.key(&config)?)?;
    match (wanted, state) {
        (Wanted::Active, PoolState::Active) | (Wanted::Invalid, PoolState::Off) => Ok(()),
        (Wanted::Invalid, PoolState::Active | PoolState::OffPending) => {
            let sentence = "HA is on and no session runs here to switch it off; ask another host";
            Err(Failure::new(Exit::DaemonAbsent, sentence))
        }
        (_, state) => {
            let sentence = format!("the pool's state is {state:?}; only its hosts can change it");
            Err(Failure::new(Exit::PoolState, sentence))
        }
    }
}
