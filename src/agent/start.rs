//! `xe-agent`: sets a host up (`init`) or runs its agent.

use super::config::{Config, PoolRole, STATE_DIR};
use super::history::History;
use super::identity::Identity;
use super::peers::Peers;
use super::replica::LocalJournal;
use super::session::Sessions;
use super::standing::Standing;
use super::store::Store;
use super::{Agent, follow, host_facts, master_change, server};
use crate::host::faults::Faults;
use crate::host::hypervisor::{self, Settings};
use crate::host::sr::Plugs;
use crate::xenapi::Failure;
use anyhow::{Context, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::Duration;

/// How often the master compares its rows with what really runs.
const RECONCILE: Duration = Duration::from_secs(10);

/// Runs the program with the words after its name.
pub fn run(words: &[String]) -> anyhow::Result<()> {
    let mut state_dir = PathBuf::from(STATE_DIR);
    let mut rest = words.iter();
    let mut init = None;
    while let Some(word) = rest.next() {
        match word.as_str() {
            "--state-dir" => {
                state_dir = rest.next().context("--state-dir needs a directory")?.into();
            }
            "leave" => {
                let how = rest.next().context("leave needs 'poweroff' or 'reboot'")?;
                return super::ha::leave::run(&state_dir, how);
            }
            "stop-vms" => return stop_vms(&state_dir),
            "init" => init = Some(rest.clone().cloned().collect::<Vec<_>>()),
            "--help" | "help" => {
                println!("{USAGE}");
                return Ok(());
            }
            _ if init.is_some() => {}
            other => bail!("'{other}' is not understood; 'xe-agent help' shows how it is used"),
        }
    }
    match init {
        Some(words) => super::init::command(&state_dir, &words),
        None => serve(&state_dir),
    }
}

/// Stops every VM of this host at once, without an agent: the heartbeat daemon asks for it when
/// this host has lost its place and the pool wants `isolation-response=stop-vms`. Ends well only
/// when a count by scan finds none any more.
fn stop_vms(state_dir: &Path) -> anyhow::Result<()> {
    let config = Config::load(state_dir)?;
    let boot = crate::host::boot_id::current(&Faults::from_environment())?;
    let settings = Settings::new(state_dir.join("vms"), &boot);
    let driver = hypervisor::open(config.hypervisor, settings)?;
    // A start that was under way when the agent was killed may show late: only two counts in a
    // row that find nothing are believed.
    let mut empty = 0;
    for _ in 0..STOP_ROUNDS {
        let found = driver.scan()?;
        empty = if found.is_empty() { empty + 1 } else { 0 };
        if empty == 2 {
            return Ok(());
        }
        for machine in found {
            if let Err(error) = driver.hard_stop(machine.vm) {
                eprintln!("xe-agent: {}: {error}", machine.vm);
            }
        }
        std::thread::sleep(STOP_PAUSE);
    }
    bail!("{} VMs still run", driver.scan()?.len())
}

/// How often VMs are stopped and counted, and the pause in between.
const STOP_ROUNDS: usize = 100;
const STOP_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

const USAGE: &str = "\
xe-agent [--state-dir DIR]         runs the agent of this host
xe-agent [--state-dir DIR] stop-vms
                                   stops every VM of this host at once
xe-agent [--state-dir DIR] init    sets this host up as a pool of its own
    --address A          the address at which other hosts reach this one
    --name NAME          the host's name-label
    --password-file F    a file whose first line is root's password
    --memory BYTES       memory for VMs (default: what the kernel reports)
    --hypervisor WORD    process, qemu, sim, or mixed: process and qemu, each VM by its
                         other-config:xe-driver
    --https-port N, --http-port N, --udp-port N
    --socket PATH        the API's socket (default: DIR/xapi.sock; /var/lib/xcp/xapi without
                         --state-dir)";

fn serve(state_dir: &Path) -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    let _lock = lock(state_dir)?;
    let faults = Faults::from_environment();
    let agent = open(state_dir, faults.clone())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(512)
        .enable_all()
        .build()?;
    begin(&agent)?;
    runtime.block_on(server::serve(agent, faults))
}

/// Keeps a second agent from the same state directory: two writers of one journal are two masters.
fn lock(state_dir: &Path) -> anyhow::Result<std::fs::File> {
    let path = state_dir.join("lock");
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)
        .with_context(|| format!("another agent runs on {}", state_dir.display()))?;
    Ok(file)
}

/// Opens the agent of a state directory.
pub fn open(state_dir: &Path, faults: Faults) -> anyhow::Result<Arc<Agent>> {
    let config = Config::load(state_dir)?;
    let identity = Identity::load(state_dir)?;
    let boot = crate::host::boot_id::current(&faults)?;
    let opened = LocalJournal::open(&state_dir.join("db.journal"))?;
    let store =
        Store::new(opened.replayed.database, opened.replayed.position, Some(opened.journal), &boot);
    let starting = match store.damage() {
        None => Failure::bare("HOST_STILL_BOOTING"),
        Some(damage) => {
            tracing::error!("this host will not be master from its own journal: {damage}");
            Failure::new("XE_JOURNAL_DAMAGED", [damage.to_string()])
        }
    };
    let mut settings = Settings::new(state_dir.join("vms"), &boot);
    settings.migration_address = config.address;
    settings.accelerator.clone_from(&config.accelerator);
    Ok(Arc::new(Agent {
        state_dir: Some(state_dir.to_owned()),
        driver: hypervisor::open(config.hypervisor, settings)?,
        peers: Peers::new(&identity, config.https_port, faults)?,
        config,
        identity: Some(identity),
        store,
        sessions: Sessions::default(),
        plugs: Plugs::default(),
        ailments: Default::default(),
        boot,
        history: History::open(state_dir)?,
        tasks: super::tasks::Tasks::default(),
        host_memory: BTreeMap::new(),
        heard: Default::default(),
        wake: super::recover::Wake::default(),
        gate: super::gate::Gate::default(),
        ha: super::ha::LocalHa::default(),
        mail: super::mail::Outbox::default(),
        hooks: super::hooks::Hooks::default(),
        abreast: super::abreast::Abreast::default(),
        admission: std::sync::Mutex::default(),
        unposted: super::messages::Unposted::default(),
        standing: RwLock::new(Standing::Emergency(starting)),
    }))
}

/// Starts the agent's threads, in the role that the pool configuration gives it.
fn begin(agent: &Arc<Agent>) -> anyhow::Result<()> {
    let state_dir = agent.state_dir.clone().context("an agent without state")?;
    agent.history.note(
        "agent-start",
        "the agent starts",
        serde_json::json!({
            "host": agent.config.host, "boot": agent.boot, "pid": std::process::id(),
        }),
    );
    match PoolRole::load(&state_dir)? {
        PoolRole::Master if super::ha::is_armed(agent) => {}
        PoolRole::Master => match agent.standing() {
            Standing::Emergency(why) if why.code == "XE_JOURNAL_DAMAGED" => {}
            _ => match master_change::successor(agent) {
                Some(master) => master_change::follow(agent, &master),
                // The pool may have HA on, and another master by it.
                None if super::ha::emergency::is_left(agent) => {
                    let waiting = Failure::bare("HA_POOL_IS_ENABLED_BUT_HOST_IS_DISABLED");
                    agent.set_standing(Standing::Emergency(waiting));
                }
                None => master_change::become_master(agent)?,
            },
        },
        PoolRole::Member { .. } if super::ha::emergency::is_marked(agent) => {
            let waiting = Failure::bare("HA_POOL_IS_ENABLED_BUT_HOST_IS_DISABLED");
            agent.set_standing(Standing::Emergency(waiting));
        }
        PoolRole::Member { .. } if super::ha::is_armed(agent) => {}
        PoolRole::Member { master } => {
            agent.set_standing(Standing::Member { master });
        }
    }
    let spawn = |name: &str, work: fn(&Arc<Agent>)| {
        let agent = Arc::clone(agent);
        std::thread::Builder::new().name(name.to_owned()).spawn(move || work(&agent))
    };
    spawn("follow", follow::follow_master)?;
    spawn("report", follow::report_host)?;
    spawn("reconcile", reconcile)?;
    spawn("recover", super::recover::run)?;
    spawn("mail", super::mail::run)?;
    spawn("storage", super::ailments::watch)?;
    spawn("ha", super::ha::follow::watch)?;
    Ok(())
}

/// The master's round: hosts that fell silent, VMs that are not where their rows say.
fn reconcile(agent: &Arc<Agent>) {
    loop {
        std::thread::sleep(RECONCILE);
        if !agent.standing().is_master() {
            continue;
        }
        let db = agent.store.read();
        let armed = super::pool_ref(&db).is_some_and(|pool| db.flag("pool", pool, "ha_enabled"));
        if !armed {
            host_facts::expire(agent);
        }
        for host in crate::pool::rows::Host::all(&db) {
            if super::capacity::is_live(&db, &host)
                && let Err(failure) = super::reconcile::reconcile(agent, host.reference)
            {
                tracing::debug!(host = host.name_label(), "not compared: {failure}");
            }
        }
    }
}
