//! `xe-agent init`: a host becomes a pool of its own.

use super::config::Config;
use super::identity::Identity;
use super::new_host::{NewHost, create_host};
use super::replica::{LocalJournal, Replica};
use super::{new_reference, new_uuid};
use crate::host::hypervisor::Kind;
use crate::pool::journal::{Position, Record};
use crate::pool::{Database, Transaction};
use crate::xenapi::Value;
use anyhow::{Context, bail};
use std::net::IpAddr;
use std::path::Path;
use uuid::Uuid;

/// Runs `init` with the words after it.
pub fn command(state_dir: &Path, words: &[String]) -> anyhow::Result<()> {
    let mut config = Config {
        host: Uuid::new_v4(),
        name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        address: IpAddr::from([127, 0, 0, 1]),
        https_port: 443,
        http_port: None,
        socket: default_socket(state_dir),
        udp_port: 694,
        hypervisor: Kind::Process,
        accelerator: "tcg".to_owned(),
        memory: total_memory(),
        cpus: i64::try_from(std::thread::available_parallelism()?.get()).unwrap_or(1),
        watchdog: serde_json::Value::Null,
    };
    let mut password = None;
    for pair in words.chunks(2) {
        let [word, value] = pair else { bail!("{} needs a value", pair[0]) };
        match word.as_str() {
            "--address" => config.address = value.parse().context("--address")?,
            "--name" => config.name.clone_from(value),
            "--memory" => config.memory = value.parse().context("--memory")?,
            "--hypervisor" => {
                config.hypervisor = value.parse().map_err(anyhow::Error::msg)?;
            }
            "--https-port" => config.https_port = value.parse().context("--https-port")?,
            "--http-port" => config.http_port = Some(value.parse().context("--http-port")?),
            "--udp-port" => config.udp_port = value.parse().context("--udp-port")?,
            "--socket" => config.socket = value.into(),
            "--password-file" => {
                let text = std::fs::read_to_string(value).with_context(|| value.clone())?;
                password = text.lines().next().map(str::to_owned);
            }
            other => bail!("'{other}' is not understood; 'xe-agent help' shows how it is used"),
        }
    }
    let password = match password {
        Some(password) => password,
        None => ask_password()?,
    };
    create(state_dir, &config, &password)?;
    println!("{}", config.host);
    Ok(())
}

/// Where `xe` looks for the agent: in the state directory that `--state-dir` names, and at the
/// usual place without that switch.
fn default_socket(state_dir: &Path) -> std::path::PathBuf {
    match state_dir == Path::new(super::config::STATE_DIR) {
        true => super::config::SOCKET.into(),
        false => state_dir.join("xapi.sock"),
    }
}

fn ask_password() -> anyhow::Result<String> {
    use std::io::IsTerminal;
    if !std::io::stdin().is_terminal() {
        bail!("no password; give one with --password-file FILE");
    }
    let prompt = dialoguer::Password::new().with_prompt("Password for root");
    Ok(prompt.with_confirmation("Once more", "the two are not the same").interact()?)
}

/// The memory that the kernel reports, in bytes.
fn total_memory() -> i64 {
    let info = rustix::system::sysinfo();
    let bytes = u128::from(info.totalram) * u128::from(info.mem_unit);
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Writes the state directory of a new pool of one host.
pub fn create(state_dir: &Path, config: &Config, password: &str) -> anyhow::Result<()> {
    std::fs::create_dir_all(state_dir)
        .with_context(|| format!("cannot make {}", state_dir.display()))?;
    if state_dir.join("agent.json").exists() {
        bail!("{} already holds a host; remove it first", state_dir.display());
    }
    Identity::create(password)?.save(state_dir)?;
    let mut tx = Transaction::over(&Database::default());
    let host = create_host(&mut tx, &new_host(config));
    tx.create(
        "pool",
        &new_reference(),
        [
            ("uuid", Value::from(new_uuid())),
            ("name_label", Value::from("")),
            ("master", Value::from(host)),
            ("ha_cluster_stack", Value::from("xhad")),
            ("other_config", Value::text_map([("xe-protocol", "1")])),
        ],
    );
    let record = Record {
        epoch: 0,
        boot: String::new(),
        generation: 1,
        snapshot_of: None,
        changes: tx.into_changes(),
        unknown: std::collections::BTreeMap::new(),
    };
    let (bytes, _) = record.encode(&Position::default())?;
    let mut opened = LocalJournal::open(&state_dir.join("db.journal"))?;
    opened.journal.append(&bytes)?;
    config.save(state_dir)
}

/// What a host tells of itself when it founds or joins a pool.
pub fn new_host(config: &Config) -> NewHost {
    NewHost {
        uuid: config.host,
        name: config.name.clone(),
        address: config.address.to_string(),
        memory: config.memory,
        cpus: config.cpus,
        local_srs: Vec::new(),
        protocol: crate::heartbeat::PROTOCOL,
    }
}
