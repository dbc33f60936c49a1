//! `ha_start_daemon`: the toolstack's configuration becomes a session of our own daemon, and
//! this host a member of the living set.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::config::Config;
use super::exit::{Exit, Failure};
use super::key::KeyText;
use super::{Context, acting, disk, leave, session_runs, toolstack, weight};
use crate::host::boot_id;
use crate::host::faults::Faults;
use crate::host::system_word::system_word;
use crate::xhad::control::{Client, ControlError, Phase, PoolState, StartConfig};

/// The file with the daemon's process id.
const PID: &str = "xhad.pid";
/// What the daemon says before it has a history.
const LOG: &str = "xhad.log";
/// How long the daemon may take until it listens.
const LISTENS: Duration = Duration::from_secs(10);

/// Starts the daemon if none runs, begins the session and waits until this host is in it.
pub fn start(context: &Context) -> Result<(), Failure> {
    let config = context.config()?;
    let key = context.key(&config)?;
    let client = context.settings.client();
    if session_runs(&client)? {
        toolstack::ensure(context)?;
        return Err(Failure::new(Exit::DaemonPresent, "a heartbeat session runs here already"));
    }
    let form = match disk::pool_state(&config, &key)? {
        PoolState::Init => true,
        PoolState::Active | PoolState::OffPending => false,
        PoolState::Off => {
            let sentence = "HA was switched off for the pool";
            return Err(Failure::new(Exit::PoolState, sentence));
        }
    };
    // Refused now rather than when the mastership is to leave this host.
    context.settings.toolstack()?;
    let begin = start_config(context, &config, &key, form)?;
    context.settings.prepare(&begin.watchdog);
    acting::forget(context);
    ensure_daemon(context, &client)?;
    let limit = if form { config.parameters.enable_join } else { config.parameters.boot_join };
    join(&client, begin, limit)?;
    leave::forget(context);
    toolstack::ensure(context)
}

/// The one place where the toolstack's configuration becomes the daemon's.
fn start_config(
    context: &Context,
    config: &Config,
    key: &KeyText,
    form: bool,
) -> Result<StartConfig, Failure> {
    let boot_id = boot_id::current(&Faults::from_environment()).map_err(|error| {
        Failure::new(Exit::System, format!("the kernel's boot id: {}", system_word(&error)))
    })?;
    let settings = &context.settings;
    Ok(StartConfig {
        generation: config.generation,
        key_hex: key.digits().to_owned(),
        host: config.host,
        boot_id,
        timeout_s: config.timeout_s(),
        hosts: config.hosts.clone(),
        udp_port: config.udp_port,
        statefiles: vec![config.statefile.clone()],
        watchdog: settings.watchdog.clone().unwrap_or_else(|| config.watchdog.watchdog()),
        first_master: first_master(&settings.pool_role, config),
        form,
        // The toolstack is started again by its own watcher, never by the daemon.
        agent_command: Vec::new(),
        agent_pid: None,
        weight: weight::total(context),
        ..StartConfig::default()
    })
}

/// The host that the toolstack takes for the master: `master` is this one, `slave:ADDRESS` is
/// the one with that address. Every host reads the same from its own file.
fn first_master(role: &Path, config: &Config) -> Option<Uuid> {
    let text = std::fs::read_to_string(role).ok()?;
    if text.trim() == "master" {
        return Some(config.host);
    }
    let address = text.trim().strip_prefix("slave:")?.trim_matches(['[', ']']);
    let address: std::net::IpAddr = address.parse().ok()?;
    config.hosts.iter().find(|host| host.address == address).map(|host| host.uuid)
}

/// Begins the session. The toolstack's own limit holds too; a host that is not in by then
/// takes its request back.
fn join(client: &Client, config: StartConfig, limit_s: u32) -> Result<(), Failure> {
    let limit = Duration::from_secs(u64::from(limit_s));
    let begun = Instant::now();
    match client.clone().with_timeout(limit).start(config) {
        Err(ControlError::Broken(_)) if begun.elapsed() >= limit => {}
        outcome => return outcome.map_err(Failure::from),
    }
    match client.stop() {
        Err(error) if client.liveset().is_ok_and(|liveset| liveset.phase == Phase::Armed) => {
            // Admitted at the last moment: an armed host is in.
            let _armed = error;
            Ok(())
        }
        _ => {
            let sentence = format!("this host was not admitted within {limit_s} s");
            Err(Failure::new(Exit::JoinTimeout, sentence))
        }
    }
}

fn ensure_daemon(context: &Context, client: &Client) -> Result<(), Failure> {
    if client.liveset().is_ok() {
        return Ok(());
    }
    let dir = &context.settings.state_dir;
    let failed = |error: std::io::Error| {
        Failure::new(
            Exit::System,
            format!("the heartbeat daemon does not start: {}", system_word(&error)),
        )
    };
    std::fs::create_dir_all(dir).map_err(failed)?;
    let words = ["xhad".to_owned(), "--state-dir".to_owned(), dir.display().to_string()];
    let mut child = spawn(&words, &dir.join(LOG)).map_err(failed)?;
    std::fs::write(dir.join(PID), child.id().to_string()).map_err(failed)?;
    let end = Instant::now() + LISTENS;
    while Instant::now() < end {
        if client.liveset().is_ok() {
            return Ok(());
        }
        if let Ok(Some(status)) = child.try_wait() {
            let log = dir.join(LOG);
            let sentence = format!("the heartbeat daemon ended ({status}); see {}", log.display());
            return Err(Failure::new(Exit::System, sentence));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(Failure::new(Exit::System, "the heartbeat daemon does not answer"))
}

/// Starts this program as another one that outlives its parent and keeps none of its files.
pub fn spawn(words: &[String], log: &Path) -> std::io::Result<Child> {
    use std::os::unix::process::CommandExt;
    let log = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe"));
    Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clusterstack::config::Parameters;
    use crate::clusterstack::config::WatchdogMode;
    use crate::xhad::control::HostAddress;

    fn config() -> Config {
        let host = |n: u8| HostAddress {
            uuid: Uuid::from_u128(u128::from(n)),
            address: std::net::IpAddr::from([10, 0, 0, n]),
        };
        Config {
            generation: Uuid::from_u128(9),
            udp_port: 694,
            hosts: (1..=3).map(host).collect(),
            parameters: crate::clusterstack::text::Times::default().read().unwrap(),
            host: Uuid::from_u128(2),
            interface: "xenbr0".to_owned(),
            physical_interface: None,
            statefile: "/dev/x".into(),
            watchdog: WatchdogMode::None,
        }
    }

    #[test]
    fn every_host_reads_the_same_master_from_its_own_file() {
        let config = config();
        let file = tempfile::NamedTempFile::new().unwrap();
        let role = |text: &str| {
            std::fs::write(file.path(), text).unwrap();
            first_master(file.path(), &config)
        };
        assert_eq!(role("master\n"), Some(Uuid::from_u128(2)));
        assert_eq!(role("slave:10.0.0.3"), Some(Uuid::from_u128(3)));
        assert_eq!(role("slave:10.0.0.9"), None);
        assert_eq!(role("broken"), None);
        assert_eq!(first_master(Path::new("/nonexistent"), &config), None);
    }

    #[test]
    fn absent_times_have_the_peers_defaults() {
        let Parameters { heartbeat_timeout, boot_join, .. } = config().parameters;
        assert_eq!((heartbeat_timeout, boot_join), (30, 90));
    }
}
