//! The agent: XenAPI server, pool database, planner and recovery of one host.
//!
//! Exactly one agent of a pool is the master; the others follow its database and forward what local
//! users ask. A call goes [`server`] → [`dispatch`] → a file under [`classes`], or [`generic`].

pub mod abreast;
pub mod agility;
pub mod ailments;
pub mod alerts;
pub mod capacity;
pub mod classes;
pub mod config;
mod cpu;
pub mod devices;
pub mod dispatch;
pub mod dump;
pub mod evacuate;
pub mod event_log;
pub mod explain;
pub mod files;
pub mod filter;
pub mod follow;
pub mod forbidden;
pub mod forward;
pub mod gate;
pub mod generic;
pub mod guard;
pub mod ha;
pub mod history;
pub mod hooks;
pub mod host_facts;
pub mod identity;
pub mod in_process;
pub mod init;
pub mod interfaces;
pub mod internal;
pub mod jobs;
pub mod limits;
pub mod mail;
pub mod maintenance;
pub mod marks;
pub mod master_change;
pub mod membership;
pub mod messages;
pub mod new_host;
pub mod peers;
pub mod power;
pub mod reconcile;
pub mod recover;
mod recovery_rows;
pub mod replica;
pub mod server;
pub mod session;
pub mod standing;
pub mod start;
pub mod starts;
pub mod storage_jobs;
pub mod store;
pub mod tasks;
pub mod vm;
pub mod volume;
pub mod volumes;
pub mod what_if;
mod words;

use crate::host::hypervisor::Hypervisor;
use crate::host::sr::Plugs;
use crate::pool::Database;
use crate::xenapi::Value;
use config::Config;
use history::History;
use identity::Identity;
use peers::Peers;
use session::Sessions;
use standing::Standing;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError, RwLock};
use store::Store;

/// One agent.
pub struct Agent {
    /// Where it keeps its state; none when it serves a dump.
    pub state_dir: Option<PathBuf>,
    /// What the host is told about itself.
    pub config: Config,
    /// The pool's secrets; none when it serves a dump.
    pub identity: Option<Identity>,
    /// The database.
    pub store: Store,
    /// Who is logged in.
    pub sessions: Sessions,
    /// What runs the VMs.
    pub driver: Box<dyn Hypervisor>,
    /// The SRs that are attached to this host.
    pub plugs: Plugs,
    /// What ails hosts.
    pub ailments: ailments::Ailments,
    /// The other agents.
    pub peers: Peers,
    /// This boot of the host.
    pub boot: String,
    /// What happened, for `lab timeline` and for people.
    pub history: History,
    /// Tasks that run.
    pub tasks: tasks::Tasks,
    /// Memory of hosts that a user gave because a dump does not say it, by uuid, in bytes.
    pub host_memory: BTreeMap<String, u64>,
    /// When the other agents were heard.
    pub heard: host_facts::Heard,
    /// Wakes the recovery.
    pub wake: recover::Wake,
    /// Which jobs of masters may run here.
    pub gate: gate::Gate,
    /// What this host knows of HA.
    pub ha: ha::LocalHa,
    /// Alerts that wait to be mailed.
    pub mail: mail::Outbox,
    /// When programs of the administrator were run.
    pub hooks: hooks::Hooks,
    /// What the planner was asked about last.
    pub abreast: abreast::Abreast,
    /// Held while an operation is judged and recorded, see [`guard::admit`].
    admission: Mutex<()>,
    /// Messages that could not be recorded yet.
    unposted: messages::Unposted,
    standing: RwLock<Standing>,
}

impl Agent {
    /// What this agent is in its pool now.
    pub fn standing(&self) -> Standing {
        self.standing.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes what this agent is; gives what it was.
    pub fn set_standing(&self, standing: Standing) -> Standing {
        let mut current = self.standing.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, standing)
    }

    /// Memory of hosts that a user gave, by uuid, in bytes.
    pub fn host_memory(&self) -> &BTreeMap<String, u64> {
        &self.host_memory
    }

    /// Whether nothing real stands behind this agent: it serves a dump.
    pub fn is_simulated(&self) -> bool {
        self.state_dir.is_none()
    }

    /// The reference of this host's row.
    pub fn host_ref(&self, db: &Database) -> Option<String> {
        db.by_uuid("host", &self.config.host.to_string()).map(str::to_owned)
    }
}

/// A new random reference.
pub fn new_reference() -> String {
    format!("OpaqueRef:{}", uuid::Uuid::new_v4())
}

/// A new random uuid.
pub fn new_uuid() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// The time of day, only ever shown to people: no rule uses it.
pub fn now() -> Value {
    Value::DateTime(jiff::Timestamp::now().strftime("%Y%m%dT%H:%M:%SZ").to_string())
}

/// The pool's row.
pub fn pool_ref(db: &Database) -> Option<&str> {
    db.table("pool").keys().next().map(String::as_str)
}

/// Runs the program with the words after its name.
pub fn main(words: Vec<String>) -> ExitCode {
    match start::run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xe-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}
