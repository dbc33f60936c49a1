//! The agent inside the client: `xe --database FILE` serves a dump as its master would.
//!
//! The very same dispatch answers, over the very same XML-RPC, through memory. Changes stay in
//! memory unless `--write` asks for them; then the file is replaced by rename.

use super::config::Config;
use super::dispatch::dispatch;
use super::session::{Caller, Sessions};
use super::standing::Standing;
use super::store::Store;
use super::{Agent, gate, history, peers, pool_ref, recover, tasks};
use crate::client::{CallError, DatabaseRequest, Transport};
use crate::host::hypervisor::{self, Kind, Settings};
use crate::host::sr::Plugs;
use crate::pool::Database;
use crate::pool::dump::Dump;
use crate::pool::journal::Position;
use crate::xenapi::{Value, xmlrpc};
use anyhow::{Context, bail};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use uuid::Uuid;

/// A dump with an agent over it.
struct InProcess {
    agent: Arc<Agent>,
    dump: Dump,
    file: PathBuf,
    write: bool,
    saved: Mutex<Arc<Database>>,
}

/// Opens a dump for the client.
pub fn open(request: &DatabaseRequest) -> anyhow::Result<Box<dyn Transport>> {
    let file = PathBuf::from(&request.file);
    if file.is_dir() {
        bail!(
            "{} is a directory; the state of a running host is asked through its agent",
            request.file
        );
    }
    let bytes = std::fs::read(&file).with_context(|| format!("cannot read {}", request.file))?;
    let dump = Dump::parse(&bytes)
        .with_context(|| format!("{} is no database of a pool", request.file))?;
    let agent = agent_over(&dump, request)?;
    let saved = Mutex::new(agent.store.read());
    Ok(Box::new(InProcess { agent, dump, file, write: request.write, saved }))
}

fn agent_over(dump: &Dump, request: &DatabaseRequest) -> anyhow::Result<Arc<Agent>> {
    let database = dump.database.clone();
    let Some(pool) = pool_ref(&database) else { bail!("{}: there is no pool in it", request.file) };
    let master = database.target("pool", pool, "master").unwrap_or("");
    let config = Config {
        host: database.text("host", master, "uuid").parse().unwrap_or(Uuid::nil()),
        name: database.text("host", master, "name_label").to_owned(),
        address: IpAddr::from([127, 0, 0, 1]),
        https_port: 443,
        http_port: None,
        socket: PathBuf::new(),
        udp_port: 694,
        hypervisor: Kind::Sim,
        accelerator: String::new(),
        memory: 0,
        cpus: 1,
        watchdog: serde_json::Value::Null,
    };
    let mut host_memory = std::collections::BTreeMap::new();
    for (uuid, bytes) in &request.host_memory {
        if database.by_uuid("host", uuid).is_none() {
            bail!("--host-memory: {} has no host {uuid}", request.file);
        }
        host_memory.insert(uuid.clone(), u64::try_from(*bytes)?);
    }
    let store = Store::new(database, Position::default(), None, "");
    store.set_lease(Some(Box::new(|| Ok(1))));
    Ok(Arc::new(Agent {
        state_dir: None,
        config,
        identity: None,
        store,
        sessions: Sessions::default(),
        driver: hypervisor::open(Kind::Sim, Settings::new(PathBuf::new(), ""))?,
        plugs: Plugs::default(),
        ailments: Default::default(),
        peers: peers::Peers::none(),
        boot: String::new(),
        history: history::History::default(),
        tasks: tasks::Tasks::default(),
        host_memory,
        heard: Default::default(),
        wake: recover::Wake::default(),
        gate: gate::Gate::default(),
        ha: super::ha::LocalHa::default(),
        mail: super::mail::Outbox::default(),
        hooks: super::hooks::Hooks::default(),
        abreast: super::abreast::Abreast::default(),
        admission: std::sync::Mutex::default(),
        unposted: super::messages::Unposted::default(),
        standing: RwLock::new(Standing::Master { epoch: 1 }),
    }))
}

impl InProcess {
    /// Writes the file when rows changed; called after each call, since a client may end any time.
    fn save(&self) -> std::io::Result<()> {
        let now = self.agent.store.read();
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = |db: &Database| -> Vec<String> {
            db.rows().map(|(class, row, _)| format!("{class}/{row}")).collect()
        };
        let same = saved.rows().eq(now.rows()) && kept(&saved) == kept(&now);
        if !self.write || same {
            return Ok(());
        }
        replace(&self.file, self.dump.write(&now).as_bytes())?;
        *saved = now;
        Ok(())
    }
}

/// Replaces a file by rename, with its permissions kept.
fn replace(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let fresh = file.with_extension("xe-new");
    let mut out = std::fs::File::create(&fresh)?;
    out.write_all(bytes)?;
    if let Ok(metadata) = std::fs::metadata(file) {
        out.set_permissions(metadata.permissions())?;
    }
    out.sync_all()?;
    std::fs::rename(&fresh, file)
}

impl Transport for InProcess {
    fn call(&self, method: &str, params: &[Value]) -> Result<Value, CallError> {
        let broken =
            |reason: String| CallError::Broken { address: self.file.display().to_string(), reason };
        let request = xmlrpc::encode_call(method, params);
        let (method, params) =
            xmlrpc::decode_call(&request).map_err(|error| broken(error.to_string()))?;
        let answer = dispatch(&self.agent, Caller::InProcess, &method, &params);
        self.save().map_err(|error| broken(format!("the changes were not saved: {error}")))?;
        let response = xmlrpc::encode_response(&answer);
        let answer =
            xmlrpc::decode_response(&response).map_err(|error| broken(error.to_string()))?;
        answer.map_err(CallError::Api)
    }

    fn download(&self, path: &str) -> Result<Vec<u8>, CallError> {
        if path.starts_with("/pool/xmldbdump") {
            return Ok(self.dump.write(&self.agent.store.read()).into_bytes());
        }
        Err(CallError::Broken {
            address: self.file.display().to_string(),
            reason: format!("a dump has no {path}"),
        })
    }

    fn upload(&self, path: &str, _body: &[u8]) -> Result<(), CallError> {
        Err(CallError::Broken {
            address: self.file.display().to_string(),
            reason: format!("{path} cannot be uploaded to a dump"),
        })
    }
}

/// The master of a small saved pool, for the tests of other files.
#[cfg(test)]
pub(super) fn of_two_hosts() -> Arc<Agent> {
    let text = include_str!("../../tests/fixtures/dumps/two-hosts.xml");
    let text = text.replace("ha_enabled=\"false\"", "ha_enabled=\"true\"");
    let dump = Dump::parse(text.as_bytes()).unwrap();
    let request = DatabaseRequest { file: String::new(), host_memory: Vec::new(), write: false };
    agent_over(&dump, &request).unwrap()
}
