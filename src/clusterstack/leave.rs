//! Taking one host out of a session: `ha_disarm_fencing`, `ha_stop_daemon`, `ha_set_excluded`
//! and `ha_clear_excluded`, in the order in which the toolstack calls them.
//!
//! The toolstack disarms first and says only afterwards that the host leaves. Here leaving is a
//! decision that the other hosts take while this one is still armed, so it is done as soon as
//! fencing is to be disarmed, provided that no guest runs. With guests the host disarms only
//! when every other host knows; then nobody takes its guests for dead.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::exit::{Exit, Failure};
use super::{Context, acting, disk, session_runs};
use crate::heartbeat::Mode;
use crate::xhad::control::{Client, Liveset, Phase, PoolState, RefusedKind};

/// The file that says which session this host has left.
const LEFT: &str = "left.json";
/// How long a decided "off" may take to disarm this host.
const NOTICE: Duration = Duration::from_secs(10);

/// A clean leave.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Left {
    generation: Uuid,
}

fn has_left(context: &Context, generation: Uuid) -> bool {
    let read = std::fs::read(context.settings.file(LEFT)).ok();
    read.and_then(|text| serde_json::from_slice(&text).ok()) == Some(Left { generation })
}

fn remember(context: &Context) -> Result<(), Failure> {
    let generation = context.config()?.generation;
    let failed = |error: &dyn std::fmt::Display| Failure::new(Exit::System, error);
    let text = serde_json::to_string(&Left { generation }).map_err(|error| failed(&error))?;
    std::fs::write(context.settings.file(LEFT), text).map_err(|error| failed(&error))
}

/// Forgets a leave: this host has joined again.
pub fn forget(context: &Context) {
    let _not_there = std::fs::remove_file(context.settings.file(LEFT));
}

/// Stops this host's watchdog: by leaving when it runs no guest, else when all others know.
pub fn disarm(context: &Context) -> Result<(), Failure> {
    let client = context.settings.client();
    let liveset = match client.liveset().map_err(Failure::from) {
        Err(failure) if failure.exit == Exit::DaemonAbsent => return Err(Failure::absent()),
        answer => answer?,
    };
    match liveset.phase {
        Phase::Off => return Err(Failure::absent()),
        Phase::Disarmed => return Ok(()),
        Phase::Armed => {}
        _ => {
            let sentence = "this host is no member of the living set";
            return Err(Failure::new(Exit::HostState, sentence));
        }
    }
    let empty = !context.settings.may_have_guests();
    if empty && liveset.statefile_ok && leave_empty(context, &client, &liveset).is_ok() {
        return remember(context);
    }
    disarm_only(&client)?;
    // The last host has nobody to tell, and nobody who could take anything over.
    let alone = client.liveset()?.members.iter().all(|member| Some(*member) == liveset.me);
    if empty && alone { remember(context) } else { Ok(()) }
}

/// Leaves by a decided view. The others follow a master that leaves at once, without a wait for its
/// death: so whoever acts as master here is ended first, unless nobody is there to follow, or HA is
/// being switched off and nobody acts any more.
fn leave_empty(context: &Context, client: &Client, liveset: &Liveset) -> Result<(), Failure> {
    let followed = liveset.members.len() > 1;
    if followed && matches!(liveset.mode, Some(Mode::Disk | Mode::Network)) {
        acting::end(context)?;
    }
    Ok(client.set_excluded()?)
}

fn disarm_only(client: &Client) -> Result<(), Failure> {
    client.disarm_fencing(false).map_err(|error| match error.kind() {
        Some(RefusedKind::TimedOut) => {
            let sentence = format!("{error}; this host stays armed, and is reset if it is cut off");
            Failure::new(Exit::Transient, sentence)
        }
        _ => error.into(),
    })
}

/// Stops this host's watchdog at once, as a person asks who knows that no other host restarts
/// its guests.
pub fn disarm_by_force(context: &Context) -> Result<(), Failure> {
    let client = context.settings.client();
    if !session_runs(&client)? {
        return Err(Failure::absent());
    }
    Ok(client.disarm_fencing(true)?)
}

/// Ends the session. An armed one is not ended: its watchdog would reset the host.
pub fn stop(context: &Context) -> Result<(), Failure> {
    let client = context.settings.client();
    let end = Instant::now() + NOTICE;
    loop {
        let liveset = match client.liveset() {
            Ok(liveset) => liveset,
            Err(error) => {
                let failure = Failure::from(error);
                return if failure.exit == Exit::DaemonAbsent { Ok(()) } else { Err(failure) };
            }
        };
        let going_off = liveset.phase == Phase::Armed && liveset.mode == Some(Mode::Off);
        if !going_off || Instant::now() >= end {
            return client.stop().map_err(Failure::from);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Says that this host has left cleanly.
pub fn set_excluded(context: &Context) -> Result<(), Failure> {
    let client = context.settings.client();
    if !session_runs(&client)? {
        return excluded_without_session(context);
    }
    if context.settings.may_have_guests() {
        let sentence = "guests run on this host; it leaves only without any";
        return Err(Failure::new(Exit::HostState, sentence));
    }
    leave_empty(context, &client, &client.liveset()?)?;
    remember(context)
}

fn excluded_without_session(context: &Context) -> Result<(), Failure> {
    let config = context.config()?;
    let state = disk::pool_state(&config, &context.key(&config)?)?;
    match state {
        PoolState::Init | PoolState::Off => {
            let sentence = "HA is not on; there is nothing to be excluded from";
            Err(Failure::new(Exit::PoolState, sentence))
        }
        PoolState::Active | PoolState::OffPending if has_left(context, config.generation) => Ok(()),
        PoolState::Active | PoolState::OffPending => {
            let sentence = "this host did not leave while it was armed: guests ran on it, or the \
                            others could not decide; they will not take it for dead";
            Err(Failure::new(Exit::HostState, sentence))
        }
    }
}

/// Takes a leave back. Without a session the next start does that by itself.
pub fn clear_excluded(context: &Context) -> Result<(), Failure> {
    let client = context.settings.client();
    if session_runs(&client)? {
        return client.clear_excluded().map_err(Failure::from);
    }
    let config = context.config()?;
    match disk::pool_state(&config, &context.key(&config)?)? {
        PoolState::Active | PoolState::OffPending => Ok(()),
        PoolState::Init | PoolState::Off => {
            let sentence = "HA is not on; nobody is excluded";
            Err(Failure::new(Exit::PoolState, sentence))
        }
    }
}
