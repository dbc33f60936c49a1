//! Switching the machine off.

use super::Agent;
use std::process::Command;

/// Switches this machine off, or reboots it. In the lab the lab's machine does it.
pub fn switch_off(agent: &Agent, reboot: bool) {
    agent.history.note(
        if reboot { "host-reboot" } else { "host-shutdown" },
        "asked for by the master",
        serde_json::json!({}),
    );
    let custom = std::env::var("XE_POWER_COMMAND").ok();
    let word = if reboot { "reboot" } else { "poweroff" };
    let outcome = match custom {
        Some(program) => Command::new(program).arg(word).spawn(),
        None => Command::new("systemctl").arg(word).spawn(),
    };
    if let Err(error) = outcome {
        agent.history.note("host-power-failed", &error.to_string(), serde_json::json!({}));
    }
}
