//! `lab up` and `lab down`.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

use super::addresses::{self, PORTS};
use super::door::{self, Ask, Leash};
use super::events::Events;
use super::fleet::Fleet;
use super::setting::{self, Lab, LabHost, Setting};
use super::{api, found, netns};
use crate::host::clock::boottime_ns;
use crate::host::hypervisor::Kind;

/// What a person wants of a lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Where.
    pub dir: PathBuf,
    /// How many hosts.
    pub hosts: usize,
    /// T in seconds.
    pub timeout: u32,
    /// What runs the VMs.
    pub hypervisor: Kind,
    /// How many VMs.
    pub vms: usize,
    /// Which VMs.
    pub fleet: Fleet,
    /// A namespace for each machine.
    pub netns: bool,
    /// Whether HA is switched on.
    pub ha: bool,
}

/// A lab whose machines end with this process, unless they are let go.
#[derive(Debug)]
pub struct Held {
    /// The lab.
    pub lab: Lab,
    leashes: Vec<Leash>,
}

impl Held {
    /// Lets the machines live on.
    pub fn let_go(self) -> Lab {
        self.leashes.into_iter().for_each(Leash::let_go);
        self.lab
    }
}

/// Makes a lab. What was made is taken down again when a step fails.
pub fn up(wish: &Wish, say: &dyn Fn(&str)) -> anyhow::Result<Held> {
    if wish.hosts == 0 || wish.hosts > 64 {
        bail!("a lab has 1 to 64 hosts");
    }
    if wish.netns {
        netns::assert_possible()?;
    }
    let (dir, lock) = setting::claim(&wish.dir)?;
    setting::sweep(&dir)?;
    assert_direct_io(&dir)?;
    let block = addresses::take(addresses::ALL, wish.hosts)?;
    let addresses = match wish.netns {
        true => netns::addresses(&block),
        false => block.addresses.clone(),
    };
    let hosts = addresses.iter().enumerate().map(|(number, address)| LabHost {
        name: format!("h{}", number + 1),
        address: *address,
        uuid: uuid::Uuid::nil(),
    });
    let mut lab = Lab {
        setting: Setting {
            hosts: hosts.collect(),
            https_port: PORTS.0,
            http_port: PORTS.1,
            udp_port: PORTS.2,
            timeout: wish.timeout,
            hypervisor: wish.hypervisor,
            vms: wish.vms,
            netns: wish.netns,
            ha: wish.ha,
        },
        dir,
    };
    let mut leashes = Vec::new();
    let locks = (lock.into(), block.held.into());
    if let Err(error) = make(&mut lab, wish.fleet, &locks, &mut leashes, say) {
        let words: Vec<_> = lab
            .setting
            .hosts
            .iter()
            .map(|host| found::last_words(&lab.machine_dir(&host.name)))
            .filter(|words| !words.is_empty())
            .collect();
        end_machines(&lab);
        return Err(match words.is_empty() {
            true => error,
            false => error.context(format!("the consoles end with:\n{}", words.join("\n"))),
        });
    }
    Ok(Held { lab, leashes })
}

/// The lab's lock and its block of addresses.
type Locks = (OwnedFd, OwnedFd);

fn make(
    lab: &mut Lab,
    fleet: Fleet,
    locks: &Locks,
    leashes: &mut Vec<Leash>,
    say: &dyn Fn(&str),
) -> anyhow::Result<()> {
    found::make_password(lab)?;
    for number in 0..lab.setting.hosts.len() {
        let host = lab.setting.hosts[number].clone();
        lab.setting.hosts[number].uuid = found::init_host(lab, &host)?;
    }
    lab.save()?;
    let events = Events::of(&lab.dir);
    events.note(boottime_ns(), "lab-up", "", "xe lab up", serde_json::json!({}));
    netns::prepare(lab)?;
    for host in &lab.setting.hosts {
        say(&format!("{} boots at {}", host.name, host.address));
        leashes.push(start_machine(lab, host, locks)?);
    }
    found::join(lab, say)?;
    let sr = found::make_sr(lab)?;
    if lab.setting.vms > 0 {
        found::make_vms(lab, fleet, say)?;
    }
    if lab.setting.ha {
        say(&format!("HA is switched on with T = {} s", lab.setting.timeout));
        found::enable_ha(lab, &sr)?;
    }
    events.note(boottime_ns(), "lab-ready", "", "the pool is complete", serde_json::json!({}));
    Ok(())
}

/// Starts the process outside of a machine and presses the power button. It holds the lab's lock
/// and the block of addresses for as long as it lives.
fn start_machine(lab: &Lab, host: &LabHost, locks: &Locks) -> anyhow::Result<Leash> {
    let machine_dir = lab.machine_dir(&host.name);
    let log = std::fs::File::create(machine_dir.join("machine.log"))?;
    Command::new(std::env::current_exe()?)
        .args(["lab", "machine"])
        .arg(&lab.dir)
        .arg(&host.name)
        .stdin(locks.0.try_clone()?)
        .stdout(locks.1.try_clone()?)
        .stderr(log)
        .spawn()
        .context("a machine")?;
    let on = || door::ask(&machine_dir, &Ask::Look).map(Some);
    api::until(&format!("the machine of {}", host.name), Duration::from_secs(20), on)?;
    let leash = Leash::take(&machine_dir)?;
    door::ask(&machine_dir, &Ask::PowerOn)?;
    Ok(leash)
}

/// Guests prove their lives past the page cache; a file system without that is of no use.
fn assert_direct_io(dir: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let path = dir.join("direct-io");
    std::fs::write(&path, [0; 4096])?;
    let mut options = std::fs::OpenOptions::new();
    let direct = rustix::fs::OFlags::DIRECT.bits().cast_signed();
    let opened = options.read(true).custom_flags(direct).open(&path);
    std::fs::remove_file(&path)?;
    opened.map(drop).with_context(|| {
        format!("{} lies on a file system without direct I/O; choose another --dir", dir.display())
    })
}

/// Ends every machine of a lab, whatever state it is in.
pub fn end_machines(lab: &Lab) {
    for host in &lab.setting.hosts {
        let _ends_or_is_gone = door::ask(&lab.machine_dir(&host.name), &Ask::End);
    }
    netns::clean_up(lab);
}

/// Takes a lab down; the histories stay until the next one comes up in the same directory.
pub fn down(dir: &Path) -> anyhow::Result<()> {
    let lab = Lab::find(dir)?;
    end_machines(&lab);
    Events::of(&lab.dir).note(boottime_ns(), "lab-down", "", "xe lab down", serde_json::json!({}));
    api::until("the end of every machine", Duration::from_secs(20), || {
        let free = setting::claim(&lab.dir)?;
        drop(free);
        Ok(Some(()))
    })?;
    std::fs::rename(lab.dir.join("lab.json"), lab.dir.join("lab-was.json"))?;
    Ok(())
}

/// Leaves a process behind that watches the canaries for `lab timeline`.
pub fn leave_monitor(lab: &Lab) -> anyhow::Result<()> {
    Command::new(std::env::current_exe()?)
        .args(["lab", "monitor"])
        .arg(&lab.dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("the monitor")?;
    Ok(())
}
