//! The heartbeat daemon as a process: configured, started, told that the agent is well.

use super::{Session, client, is_armed};
use crate::agent::Agent;
use crate::agent::identity::Identity;
use crate::host::system_word::system_word;
use crate::host::watchdog::WatchdogConfig;
use crate::xenapi::Failure;
use crate::xenapi::failure::Answer;
use crate::xhad::control::{FenceHook, HostAddress, IsolationResponse, StartConfig};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// How often the agent tells xhad that it is well.
const AGENT_LEASE: Duration = Duration::from_secs(1);

/// The watchdog that the host's settings name.
pub fn watchdog(agent: &Agent) -> WatchdogConfig {
    serde_json::from_value(agent.config.watchdog.clone()).unwrap_or(WatchdogConfig::None)
}

/// The daemon's configuration for a session.
pub fn start_config(agent: &Agent, session: &Session, form: bool) -> StartConfig {
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe"));
    let mut agent_command = vec![program.display().to_string(), "xe-agent".to_owned()];
    if let Some(dir) = &agent.state_dir {
        agent_command.extend(["--state-dir".to_owned(), dir.display().to_string()]);
    }
    let mut stop_vms_command = agent_command.clone();
    stop_vms_command.push("stop-vms".to_owned());
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
        links: session.links.iter().map(|link| link.iter().filter_map(address).collect()).collect(),
        statefiles: session.statefile_paths(),
        witness: session.witness,
        witness_key_hex: agent.identity.as_ref().map(Identity::witness_key).unwrap_or_default(),
        fence_hook: session
            .settings
            .fence_hook
            .clone()
            .map(|(program, limit_s)| FenceHook { program, limit_s }),
        isolation_response: match session.settings.stop_vms {
            true => IsolationResponse::StopVms,
            false => IsolationResponse::Fence,
        },
        stop_vms_command,
        disk_cycle_ns: session.disk_cycle,
        // The lab's watchdog ends processes, not machines: there a short T may be too short.
        force_not_real_time: session.settings.not_real_time
            || matches!(watchdog(agent), WatchdogConfig::Exec { .. }),
        watchdog: watchdog(agent),
        first_master: Some(session.first_master),
        form,
        agent_command,
        agent_pid: Some(std::process::id()),
        ..StartConfig::default()
    }
}

/// Starts the daemon unless it runs. It is no part of this agent: it must outlive it.
pub fn ensure(agent: &Agent) -> Answer<()> {
    let client = client(agent)?.with_timeout(Duration::from_secs(2));
    if client.liveset().is_ok() {
        return Ok(());
    }
    let dir = agent.state_dir.clone().unwrap_or_default();
    spawn_daemon(&dir).map_err(|error| {
        Failure::new("HA_HEARTBEAT_DAEMON_STARTUP_FAILED", [system_word(&error)])
    })?;
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

/// Tells the daemon every second that this agent is well. Runs on a thread of its own.
pub fn keep_agent_lease(agent: &Arc<Agent>) {
    loop {
        std::thread::sleep(AGENT_LEASE);
        if is_armed(agent)
            && let Ok(client) = client(agent)
        {
            let _ = client.with_timeout(AGENT_LEASE).agent_lease(std::process::id());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::in_process::of_two_hosts;

    fn config(settings: serde_json::Value) -> StartConfig {
        let nil = Uuid::nil();
        let session = serde_json::json!({
            "generation": nil, "key_hex": "", "timeout_s": 5, "hosts": [], "statefiles": [],
            "metadata": [], "epoch_base": 0, "first_master": nil,
            "settings": settings,
        });
        start_config(&of_two_hosts(), &serde_json::from_value(session).unwrap(), true)
    }

    #[test]
    fn a_daemon_that_is_not_real_time_is_let_through_by_the_setting_alone() {
        assert!(!config(serde_json::json!({})).force_not_real_time);
        assert!(config(serde_json::json!({ "not_real_time": true })).force_not_real_time);
    }
}
