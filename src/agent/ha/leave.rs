//! A host that is switched off cleanly (R9.4): it leaves the view, disarms, and only then goes down.
//!
//! The daemon kills the agent of a master that leaves (R6.2), so a process of its own does this:
//! `xe-agent --state-dir DIR leave poweroff|reboot`.

use super::Session;
use crate::agent::{Agent, config, power};
use crate::heartbeat::liveset::Phase;
use crate::xhad::control::Client;
use anyhow::Context;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Begins the process that takes this host out of the view and switches it off.
pub fn begin(agent: &Agent, reboot: bool) -> std::io::Result<()> {
    let dir = agent.state_dir.clone().unwrap_or_default();
    let mut child = Command::new(std::env::current_exe()?)
        .args(["xe-agent", "--state-dir"])
        .arg(&dir)
        .args(["leave", if reboot { "reboot" } else { "poweroff" }])
        .stdin(Stdio::null())
        .spawn()?;
    std::thread::spawn(move || child.wait());
    Ok(())
}

/// Runs as that process.
pub fn run(state_dir: &Path, how: &str) -> anyhow::Result<()> {
    // The call that asked for this is still being answered.
    std::thread::sleep(Duration::from_millis(500));
    let session = config::read::<Session>(&state_dir.join("ha.json")).ok();
    if session.is_some_and(|session| session.armed) {
        let client = Client::of_state_dir(state_dir).with_timeout(Duration::from_secs(120));
        if client.liveset().is_ok_and(|liveset| liveset.is_master) {
            client.give_up_mastership(None).context("another host must be master first")?;
        }
        client.set_excluded().context("no view without this host was decided")?;
        for _ in 0..100 {
            if client.liveset().is_ok_and(|liveset| liveset.phase == Phase::Disarmed) {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        client.stop().context("the heartbeat daemon is still armed")?;
    }
    power::switch_off(how).with_context(|| format!("the machine did not {how}"))
}
