//! The toolstack's configuration of the heartbeat, `xhad.conf`: read whole, every field checked.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::exit::{Exit, Failure};
use super::text::{self, File, Number};
use crate::host::system_word::system_word;
use crate::host::watchdog::WatchdogConfig;
use crate::xhad::control::HostAddress;

/// Most bytes of the file; with 64 hosts it has about ten thousand.
const LARGEST: u64 = 256 * 1024;
/// Most hosts that the peer's file can name.
const MOST_HOSTS: usize = 64;

/// What resets a host, in the words of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchdogMode {
    /// The hypervisor's watchdog.
    Hypervisor,
    /// One of the operating system.
    User,
    /// None, which is refused when a session starts.
    None,
}

impl WatchdogMode {
    /// The watchdog that stands for it: the kernel's device, which on a Xen host is the
    /// hypervisor's.
    pub fn watchdog(self) -> WatchdogConfig {
        let device = |allow_software| WatchdogConfig::Linux {
            device: "/dev/watchdog".into(),
            allow_software,
        };
        match self {
            WatchdogMode::Hypervisor => device(false),
            WatchdogMode::User => device(true),
            WatchdogMode::None => WatchdogConfig::None,
        }
    }
}

/// The times of the file in seconds. An absent one has the peer's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameters {
    /// Between two heartbeats; this heartbeat derives its own.
    pub heartbeat_interval: u32,
    /// Without heartbeats for so long a host is lost.
    pub heartbeat_timeout: u32,
    /// Between two accesses of the statefile; this heartbeat derives its own.
    pub statefile_interval: u32,
    /// Without access to the statefile for so long a host is lost.
    pub statefile_timeout: u32,
    /// The heartbeat's watchdog; here the lease takes its place.
    pub heartbeat_watchdog: u32,
    /// The statefile's watchdog; here the lease takes its place.
    pub statefile_watchdog: u32,
    /// A booting host joins within this time.
    pub boot_join: u32,
    /// All hosts join within this time when HA is switched on.
    pub enable_join: u32,
    /// Between two health checks of the toolstack.
    pub health_interval: u32,
    /// A health check takes no longer.
    pub health_timeout: u32,
    /// How often the peer restarts the toolstack in a day; here a back-off takes its place.
    pub restart_attempts: u32,
    /// A restart of the toolstack takes no longer.
    pub restart_timeout: u32,
}

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The HA session, made anew at each enable.
    pub generation: Uuid,
    /// The heartbeat's port at every host.
    pub udp_port: u16,
    /// All hosts, by UUID.
    pub hosts: Vec<HostAddress>,
    /// The times.
    pub parameters: Parameters,
    /// This host.
    pub host: Uuid,
    /// The interface that carries the heartbeat; the address decides here.
    pub interface: String,
    /// The device behind it, whose bond is looked at.
    pub physical_interface: Option<String>,
    /// The statefile.
    pub statefile: PathBuf,
    /// What resets this host.
    pub watchdog: WatchdogMode,
}

fn bad(sentence: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::ConfigInvalid, sentence)
}

impl Config {
    /// Reads the file at `path`. Failures name the path: 6 when it cannot be read, 7 when it
    /// makes no sense.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let name = path.display();
        let unreadable = |error: std::io::Error| {
            Failure::new(Exit::ConfigUnreadable, format!("{name}: {}", system_word(&error)))
        };
        let length = std::fs::metadata(path).map_err(unreadable)?.len();
        if length > LARGEST {
            return Err(bad(format!("{name}: {length} bytes are no heartbeat configuration")));
        }
        let text = std::fs::read(path).map_err(unreadable)?;
        let text = String::from_utf8(text).map_err(|_| bad(format!("{name}: not UTF-8")))?;
        Config::parse(&text).map_err(|failure| bad(format!("{name}: {failure}")))
    }

    /// Reads the text of the file.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let file = File::parse(text).map_err(bad)?;
        match text::leaf(&file.version) {
            Some("1.0") => {}
            Some(other) => return Err(bad(format!("version {other} is unknown, 1.0 is read"))),
            None => return Err(bad("xhad-config has no version")),
        }
        let common = file.common.ok_or_else(|| bad("common-config is missing"))?;
        let local = file.local.and_then(|local| local.localhost);
        let local = local.ok_or_else(|| bad("local-config with localhost is missing"))?;
        let mut hosts = common.hosts.iter().map(host).collect::<Result<Vec<_>, _>>()?;
        hosts.sort_by_key(|host| host.uuid);
        check_hosts(&hosts)?;
        let me = uuid("the HostID of localhost", &local.host)?;
        if !hosts.iter().any(|host| host.uuid == me) {
            return Err(bad(format!("this host, {me}, is not in the list of hosts")));
        }
        let statefile = PathBuf::from(required("StateFile", &local.statefile)?);
        if !statefile.is_absolute() {
            return Err(bad(format!("StateFile {} is no absolute path", statefile.display())));
        }
        let port = Number { name: "UDPport", text: &common.udp_port, least: 1, most: 65_535 };
        let port = port.read(None).map_err(bad)?;
        Ok(Config {
            generation: uuid("GenerationUUID", &common.generation)?,
            udp_port: u16::try_from(port).map_err(bad)?,
            hosts,
            parameters: common.parameters.unwrap_or_default().read().map_err(bad)?,
            host: me,
            interface: interface("HeartbeatInterface", &local.interface)?
                .ok_or_else(|| bad("HeartbeatInterface is missing"))?,
            physical_interface: interface("HeartbeatPhysicalInterface", &local.physical)?,
            statefile,
            watchdog: watchdog_mode(&local.watchdog)?,
        })
    }

    /// T: the smaller of the two time-outs, in seconds.
    pub fn timeout_s(&self) -> u32 {
        self.parameters.heartbeat_timeout.min(self.parameters.statefile_timeout)
    }
}

fn required<'a>(name: &str, text: &'a Option<String>) -> Result<&'a str, Failure> {
    text::leaf(text).ok_or_else(|| bad(format!("{name} is missing")))
}

fn uuid(name: &str, text: &Option<String>) -> Result<Uuid, Failure> {
    let text = required(name, text)?;
    Uuid::parse_str(text).map_err(|_| bad(format!("{name} {text} is no UUID")))
}

fn host(entry: &text::Host) -> Result<HostAddress, Failure> {
    let uuid = uuid("the HostID of a host", &entry.host)?;
    let address = required("the IPaddress of a host", &entry.address)?;
    let address: IpAddr = address
        .parse()
        .map_err(|_| bad(format!("the IPaddress {address} of host {uuid} is not numeric")))?;
    if address.is_unspecified() || address.is_multicast() {
        return Err(bad(format!("the IPaddress {address} of host {uuid} is no host's address")));
    }
    Ok(HostAddress { uuid, address })
}

fn check_hosts(hosts: &[HostAddress]) -> Result<(), Failure> {
    let Some(first) = hosts.first() else { return Err(bad("no host is named")) };
    if hosts.len() > MOST_HOSTS {
        return Err(bad(format!("{} hosts are named, {MOST_HOSTS} are the most", hosts.len())));
    }
    if let Some(pair) = hosts.windows(2).find(|pair| pair[0].uuid == pair[1].uuid) {
        return Err(bad(format!("host {} is named twice", pair[0].uuid)));
    }
    let mut addresses: Vec<IpAddr> = hosts.iter().map(|host| host.address).collect();
    addresses.sort();
    if let Some(pair) = addresses.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(bad(format!("two hosts have the IPaddress {}", pair[0])));
    }
    let other = hosts.iter().find(|host| host.address.is_ipv4() != first.address.is_ipv4());
    match other {
        Some(host) => Err(bad(format!(
            "the addresses {} and {} are of different kinds",
            first.address, host.address
        ))),
        None => Ok(()),
    }
}

fn interface(name: &str, text: &Option<String>) -> Result<Option<String>, Failure> {
    let Some(text) = text::leaf(text) else { return Ok(None) };
    // The name becomes a part of a path.
    if text.len() > 64 || text.starts_with('.') || text.contains(['/', '\0']) {
        return Err(bad(format!("{name} {text} is no interface's name")));
    }
    Ok(Some(text.to_owned()))
}

fn watchdog_mode(text: &Option<String>) -> Result<WatchdogMode, Failure> {
    match text::leaf(text).map(str::to_uppercase).as_deref() {
        None | Some("HYPERVISOR") => Ok(WatchdogMode::Hypervisor),
        Some("USER") => Ok(WatchdogMode::User),
        Some("NONE") => Ok(WatchdogMode::None),
        Some(other) => {
            Err(bad(format!("WatchdogMode {other} is neither HYPERVISOR nor USER nor NONE")))
        }
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
