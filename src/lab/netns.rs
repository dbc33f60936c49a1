//! Machines as namespaces of their own (`--netns`): PIDs, network, and `/proc` to match.
//!
//! Each machine has one interface, which a bridge on this computer joins with the others. The
//! work is done by `unshare` and `ip`, which every Debian has.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::addresses::Block;
use super::setting::Lab;

/// The first two numbers of the addresses within the namespaces; the third is the block's.
const NETWORK: (u8, u8) = (10, 213);

/// Refuses when this user cannot make namespaces.
pub fn assert_possible() -> anyhow::Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("--netns makes network and PID namespaces, which only root may; leave it out");
    }
    for program in ["unshare", "ip"] {
        let found = Command::new(program).arg("-V").stdout(Stdio::null()).status();
        found.with_context(|| format!("--netns needs the program {program}"))?;
    }
    Ok(())
}

/// The addresses that the hosts take within their namespaces.
pub fn addresses(block: &Block) -> Vec<IpAddr> {
    let inside = |address: &IpAddr| match address {
        IpAddr::V4(outside) => {
            let [_, _, block, host] = outside.octets();
            IpAddr::V4(Ipv4Addr::new(NETWORK.0, NETWORK.1, block, host))
        }
        other => *other,
    };
    block.addresses.iter().map(inside).collect()
}

fn block(lab: &Lab) -> u8 {
    match lab.setting.hosts.first().map(|host| host.address) {
        Some(IpAddr::V4(address)) => address.octets()[2],
        _ => 0,
    }
}

fn bridge(lab: &Lab) -> String {
    format!("xelab{}", block(lab))
}

fn ip(words: &str) -> anyhow::Result<()> {
    let made = Command::new("ip").args(words.split_whitespace()).output().context("ip")?;
    if !made.status.success() {
        bail!("ip {words}: {}", String::from_utf8_lossy(&made.stderr).trim());
    }
    Ok(())
}

/// Makes the bridge that connects the namespaces.
pub fn prepare(lab: &Lab) -> anyhow::Result<()> {
    if !lab.setting.netns {
        return Ok(());
    }
    let (bridge, block) = (bridge(lab), block(lab));
    clean_up(lab);
    ip(&format!("link add {bridge} type bridge"))?;
    ip(&format!("addr add {}.{}.{block}.1/24 dev {bridge}", NETWORK.0, NETWORK.1))?;
    ip(&format!("link set {bridge} up"))
}

/// Takes away what connected the namespaces.
pub fn clean_up(lab: &Lab) {
    if lab.setting.netns {
        let _not_there = ip(&format!("link del {}", bridge(lab)));
    }
}

/// The command that runs our binary as the first process of fresh namespaces.
pub fn command(program: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--net", "--mount-proc", "--fork", "--"]).arg(program);
    command
}

/// Lays the cable of a machine whose outermost process is this one.
pub fn connect(lab: &Lab, host: &str, pid: u32) -> anyhow::Result<()> {
    let own = std::fs::read_link("/proc/self/ns/net")?;
    let began = Instant::now();
    while std::fs::read_link(format!("/proc/{pid}/ns/net")).is_ok_and(|theirs| theirs == own) {
        if began.elapsed() > Duration::from_secs(10) {
            bail!("the namespaces of {host} do not come up");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let cable = format!("xl{}-{host}", block(lab));
    // The end of the last boot's cable may not be gone yet.
    let _not_there = ip(&format!("link del {cable}"));
    ip(&format!("link add {cable} type veth peer name eth0 netns {pid}"))?;
    ip(&format!("link set {cable} master {} up", bridge(lab)))
}

/// Sets the interface up, from within the namespaces.
pub fn set_up_inside(address: &str) -> anyhow::Result<()> {
    ip("link set lo up")?;
    ip(&format!("addr add {address}/24 dev eth0"))?;
    ip("link set eth0 up")
}
