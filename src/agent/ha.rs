//! HA on this host: the heartbeat daemon's session, and what follows from its word.
//!
//! `<state-dir>/ha.json` holds the session while this host is armed; it outlives reboots. The
//! thread of [`watch`] keeps the daemon running, follows its living set, and turns each into this
//! agent's standing: master, member, or neither.

use super::config;
use super::master_change::{self, step_down};
use super::standing::Standing;
use super::vm;
use super::{Agent, ha_volume, host_facts};
use crate::heartbeat::Liveset;
use crate::heartbeat::liveset::Phase;
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, Value};
use crate::xhad::control::{Client, ControlError, HostAddress, RefusedKind, StartConfig};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use uuid::Uuid;

/// How often the agent tells xhad that it is well.
const AGENT_LEASE: Duration = Duration::from_secs(1);

/// A session of HA as this host keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The session's name, new at each enable.
    pub generation: Uuid,
    /// The key of its packets and blocks.
    pub key_hex: String,
    /// T in seconds.
    pub timeout_s: u32,
    /// All hosts.
    pub hosts: Vec<(Uuid, String)>,
    /// The SR that holds both volumes.
    pub sr: Uuid,
    /// The heartbeat volume.
    pub statefile: Uuid,
    /// The metadata volume.
    pub metadata: Uuid,
    /// What is added to a view's epoch, so that epochs grow over sessions.
    pub epoch_base: u64,
    /// The master of the first view.
    pub first_master: Uuid,
    /// Where this host sees the heartbeat volume.
    #[serde(default)]
    pub statefile_path: PathBuf,
    /// Where this host sees the metadata volume.
    #[serde(default)]
    pub metadata_path: PathBuf,
    /// Whether this host takes part whenever it starts.
    #[serde(default)]
    pub armed: bool,
}

/// What this host knows of HA.
#[derive(Debug, Default)]
pub struct LocalHa {
    liveset: Mutex<Option<Liveset>>,
}

/// A step of switching HA on or off, done on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "step")]
pub enum HostStep {
    /// Say whether HA could run here: watchdog, disk latency.
    Preflight {
        /// The SR that holds both volumes.
        sr: Uuid,
        /// The heartbeat volume.
        statefile: Uuid,
        /// How many hosts the pool has.
        hosts: usize,
    },
    /// Take the session and start the daemon; nothing is armed.
    Prepare {
        /// The session.
        session: Box<Session>,
    },
    /// Form the first view with all the others; armed when this is done.
    Join,
    /// Forget the session; the daemon is stopped.
    RollBack,
    /// Leave the view cleanly: no VM is here and none will be started.
    Leave,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LocalHa {
    /// The newest living set, if the daemon runs.
    pub fn liveset(&self) -> Option<Liveset> {
        lock(&self.liveset).clone()
    }
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
    *lock(&agent.ha.liveset) = None;
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
    match error.kind() {
        Some(RefusedKind::Statefile | RefusedKind::PoolIsOff) => {
            Failure::new("HA_HOST_CANNOT_ACCESS_STATEFILE", [error.to_string()])
        }
        Some(RefusedKind::TimedOut | RefusedKind::StartFailed) => {
            Failure::new("HA_FAILED_TO_FORM_LIVESET", [error.to_string()])
        }
        _ => Failure::new("HA_HEARTBEAT_DAEMON_STARTUP_FAILED", [error.to_string()]),
    }
}

/// Does a step on this host.
pub fn host_step(agent: &Agent, step: &HostStep) -> Answer<serde_json::Value> {
    match step {
        HostStep::Preflight { sr, statefile, hosts } => preflight(agent, *sr, *statefile, *hosts),
        HostStep::Prepare { session } => {
            let mut session = (**session).clone();
            let sr = agent.plugs.get(session.sr).map_err(super::jobs::sr_failure)?;
            let path = |vdi: Uuid| sr.find(vdi).map(|vdi| vdi.path);
            session.statefile_path = path(session.statefile).map_err(super::jobs::sr_failure)?;
            session.metadata_path = path(session.metadata).map_err(super::jobs::sr_failure)?;
            session.armed = false;
            keep(agent, &session)?;
            ensure_daemon(agent)?;
            Ok(serde_json::Value::Null)
        }
        HostStep::Join => {
            let mut kept = session(agent)
                .ok_or_else(|| Failure::internal("this host was not prepared for HA"))?;
            client(agent)?.start(start_config(agent, &kept, true)).map_err(refusal)?;
            kept.armed = true;
            keep(agent, &kept)?;
            Ok(serde_json::Value::Null)
        }
        HostStep::RollBack => {
            let client = client(agent)?;
            let _ = client.disarm_fencing(true);
            let _ = client.stop();
            forget(agent);
            Ok(serde_json::Value::Null)
        }
        HostStep::Leave => {
            client(agent)?.set_excluded().map_err(refusal)?;
            Ok(serde_json::Value::Null)
        }
    }
}

/// What a host answers before HA is switched on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preflight {
    /// The longest disk cycle of a few, in nanoseconds.
    pub cycle_ns: u64,
    /// The watchdog's step, in nanoseconds.
    pub step_ns: u64,
}

fn preflight(agent: &Agent, sr: Uuid, vdi: Uuid, hosts: usize) -> Answer<serde_json::Value> {
    let failed = |error: String| Failure::new("HA_HEARTBEAT_DAEMON_STARTUP_FAILED", [error]);
    let watchdog: crate::host::watchdog::WatchdogConfig =
        serde_json::from_value(agent.config.watchdog.clone())
            .unwrap_or(crate::host::watchdog::WatchdogConfig::None);
    let watchdog =
        crate::host::watchdog::open(&watchdog).map_err(|error| failed(error.to_string()))?;
    let place = agent.plugs.get(sr).map_err(super::jobs::sr_failure)?;
    let path = place.find(vdi).map_err(super::jobs::sr_failure)?.path;
    let cycle = crate::xhad::statefile::measure(&path, hosts, 5)
        .map_err(|error| Failure::new("HA_HOST_CANNOT_ACCESS_STATEFILE", [error.to_string()]))?;
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let answer = Preflight { cycle_ns: nanos(cycle), step_ns: nanos(watchdog.step()) };
    serde_json::to_value(answer).map_err(|error| Failure::internal(error.to_string()))
}

/// The daemon's configuration for a session.
fn start_config(agent: &Agent, session: &Session, form: bool) -> StartConfig {
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe"));
    let mut agent_command = vec![program.display().to_string(), "xe-agent".to_owned()];
    if let Some(dir) = &agent.state_dir {
        agent_command.extend(["--state-dir".to_owned(), dir.display().to_string()]);
    }
    let address = |(uuid, address): &(Uuid, String)| {
        Some(HostAddress { uuid: *uuid, address: address.parse().ok()? })
    };
    StartConfig {
        generation: session.generation,
        key_hex: session.key_hex.clone(),
        host: agent.config.host,
        boot_id: agent.boot.clone(),
        timeout_s: session.timeout_s,
        hosts: session.hosts.iter().filter_map(address).collect(),
        udp_port: agent.config.udp_port,
        statefiles: vec![session.statefile_path.clone()],
        watchdog: serde_json::from_value(agent.config.watchdog.clone())
            .unwrap_or(crate::host::watchdog::WatchdogConfig::None),
        first_master: Some(session.first_master),
        form,
        agent_command,
        agent_pid: Some(std::process::id()),
        weight: 0,
    }
}

/// Starts the daemon unless it runs. It is no part of this agent: it must outlive it.
fn ensure_daemon(agent: &Agent) -> Answer<()> {
    let client = client(agent)?.with_timeout(Duration::from_secs(2));
    if client.liveset().is_ok() {
        return Ok(());
    }
    let dir = agent.state_dir.clone().unwrap_or_default();
    spawn_daemon(&dir)
        .map_err(|error| Failure::new("HA_HEARTBEAT_DAEMON_STARTUP_FAILED", [error.to_string()]))?;
    for _ in 0..100 {
        if client.liveset().is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(Failure::new("HA_HEARTBEAT_DAEMON_STARTUP_FAILED", ["the daemon does not answer"]))
}

fn spawn_daemon(dir: &Path) -> std::io::Result<()> {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(dir.join("xhad.log"))?;
    let program = std::env::current_exe()?;
    let mut child = Command::new(program)
        .args(["xhad", "--state-dir"])
        .arg(dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    // Its end is noticed by its silence; this thread only keeps it from staying a zombie.
    std::thread::spawn(move || child.wait());
    Ok(())
}

/// Refuses to run VMs on a host that is not armed while its pool has HA on (R5).
pub fn assert_may_run(agent: &Agent) -> Answer<()> {
    let db = agent.store.read();
    let pool = super::pool_ref(&db).unwrap_or("");
    if !db.flag("pool", pool, "ha_enabled") {
        return Ok(());
    }
    match agent.ha.liveset() {
        Some(liveset) if liveset.phase == Phase::Armed => Ok(()),
        _ => Err(Failure::bare("HA_POOL_IS_ENABLED_BUT_HOST_IS_DISABLED")),
    }
}

/// Switches HA off on this host alone. Without the others' knowledge they might restart its VMs, so
/// the daemon first waits until they have seen that this host is not armed.
pub fn emergency_disable(agent: &Arc<Agent>, soft: bool) -> Answer<()> {
    let Some(mut kept) = session(agent) else {
        return if soft { Ok(()) } else { Err(Failure::bare("HA_NOT_ENABLED")) };
    };
    agent.history.note(
        "emergency-ha-disable",
        "asked for by the operator",
        serde_json::json!({
            "soft": soft,
        }),
    );
    let client = client(agent)?.with_timeout(Duration::from_secs(30));
    let known = client.disarm_fencing(false);
    if let Err(error) = known {
        let unreachable = matches!(error, ControlError::Unreachable { .. });
        if !unreachable {
            stop_all_vms(agent)?;
            client.disarm_fencing(true).map_err(refusal)?;
        }
    }
    let _ = client.stop();
    if soft {
        kept.armed = true;
        keep(agent, &kept)?;
    } else {
        forget(agent);
    }
    was_disarmed(agent);
    Ok(())
}

/// The others may restart this host's VMs: none may be left here.
fn stop_all_vms(agent: &Agent) -> Answer<()> {
    let found = agent.driver.scan().map_err(|error| Failure::internal(error.to_string()))?;
    for vm in found {
        agent.driver.hard_stop(vm.vm).map_err(|error| Failure::internal(error.to_string()))?;
        agent.history.note(
            "vm-stopped",
            "emergency disable without the others' knowledge",
            serde_json::json!({ "vm": vm.vm }),
        );
    }
    Ok(())
}

/// After an emergency disable: a former master goes on as master without HA; a member waits for the
/// operator to say who is master.
fn was_disarmed(agent: &Arc<Agent>) {
    let was_master =
        agent.standing().is_master() || agent.ha.liveset().is_some_and(|liveset| liveset.is_master);
    if was_master {
        agent.store.set_volume(None);
        if let Err(failure) = master_change::become_master(agent) {
            agent.history.note("mastership-lost", &failure.to_string(), serde_json::json!({}));
        }
        let switched = agent.store.commit(|tx| {
            let pool = super::pool_ref(tx.db()).unwrap_or("").to_owned();
            tx.set("pool", &pool, "ha_enabled", false);
            Ok(())
        });
        if switched.is_ok() {
            vm::message(
                agent,
                "HA_STATEFILE_LOST",
                2,
                "Host",
                &agent.config.host.to_string(),
                "HA was switched off for the pool by an emergency disable of its master",
            );
        }
    }
}

/// Watches the heartbeat daemon. Runs on a thread of its own.
pub fn watch(agent: &Arc<Agent>) {
    let lease_agent = Arc::clone(agent);
    std::thread::spawn(move || keep_agent_lease(&lease_agent));
    loop {
        std::thread::sleep(Duration::from_millis(200));
        let Some(kept) = session(agent).filter(|session| session.armed) else { continue };
        if let Err(failure) = follow_daemon(agent, &kept) {
            tracing::warn!("the heartbeat daemon cannot be followed: {failure}");
            step_down(agent, Standing::Emergency(failure));
            std::thread::sleep(Duration::from_secs(1));
        }
    }
}

fn keep_agent_lease(agent: &Arc<Agent>) {
    loop {
        std::thread::sleep(AGENT_LEASE);
        if is_armed(agent)
            && let Ok(client) = client(agent)
        {
            let _ = client.with_timeout(AGENT_LEASE).agent_lease(std::process::id());
        }
    }
}

/// Follows the daemon until its connection ends.
fn follow_daemon(agent: &Arc<Agent>, kept: &Session) -> Answer<()> {
    ensure_daemon(agent)?;
    let client = client(agent)?;
    if client.liveset().map_err(refusal)?.phase == Phase::Off {
        let config = start_config(agent, kept, false);
        let (starter, agent) = (client.clone(), Arc::clone(agent));
        std::thread::spawn(move || begin_session(&agent, &starter, config));
    }
    for liveset in client.subscribe().map_err(refusal)? {
        let before = lock(&agent.ha.liveset).replace(liveset.clone());
        react(agent, kept, before.as_ref(), &liveset);
        if !is_armed(agent) {
            return Ok(());
        }
    }
    *lock(&agent.ha.liveset) = None;
    Ok(())
}

/// Begins the session of a host that boots armed.
fn begin_session(agent: &Arc<Agent>, client: &Client, config: StartConfig) {
    match client.start(config) {
        Ok(()) => {
            agent.history.note("ha-rejoined", "this boot is in a view", serde_json::json!({}))
        }
        Err(error) if error.kind() == Some(RefusedKind::PoolIsOff) => {
            agent.history.note(
                "ha-off",
                "the statefile says that HA is off",
                serde_json::json!({}),
            );
            forget(agent);
            if let Some(dir) = &agent.state_dir
                && let Ok(config::PoolRole::Member { master }) = config::PoolRole::load(dir)
            {
                step_down(agent, Standing::Member { master });
            }
        }
        Err(error) => {
            agent.history.note("ha-start-failed", &error.to_string(), serde_json::json!({}));
            step_down(agent, Standing::Emergency(refusal(error)));
        }
    }
}

/// Turns a living set into this agent's standing.
fn react(agent: &Arc<Agent>, kept: &Session, before: Option<&Liveset>, now: &Liveset) {
    match now.phase {
        Phase::Armed => {}
        Phase::Disarmed => return super::ha_pool::went_off(agent, now),
        _ => {
            if now.phase != Phase::Off {
                let failure = Failure::bare("HOST_STILL_BOOTING");
                step_down(agent, Standing::Emergency(failure));
            }
            return;
        }
    }
    let epoch = kept.epoch_base + now.epoch;
    if now.is_master {
        let stalled = agent.store.volume_works() != Some(true);
        if now.may_act && (stalled || agent.standing() != (Standing::Master { epoch })) {
            promote(agent, kept, epoch);
        }
    } else if let Some(address) = now.master.and_then(|master| address_of(kept, master)) {
        agent.store.set_volume(None);
        step_down(agent, Standing::Member { master: address });
    } else {
        step_down(agent, Standing::Emergency(Failure::bare("HOST_STILL_BOOTING")));
    }
    if now.is_master {
        super::ha_pool::view_changed(agent, before, now);
    }
}

/// Ends this host's part in a session that is over.
pub fn end_session(agent: &Agent) {
    if let Ok(client) = client(agent) {
        let _ = client.stop();
    }
    forget(agent);
}

/// The address of a host of the session.
pub fn address_of(session: &Session, host: Uuid) -> Option<String> {
    session.hosts.iter().find(|(uuid, _)| *uuid == host).map(|(_, address)| address.clone())
}

/// Becomes the master of an epoch: the newest acknowledged state first, then the right to write.
fn promote(agent: &Arc<Agent>, kept: &Session, epoch: u64) {
    let renewed = agent.standing().is_master();
    if renewed && agent.store.volume_works() == Some(true) {
        // The same master in a new view: its lease follows the view by itself.
        agent.set_standing(Standing::Master { epoch });
        return scan_members(agent);
    }
    if let Err(failure) = ha_volume::take_over(agent, kept, epoch) {
        // A host that cannot read the newest state hands the mastership on.
        agent.history.note(
            "promotion-failed",
            &failure.to_string(),
            serde_json::json!({
                "epoch": epoch,
            }),
        );
        if let Ok(client) = client(agent) {
            let _ = client.give_up_mastership(None);
        }
        return;
    }
    let Ok(lease_client) = client(agent) else { return };
    let base = kept.epoch_base;
    let lease = Box::new(move || {
        let refused = |why: String| Failure::new("HA_LOST_STATEFILE", [why]);
        let lease = lease_client.check_lease().map_err(|error| refused(error.to_string()))?;
        if lease.act {
            Ok(base + lease.epoch)
        } else {
            Err(refused("this host may not act as master now".to_owned()))
        }
    });
    if let Err(failure) = master_change::assume(agent, epoch, lease) {
        agent.history.note("promotion-failed", &failure.to_string(), serde_json::json!({}));
        return;
    }
    if !renewed {
        vm::message(agent, "POOL_MASTER_TRANSITION", 4, "Host", &agent.config.host.to_string(), "");
    }
    scan_members(agent);
}

/// Asks every live host what really runs there, in this epoch (R6.3). VMs without an open intent
/// are not delayed by it.
fn scan_members(agent: &Arc<Agent>) {
    let Some(liveset) = agent.ha.liveset() else { return };
    let db = agent.store.read();
    for member in liveset.members {
        let Some(host) = db.by_uuid("host", &member.to_string()).map(str::to_owned) else {
            continue;
        };
        let agent = Arc::clone(agent);
        std::thread::spawn(move || {
            if let Err(failure) = host_facts::reconcile(&agent, &host) {
                agent.history.note(
                    "not-scanned",
                    &failure.to_string(),
                    serde_json::json!({
                        "host": member,
                    }),
                );
            }
            super::recover::wake(&agent);
        });
    }
}

/// This host's own statefile and peers, as its row shows them.
pub fn shown(liveset: &Liveset, statefile: &str) -> (Value, Value) {
    let statefiles = if liveset.statefile_ok { vec![statefile.to_owned()] } else { Vec::new() };
    let peers = liveset.members.iter().map(Uuid::to_string);
    (Value::text_set(statefiles), Value::text_set(peers))
}
