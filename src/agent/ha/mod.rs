//! HA in the agent: the session that this host keeps, and the steps that a master asks of it.
//!
//! | to find | look in |
//! |---|---|
//! | the daemon as a process | [`daemon`] |
//! | from the daemon's word to master, member or neither | [`follow`] |
//! | whether a view has named the master that sends a job | [`named`] |
//! | what a host does about HA when it starts | [`boot`], [`refused_start`] |
//! | one host alone, without any decision | [`emergency`] |
//! | switching on, switching off (master) | [`enable`], [`disable`] |
//! | what a host says of itself before that | [`preflight`] |
//! | the addresses of further links and of the witness | [`links`], [`witness`] |
//! | the failover plan, what a view means for rows (master) | [`plan`], [`view`] |
//! | the SR that carries HA and its two volumes | [`volumes`] |
//! | the metadata volume in a master's hands | [`takeover`] |
//! | a host that is switched off cleanly | [`leave`] |
//! | paths that were nearly lost | [`near_misses`], [`figures`] |
//! | hosts that wait after several fences, or cannot be fenced | [`brake`], [`fence_alarm`] |
//! | what an administrator sees of all this | [`status`], [`waiting`] |
//! | off for a while and on again | [`pause`] |

pub mod boot;
pub mod brake;
pub mod daemon;
pub mod disable;
pub mod emergency;
pub mod enable;
pub mod fence_alarm;
pub mod figures;
pub mod follow;
pub mod leave;
pub mod links;
pub mod named;
pub mod near_misses;
pub mod pause;
pub mod plan;
pub mod preflight;
pub mod refused_start;
pub mod status;
pub mod takeover;
pub mod view;
pub mod volumes;
pub mod waiting;
pub mod witness;

use super::{Agent, config, maintenance};
use crate::ha::settings::Settings;
use crate::heartbeat::Liveset;
use crate::heartbeat::liveset::Phase;
use crate::xenapi::Failure;
use crate::xenapi::failure::Answer;
use crate::xhad::control::{Client, ControlError, PoolState, RefusedKind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use uuid::Uuid;

/// A session of HA as this host keeps it in `<state-dir>/ha.json`; it outlives reboots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The session's name, new at each enable.
    pub generation: Uuid,
    /// The key of its packets and blocks.
    pub key_hex: String,
    /// T in seconds.
    pub timeout_s: u32,
    /// All hosts with their addresses.
    pub hosts: Vec<(Uuid, String)>,
    /// The heartbeat volumes.
    pub statefiles: Vec<Statefile>,
    /// The metadata volumes, on as many of the same SRs as an odd number takes.
    pub metadata: Vec<Statefile>,
    /// What else was said when HA was switched on.
    #[serde(default)]
    pub settings: Settings,
    /// Where the witness answers.
    #[serde(default)]
    pub witness: Option<std::net::SocketAddr>,
    /// The addresses of further links: by link, then by host.
    #[serde(default)]
    pub links: Vec<Vec<(Uuid, String)>>,
    /// The longest disk cycle that was measured before, in nanoseconds.
    #[serde(default)]
    pub disk_cycle: u64,
    /// What is added to a view's epoch, so that epochs grow over sessions.
    pub epoch_base: u64,
    /// The master of the first view.
    pub first_master: Uuid,
    /// Whether this host takes part whenever it starts.
    #[serde(default)]
    pub armed: bool,
}

/// A heartbeat volume, or a metadata volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statefile {
    /// Its SR.
    pub sr: Uuid,
    /// Its VDI.
    pub vdi: Uuid,
    /// Where this host sees it.
    #[serde(default)]
    pub path: PathBuf,
}

impl Session {
    /// Where this host sees the heartbeat volumes.
    pub fn statefile_paths(&self) -> Vec<PathBuf> {
        self.statefiles.iter().map(|statefile| statefile.path.clone()).collect()
    }

    /// Where this host sees the metadata volumes.
    pub fn metadata_paths(&self) -> Vec<PathBuf> {
        self.metadata.iter().map(|volume| volume.path.clone()).collect()
    }
}

/// What this host knows of HA.
#[derive(Debug, Default)]
pub struct LocalHa {
    liveset: Mutex<Option<Liveset>>,
    /// Hosts whose last life ended without their leave and that have not come back yet.
    lost: Mutex<BTreeSet<Uuid>>,
    /// What each host has reported of its own paths.
    pub figures: figures::Reported,
    /// The last start of a session that the daemon refused.
    pub start: refused_start::RefusedStart,
}

impl LocalHa {
    /// The newest living set, if the daemon runs.
    pub fn liveset(&self) -> Option<Liveset> {
        self.locked().clone()
    }

    /// Notes that a host's life ended without its leave.
    pub fn note_lost(&self, host: Uuid) {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).insert(host);
    }

    /// Whether the last life of a host that is back ended so; it is asked once.
    pub fn take_lost(&self, host: Uuid) -> bool {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).remove(&host)
    }

    fn locked(&self) -> MutexGuard<'_, Option<Liveset>> {
        self.liveset.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A step of switching HA on or off, done on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "step")]
pub enum HostStep {
    /// Say whether HA could run here: watchdog, statefile, disk latency.
    Preflight {
        /// The session that is to come.
        session: Box<Session>,
    },
    /// Keep the session and start the daemon; nothing is armed.
    Prepare {
        /// The session.
        session: Box<Session>,
    },
    /// Form the first view with all the others; armed when this is done.
    Join,
    /// Stop the daemon; one that is armed disarms first, in order.
    StopDaemon,
    /// Forget the session.
    Forget,
    /// Refuse VMs, stay out of the view, or come back into it.
    Maintain {
        /// Which of them.
        stage: maintenance::Stage,
    },
}

fn file(agent: &Agent) -> Option<PathBuf> {
    agent.state_dir.as_ref().map(|dir| dir.join("ha.json"))
}

/// The session that this host keeps, if any.
pub fn session(agent: &Agent) -> Option<Session> {
    config::read(&file(agent)?).ok()
}

fn keep(agent: &Agent, session: &Session) -> Answer<()> {
    let path = file(agent).ok_or_else(|| Failure::internal("this agent serves a dump"))?;
    config::write(&path, session).map_err(|error| Failure::internal(format!("{error:#}")))
}

fn forget(agent: &Agent) {
    if let Some(path) = file(agent) {
        let _ = std::fs::remove_file(path);
    }
    *agent.ha.locked() = None;
}

/// Whether this host is to take part in HA whenever it starts.
pub fn is_armed(agent: &Agent) -> bool {
    session(agent).is_some_and(|session| session.armed)
}

/// The client of this host's daemon.
pub fn client(agent: &Agent) -> Answer<Client> {
    let dir = agent.state_dir.as_deref();
    dir.map(Client::of_state_dir).ok_or_else(|| Failure::internal("this agent serves a dump"))
}

/// The daemon's refusal as the interface words it.
pub fn refusal(error: ControlError) -> Failure {
    let code = match error.kind() {
        Some(RefusedKind::Statefile | RefusedKind::PoolIsOff) => "HA_HOST_CANNOT_ACCESS_STATEFILE",
        Some(RefusedKind::TimedOut | RefusedKind::StartFailed) => "HA_FAILED_TO_FORM_LIVESET",
        _ => "HA_HEARTBEAT_DAEMON_STARTUP_FAILED",
    };
    let way = match error.kind() {
        Some(RefusedKind::NotRealTime) => ", or allow it with ha-config:not-real-time=allow",
        _ => "",
    };
    Failure::new(code, [format!("{error}{way}")])
}

/// The address of a host of the session.
pub fn address_of(session: &Session, host: Uuid) -> Option<String> {
    session.hosts.iter().find(|(uuid, _)| *uuid == host).map(|(_, address)| address.clone())
}

/// Does a step on this host.
pub fn host_step(agent: &Agent, step: &HostStep) -> Answer<serde_json::Value> {
    match step {
        HostStep::Preflight { session } => return preflight::preflight(agent, session),
        HostStep::Prepare { session } => prepare(agent, session)?,
        HostStep::Join => {
            let mut kept = session(agent)
                .ok_or_else(|| Failure::internal("this host was not prepared for HA"))?;
            let config = daemon::start_config(agent, &kept, true);
            client(agent)?.start(config).map_err(refusal)?;
            kept.armed = true;
            keep(agent, &kept)?;
        }
        HostStep::StopDaemon => stop_daemon(&client(agent)?)?,
        HostStep::Forget => end_session(agent),
        HostStep::Maintain { stage } => maintenance::set_here(agent, *stage)?,
    }
    Ok(serde_json::Value::Null)
}

/// Ends the daemon's session. One that is armed may be counted on by the others: it disarms by a
/// decided "off", or once every other member knows, as ever (R9.2, R9.3).
fn stop_daemon(client: &Client) -> Answer<()> {
    let client = client.clone().with_timeout(Duration::from_secs(60));
    if client.stop().is_ok() {
        return Ok(());
    }
    let off = client
        .set_pool_state(PoolState::OffPending)
        .and_then(|()| client.set_pool_state(PoolState::Off));
    if off.is_err() {
        client.disarm_fencing(false).map_err(refusal)?;
    }
    for _ in 0..100 {
        let ended = |phase| matches!(phase, Phase::Disarmed | Phase::Off);
        if client.liveset().is_ok_and(|liveset| ended(liveset.phase)) {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    client.stop().map_err(refusal)
}

/// Keeps a session, unarmed, with the paths at which this host sees its volumes; starts the daemon.
pub(super) fn prepare(agent: &Agent, session: &Session) -> Answer<()> {
    let mut session = session.clone();
    find_volumes(agent, &mut session)?;
    session.armed = false;
    emergency::clear_mark(agent);
    daemon::ensure(agent)?;
    // One that only waits for a statefile of an earlier session; an armed one refuses.
    client(agent)?.stop().map_err(refusal)?;
    keep(agent, &session)
}

/// Finds where this host sees the heartbeat volumes and the metadata volume.
fn find_volumes(agent: &Agent, session: &mut Session) -> Answer<()> {
    let path = |sr: Uuid, vdi: Uuid| {
        let sr = agent.plugs.get(sr).map_err(super::storage_jobs::sr_failure)?;
        sr.find(vdi).map(|vdi| vdi.path).map_err(super::storage_jobs::sr_failure)
    };
    for volume in session.statefiles.iter_mut().chain(&mut session.metadata) {
        volume.path = path(volume.sr, volume.vdi)?;
    }
    Ok(())
}

/// The epoch since which this host is a member, as its daemon says now: what a master has asked of
/// it before was meant for an earlier life (R5.3c). Zero without HA.
pub fn admitted_in(agent: &Agent) -> Answer<u64> {
    let Some(session) = session(agent).filter(|session| session.armed) else { return Ok(0) };
    let lease = client(agent)?.check_lease().map_err(refusal)?;
    Ok(session.epoch_base + lease.admitted)
}

/// Refuses to run VMs on a host that is not armed while its pool has HA on (R5).
pub fn assert_may_run(agent: &Agent) -> Answer<()> {
    if leave::is_leaving(agent) {
        return Err(Failure::new("OPERATION_NOT_ALLOWED", ["the host is being switched off"]));
    }
    if emergency::is_marked(agent) {
        let why = "HA was switched off on this host alone, by an emergency disable";
        return Err(Failure::new("OPERATION_NOT_ALLOWED", [why]));
    }
    if maintenance::is_here(agent) {
        return Err(Failure::new("OPERATION_NOT_ALLOWED", ["the host is in maintenance"]));
    }
    let db = agent.store.read();
    let pool = super::pool_ref(&db).unwrap_or("");
    if agent.is_simulated() || !db.flag("pool", pool, "ha_enabled") {
        return Ok(());
    }
    match agent.ha.liveset() {
        Some(liveset) if liveset.phase == Phase::Armed => Ok(()),
        _ => Err(Failure::bare("HA_POOL_IS_ENABLED_BUT_HOST_IS_DISABLED")),
    }
}

/// Ends this host's part in a session that is over.
pub fn end_session(agent: &Agent) {
    if let Ok(client) = client(agent) {
        let _ = client.stop();
    }
    forget(agent);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xhad::control::Refused;

    #[test]
    fn who_lacks_real_time_is_told_how_to_allow_it() {
        let told = |kind| {
            refusal(ControlError::Refused(Refused { kind, sentence: "too short".to_owned() }))
        };
        let way = "ha-config:not-real-time=allow";
        assert!(told(RefusedKind::NotRealTime).params[0].contains(way));
        assert!(!told(RefusedKind::Timing).params[0].contains(way));
    }
}
