//! The way from the power button to a running agent: keeper, first process, agent.

use std::io::{BufRead, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::machine::{Running, pid};
use super::netns;
use super::setting::Lab;
use crate::host::clock::boottime_ns;
use crate::host::faults::{self, FaultChannel};

/// The keeper's socket within the machine's directory.
pub const WATCHDOG_SOCKET: &str = "watchdog.sock";
/// The keeper's record.
pub const WATCHDOG_RECORD: &str = "watchdog.jsonl";
/// The script that the agent finds in `XE_POWER_COMMAND`.
pub const POWER: &str = "power";

/// Makes a process group with the machine's first process, then the watchdog, then gives power.
pub(super) fn power_on(
    lab: &Lab,
    name: &str,
    boot: &str,
    channel: &FaultChannel,
) -> anyhow::Result<Running> {
    let machine_dir = lab.machine_dir(name);
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(machine_dir.join("console.log"))
        .context("console.log")?;
    let program = std::env::current_exe()?;
    let mut first = match lab.setting.netns {
        true => netns::command(&program),
        false => Command::new(program),
    };
    first.args(["lab", "machine-init"]).arg(lab.state_dir(name));
    if lab.setting.netns {
        first.arg(lab.host(name)?.address.to_string());
    }
    let mut first = first
        .env(faults::VARIABLE, channel.number().to_string())
        .env("XE_LAB_BOOT_ID", boot)
        .env("XE_LAB_BOOTED_NS", boottime_ns().to_string())
        .env("XE_POWER_COMMAND", machine_dir.join(POWER))
        .current_dir(lab.state_dir(name))
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log.try_clone()?)
        .spawn()
        .context("the machine's first process")?;
    let group = i32::try_from(first.id())?;
    let mut power = first.stdin.take().context("no power line")?;
    let cable = if lab.setting.netns { netns::connect(lab, name, first.id()) } else { Ok(()) };
    let keeper = match cable.and_then(|()| start_keeper(&machine_dir, group, log)) {
        Ok(keeper) => keeper,
        Err(error) => {
            // Without power the first process ends by itself.
            drop(power);
            return Err(error);
        }
    };
    power.write_all(b"on\n")?;
    Ok(Running { group, keeper, _power: power })
}

fn start_keeper(machine_dir: &Path, group: i32, log: std::fs::File) -> anyhow::Result<i32> {
    let socket = machine_dir.join(WATCHDOG_SOCKET);
    let _not_there = std::fs::remove_file(&socket);
    let keeper = Command::new(std::env::current_exe()?)
        .args(["xhad", "watchdog-keeper", "--kill-group", &group.to_string()])
        .arg("--socket")
        .arg(&socket)
        .arg("--record")
        .arg(machine_dir.join(WATCHDOG_RECORD))
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .context("the watchdog's keeper")?;
    let keeper = i32::try_from(keeper.id())?;
    let began = Instant::now();
    while !socket.exists() {
        if began.elapsed() > Duration::from_secs(20) {
            if let Some(keeper) = pid(keeper) {
                let _ = rustix::process::kill_process(keeper, rustix::process::Signal::KILL);
            }
            anyhow::bail!("the watchdog's keeper does not come up");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(keeper)
}

/// Writes the power script of a machine.
pub fn write_power_script(machine_dir: &Path) -> anyhow::Result<()> {
    let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
    let text = format!(
        "#!/bin/sh\nexec {} lab machine-power {} \"$1\"\n",
        quoted(&std::env::current_exe()?),
        quoted(machine_dir)
    );
    let path = machine_dir.join(POWER);
    std::fs::write(&path, text)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700))?;
    Ok(())
}

/// The first process of a machine: starts the agent once the power is on, and ends everything
/// when the power goes. It restarts nothing. In namespaces of its own it has an address to set up.
pub fn init(state_dir: &Path, address: Option<&str>) -> ExitCode {
    let mut power = std::io::stdin().lock();
    let mut line = String::new();
    if power.read_line(&mut line).is_err() || line.is_empty() {
        return ExitCode::FAILURE;
    }
    if let Some(Err(error)) = address.map(netns::set_up_inside) {
        eprintln!("{} init: no network: {error:#}", boottime_ns());
    }
    let agent = Command::new("/proc/self/exe")
        .arg0("xe-agent")
        .arg("--state-dir")
        .arg(state_dir)
        .stdin(Stdio::null())
        .spawn();
    match agent {
        Ok(mut agent) => {
            std::thread::spawn(move || {
                let ended = agent.wait();
                eprintln!("{} init: the agent ended: {ended:?}", boottime_ns());
            });
        }
        Err(error) => eprintln!("{} init: the agent does not start: {error}", boottime_ns()),
    }
    while power.read_line(&mut line).is_ok_and(|length| length > 0) {}
    let _self_too = rustix::process::kill_current_process_group(rustix::process::Signal::KILL);
    ExitCode::SUCCESS
}
