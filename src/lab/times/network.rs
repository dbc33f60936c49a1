//! The network between the measured daemons: cables and a switch in namespaces of their own, or
//! loopback addresses where those cannot be made.
//!
//! The switch is a bridge in the namespace of a process that waits for the end of its input, so
//! all of it vanishes with the measuring program.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::lab::addresses::{self, Block};

/// The blocks of loopback addresses that are looked through.
const BLOCKS: std::ops::RangeInclusive<u8> = 100..=119;
/// The first two numbers of the addresses within namespaces.
const NETWORK: (u8, u8) = (10, 214);
const SWITCH: &str = "xe-switch";

/// What joins the hosts.
#[derive(Debug)]
pub enum Network {
    /// A switch and a cable for each host.
    Namespaces(Switch),
    /// One block of loopback addresses.
    Loopback(Block),
}

/// The namespace of the bridge.
#[derive(Debug)]
pub struct Switch {
    holder: Child,
    pipe: Option<ChildStdin>,
    hosts: usize,
}

/// How many neighbours the kernel keeps at most, for all namespaces together; a place beyond it
/// loses the packets to whoever finds none.
const NEIGHBOURS: &str = "/proc/sys/net/ipv4/neigh/default/gc_thresh3";

/// Whether this user can make namespaces for so many hosts here, and why not.
pub fn namespaces_possible(hosts: usize) -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("only root may make network namespaces".to_owned());
    }
    for words in [&["unshare", "--net", "true"][..], &["nsenter", "-V"], &["ip", "-V"]] {
        let tried = Command::new(words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !tried.is_ok_and(|status| status.success()) {
            return Err(format!("'{}' does not work here", words.join(" ")));
        }
    }
    let most = std::fs::read_to_string(NEIGHBOURS).ok().and_then(|text| text.trim().parse().ok());
    let needed = hosts * hosts.saturating_sub(1);
    match most.filter(|most: &usize| needed >= *most) {
        Some(most) => Err(format!(
            "{hosts} hosts are {needed} neighbours, and the kernel keeps {most} ({NEIGHBOURS})"
        )),
        None => Ok(()),
    }
}

/// Runs lines of `ip` in the namespace of a process.
fn ip(pid: u32, lines: &str) -> anyhow::Result<()> {
    let mut child = Command::new("nsenter")
        .args(["-t", &pid.to_string(), "-n", "ip", "-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("nsenter")?;
    child.stdin.take().context("ip takes no lines")?.write_all(lines.as_bytes())?;
    let done = child.wait_with_output()?;
    if !done.status.success() {
        bail!("ip {lines}: {}", String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(())
}

/// Waits until a process that was started with `unshare` has its own network.
fn wait_for_namespace(pid: u32) -> anyhow::Result<()> {
    let own = std::fs::read_link("/proc/self/ns/net")?;
    let began = Instant::now();
    while std::fs::read_link(format!("/proc/{pid}/ns/net"))? == own {
        if began.elapsed() > Duration::from_secs(20) {
            bail!("the network namespace of process {pid} does not come up");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

impl Network {
    /// A network for so many hosts.
    pub fn new(hosts: usize, namespaces: bool) -> anyhow::Result<Self> {
        if !namespaces {
            return Ok(Network::Loopback(addresses::take(BLOCKS, hosts)?));
        }
        let mut holder = Command::new("unshare")
            .args(["--net", "--", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .context("unshare")?;
        let pipe = holder.stdin.take();
        let switch = Switch { holder, pipe, hosts };
        wait_for_namespace(switch.holder.id())?;
        ip(
            switch.holder.id(),
            &format!("link add name {SWITCH} type bridge\nlink set {SWITCH} up\n"),
        )?;
        Ok(Network::Namespaces(switch))
    }

    /// `namespaces` or `loopback`.
    pub fn word(&self) -> &'static str {
        match self {
            Network::Namespaces(_) => "namespaces",
            Network::Loopback(_) => "loopback",
        }
    }

    /// One address a host.
    pub fn addresses(&self) -> Vec<IpAddr> {
        match self {
            Network::Loopback(block) => block.addresses.clone(),
            Network::Namespaces(switch) => (0..switch.hosts).map(address).collect(),
        }
    }

    /// The command that starts our program as a host of this network.
    pub fn command(&self, program: &Path) -> Command {
        match self {
            Network::Loopback(_) => Command::new(program),
            Network::Namespaces(_) => {
                let mut command = Command::new("unshare");
                command.args(["--net", "--"]).arg(program);
                command
            }
        }
    }

    /// Lays the cable of a host, whose process was started with [`Network::command`].
    pub fn connect(&self, host: usize, pid: u32) -> anyhow::Result<()> {
        let Network::Namespaces(switch) = self else { return Ok(()) };
        wait_for_namespace(pid)?;
        let cable = format!(
            "link add cable{host} type veth peer name eth0 netns {pid}\n\
             link set cable{host} master {SWITCH} up\n"
        );
        ip(switch.holder.id(), &cable)?;
        let inside = format!("addr add {}/16 dev eth0\nlink set eth0 up\n", address(host));
        ip(pid, &inside)
    }

    /// Takes the carrier from a host's cable. False: this network has none to cut.
    pub fn cut(&self, host: usize) -> anyhow::Result<bool> {
        self.change(host, "down")
    }

    /// Pulls the cable out of the switch or plugs it in again. Unlike a link that goes up, it
    /// carries packets at once, so the disturbance is as long as it is meant to be.
    pub fn plug(&self, host: usize, plugged: bool) -> anyhow::Result<bool> {
        let to = if plugged { format!("master {SWITCH}") } else { "nomaster".to_owned() };
        self.change(host, &to)
    }

    fn change(&self, host: usize, to: &str) -> anyhow::Result<bool> {
        let Network::Namespaces(switch) = self else { return Ok(false) };
        ip(switch.holder.id(), &format!("link set cable{host} {to}\n"))?;
        Ok(true)
    }
}

fn address(host: usize) -> IpAddr {
    let [.., high, low] = (host + 2).to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(NETWORK.0, NETWORK.1, high, low))
}

impl Drop for Switch {
    fn drop(&mut self) {
        drop(self.pipe.take());
        let _status = self.holder.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loopback_network_lies_in_its_blocks_and_has_no_cable() {
        let network = Network::new(3, false).unwrap();
        let addresses = network.addresses();
        assert_eq!(addresses.len(), 3);
        for address in addresses {
            let IpAddr::V4(address) = address else { panic!("{address}") };
            assert!(address.is_loopback() && BLOCKS.contains(&address.octets()[2]));
        }
        assert!(!network.cut(0).unwrap() && !network.plug(0, true).unwrap());
        assert_eq!(network.word(), "loopback");
    }

    #[test]
    fn hosts_beyond_a_block_still_have_addresses_of_their_own() {
        assert_eq!(address(0), IpAddr::from([10, 214, 0, 2]));
        assert_eq!(address(300), IpAddr::from([10, 214, 1, 46]));
    }
}
