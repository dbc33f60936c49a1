//! A host that is switched off cleanly, by [`crate::ha::leave`]: it leaves the view, disarms, then
//! goes down. One that does not go down joins again.
//!
//! The daemon kills the agent of a master that leaves (R6.2), so a process of its own does this:
//! `xe-agent --state-dir DIR leave poweroff|reboot`.

use super::Session;
use crate::agent::{Agent, config, power, starts};
use crate::ha::leave::{Facts, Refusal, Step, after_failure, steps};
use crate::heartbeat::liveset::Phase;
use crate::host::faults::Faults;
use crate::host::hypervisor::{self, Settings};
use crate::xhad::control::{Client, ControlError, RefusedKind};
use anyhow::{Context, bail};
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

/// The mark of a boot that is leaving: no VM may start in it any more.
fn mark(state_dir: &Path) -> std::path::PathBuf {
    state_dir.join("leaving.json")
}

/// Whether this host is being switched off in this boot.
pub fn is_leaving(agent: &Agent) -> bool {
    let read = |dir: &std::path::PathBuf| config::read::<String>(&mark(dir)).ok();
    agent.state_dir.as_ref().and_then(read).as_ref() == Some(&agent.boot)
}

/// Makes sure that no VM is here and none will be (R5.3c): the mark first, then the count.
fn assert_empty(state_dir: &Path) -> anyhow::Result<()> {
    let boot = crate::host::boot_id::current(&Faults::from_environment())?;
    config::write(&mark(state_dir), &boot)?;
    starts::wait_for_earlier(state_dir)?;
    let host = config::Config::load(state_dir)?;
    let settings = Settings::new(state_dir.join("vms"), boot);
    let left = hypervisor::open(host.hypervisor, settings)?.scan()?;
    if left.is_empty() {
        return Ok(());
    }
    bail!("{} VMs are still here; evacuate the host first", left.len())
}

/// Runs as that process.
pub fn run(state_dir: &Path, how: &str) -> anyhow::Result<()> {
    // The call that asked for this is still being answered.
    std::thread::sleep(Duration::from_millis(500));
    let client = Client::of_state_dir(state_dir).with_timeout(Duration::from_secs(120));
    let session = config::read::<Session>(&state_dir.join("ha.json")).ok();
    let liveset = client.liveset();
    let facts = Facts {
        armed: session.is_some_and(|session| session.armed),
        in_session: !liveset.as_ref().is_ok_and(|set| set.phase == Phase::Off),
        is_master: liveset.is_ok_and(|set| set.is_master),
    };
    for step in steps(facts) {
        let done = take(step, state_dir, &client, how);
        if let Err(error) = &done {
            let kind = error.downcast_ref::<ControlError>().and_then(ControlError::kind);
            if after_failure(step, kind == Some(RefusedKind::WrongState)) == Refusal::Ends {
                let _ = std::fs::remove_file(mark(state_dir));
            }
        }
        done?;
    }
    Ok(())
}

fn take(step: Step, state_dir: &Path, client: &Client, how: &str) -> anyhow::Result<()> {
    match step {
        Step::AssertEmpty => assert_empty(state_dir),
        Step::GiveUpMastership => {
            client.give_up_mastership(None).context("another host must be master first")
        }
        Step::SetExcluded => client.set_excluded().context("no view without this host was decided"),
        Step::StopDaemon => {
            for _ in 0..100 {
                if client.liveset().is_ok_and(|liveset| liveset.phase == Phase::Disarmed) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
            client.stop().context("the heartbeat daemon is still armed")
        }
        Step::SwitchOff => {
            power::switch_off(how).with_context(|| format!("the machine did not {how}"))
        }
    }
}
