//! From a start request to the node's configuration: everything is checked before anything is
//! opened.

use std::net::IpAddr;
use std::time::Duration;

use uuid::Uuid;

use super::control::{HostAddress, IsolationResponse, Refused, RefusedKind, StartConfig};
use super::session::refused;
use crate::heartbeat::auth::Key;
use crate::heartbeat::kept::Kept;
use crate::heartbeat::node::{Config, MOST_LINKS};
use crate::heartbeat::quorum::Acceptors;
use crate::heartbeat::timing::{Nanos, Timing};
use crate::heartbeat::view::{MOST_HOSTS, Slot};
use crate::host::faults::Faults;
use crate::host::system_word::system_word;
use crate::host::udp::{Link, Silence};
use crate::host::watchdog::{Watchdog, WatchdogError};

fn bad(sentence: impl ToString) -> Refused {
    refused(RefusedKind::BadRequest, sentence)
}

/// Every check of a configuration that needs neither a watchdog nor a socket; any values may stand
/// in it.
pub fn check(config: &StartConfig) -> Result<(), Refused> {
    let hosts = sorted_hosts(config)?;
    key(config)?;
    witness_key(config)?;
    node_config(config, &hosts, &Unarmed, None, None)?;
    Ok(())
}

/// Stands for a watchdog where none is needed.
struct Unarmed;

impl Watchdog for Unarmed {
    fn arm(&mut self, _remaining: Duration) -> Result<(), WatchdogError> {
        Err(WatchdogError::NoneConfigured)
    }

    fn set_remaining(&mut self, _remaining: Duration) -> Result<(), WatchdogError> {
        Err(WatchdogError::NoneConfigured)
    }

    fn read_back(&mut self) -> Result<Duration, WatchdogError> {
        Err(WatchdogError::NoneConfigured)
    }

    fn cut_to_minimum(&mut self) -> Result<Duration, WatchdogError> {
        Err(WatchdogError::NoneConfigured)
    }

    fn disarm(&mut self) -> Result<(), WatchdogError> {
        Err(WatchdogError::NoneConfigured)
    }

    fn step(&self) -> Duration {
        Duration::ZERO
    }

    fn trusted(&self) -> bool {
        false
    }

    fn reset_now(&mut self) {}
}

/// The hosts in the order of their slots, each once.
pub fn sorted_hosts(config: &StartConfig) -> Result<Vec<HostAddress>, Refused> {
    let mut hosts = config.hosts.clone();
    hosts.sort_by_key(|host| host.uuid);
    hosts.dedup_by_key(|host| host.uuid);
    if hosts.len() != config.hosts.len() {
        return Err(bad("a host is named twice"));
    }
    if hosts.len() > MOST_HOSTS {
        return Err(bad(format!("more than {MOST_HOSTS} hosts cannot share a statefile")));
    }
    let mut addresses: Vec<_> = hosts.iter().map(|host| host.address).collect();
    addresses.sort();
    addresses.dedup();
    if addresses.len() != hosts.len() {
        return Err(bad("two hosts have the same address"));
    }
    Ok(hosts)
}

/// The place of a host among them.
pub fn slot_of(hosts: &[HostAddress], uuid: Uuid) -> Option<Slot> {
    hosts.iter().position(|host| host.uuid == uuid).map(Slot::at)
}

/// The session's key.
pub fn key(config: &StartConfig) -> Result<Key, Refused> {
    Key::from_hex(&config.key_hex).map_err(bad)
}

/// The key of packets to and from the witness, where there is one.
pub fn witness_key(config: &StartConfig) -> Result<Option<Key>, Refused> {
    let key = || Key::from_hex(&config.witness_key_hex);
    let of_witness = |error| bad(format!("the witness's key: {error}"));
    config.witness.map(|_| key().map_err(of_witness)).transpose()
}

fn me(config: &StartConfig, hosts: &[HostAddress]) -> Result<Slot, Refused> {
    slot_of(hosts, config.host).ok_or_else(|| bad("this host is not in the list"))
}

/// What the node is told once.
pub fn node_config(
    config: &StartConfig,
    hosts: &[HostAddress],
    watchdog: &dyn Watchdog,
    kept: Option<Kept>,
    braked: Option<Nanos>,
) -> Result<Config, Refused> {
    let acceptors =
        Acceptors { statefiles: config.statefiles.len(), witness: config.witness.is_some() };
    if let Some(fault) = acceptors.fault() {
        return Err(bad(fault));
    }
    let stop_vms = config.isolation_response == IsolationResponse::StopVms;
    if stop_vms && config.stop_vms_command.is_empty() {
        return Err(bad("isolation-response=stop-vms needs a way to stop VMs"));
    }
    let step = watchdog.step().as_nanos() as u64;
    let timing = Timing::new(config.timeout_s, hosts.len(), config.disk_cycle_ns, step)
        .map_err(|error| refused(RefusedKind::Timing, error))?;
    Ok(Config {
        generation: config.generation,
        hosts: hosts.iter().map(|host| host.uuid).collect(),
        addresses: hosts.iter().map(|host| host.address).collect(),
        me: me(config, hosts)?,
        timing,
        timeout_s: config.timeout_s,
        acceptors,
        boot_id: Uuid::parse_str(&config.boot_id).map_err(|_| bad("the boot id is no UUID"))?,
        kept,
        braked: braked.filter(|_| !config.form),
        resident: config.resident,
        fresh: config.fresh && !config.resident,
        stop_vms,
        fence_device: config.fence_hook.is_some(),
        #[cfg(feature = "wrong-variants")]
        variant: None,
        form: config.form,
        first_master: config.first_master.and_then(|uuid| slot_of(hosts, uuid)),
        weight: config.weight,
        step,
        tombstone: watchdog.trusted(),
        starts_agent: !config.agent_command.is_empty(),
        agent_pid: config.agent_pid,
    })
}

/// T below which a daemon must have real-time priority and locked memory, in seconds.
const NEEDS_REAL_TIME: u32 = 10;

/// A short T on a busy machine resets hosts for nothing, unless the daemon is let through.
pub fn check_real_time(config: &StartConfig, lacks: &[String]) -> Result<(), Refused> {
    if lacks.is_empty() || config.timeout_s >= NEEDS_REAL_TIME || config.force_not_real_time {
        return Ok(());
    }
    let sentence = format!(
        "T={} is too short for a daemon that is not real-time ({}); take T={} or more",
        config.timeout_s,
        lacks.join("; "),
        NEEDS_REAL_TIME
    );
    Err(refused(RefusedKind::NotRealTime, sentence))
}

/// One socket for each link; the first also talks with the witness.
pub fn links(
    config: &StartConfig,
    hosts: &[HostAddress],
    faults: &Faults,
    timing: &Timing,
) -> Result<Vec<Link>, Refused> {
    let silence = Silence { after_ns: 2 * timing.beat + timing.beat / 2, gone_ns: timing.t };
    let own = &hosts[me(config, hosts)?.index()];
    if config.links.len() >= MOST_LINKS {
        return Err(bad(format!("at most {MOST_LINKS} links can be used")));
    }
    let first = hosts.to_vec();
    let mut links = Vec::new();
    for table in std::iter::once(&first).chain(&config.links) {
        let address = |uuid: Uuid| table.iter().find(|host| host.uuid == uuid).map(|h| h.address);
        // A host without an address on a further link does not use that link.
        let Some(here) = address(own.uuid) else { continue };
        let others = hosts.iter().filter(|host| host.uuid != own.uuid);
        let peers: Vec<IpAddr> = others.filter_map(|host| address(host.uuid)).collect();
        let witness = config.witness.filter(|_| links.is_empty());
        let link = Link::bind(here, &peers, config.udp_port, witness, faults.clone()).map_err(
            |error| refused(RefusedKind::Network, no_link(here, config.udp_port, &error)),
        )?;
        let number = u8::try_from(links.len()).unwrap_or(u8::MAX);
        links.push(link.with_silence(silence).numbered(number));
    }
    Ok(links)
}

/// Why a link cannot be opened, and where to look.
fn no_link(here: IpAddr, port: u16, error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!("UDP port {port} of {here} is in use by another program; see 'ss -lunp'")
        }
        std::io::ErrorKind::AddrNotAvailable => {
            format!(
                "this machine does not have the address {here}, by which the pool knows it; give \
                 it that address again, or switch HA off with 'xe pool-ha-disable' and then \
                 change it"
            )
        }
        _ => format!("UDP port {port} of {here} cannot be opened: {}", system_word(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_cannot_be_opened_says_where_to_look() {
        let here: IpAddr = [127, 0, 0, 1].into();
        let taken = std::net::UdpSocket::bind((here, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let why = |address: IpAddr, port| {
            let error = Link::bind(address, &[], port, None, Faults::none()).unwrap_err();
            no_link(address, port, &error)
        };
        assert!(why(here, port).contains("in use by another program"), "{}", why(here, port));
        let foreign = [192, 0, 2, 1].into();
        assert!(why(foreign, 0).starts_with("this machine does not have the address 192.0.2.1"));
    }

    #[test]
    fn a_witness_needs_its_key() {
        let with = |key: &str| {
            let witness = Some(([192, 0, 2, 1], 694).into());
            let witness_key_hex = key.to_owned();
            witness_key(&StartConfig { witness, witness_key_hex, ..StartConfig::default() })
        };
        assert!(with(&"5a".repeat(32)).is_ok_and(|key| key.is_some()));
        assert!(with("").unwrap_err().sentence.contains("the witness's key"));
        assert!(witness_key(&StartConfig::default()).is_ok_and(|key| key.is_none()));
    }

    #[test]
    fn a_short_t_needs_real_time_or_force() {
        let lacks = ["memory cannot be locked: no".to_owned()];
        let with = |timeout_s, force_not_real_time| {
            let config = StartConfig { timeout_s, force_not_real_time, ..StartConfig::default() };
            check_real_time(&config, &lacks)
        };
        let refusal = with(9, false).unwrap_err();
        assert_eq!(refusal.kind, RefusedKind::NotRealTime);
        assert!(refusal.sentence.contains("memory cannot be locked"), "{refusal}");
        assert!(with(9, true).is_ok() && with(10, false).is_ok());
        let short = StartConfig { timeout_s: 3, ..StartConfig::default() };
        assert!(check_real_time(&short, &[]).is_ok(), "real-time daemons may");
    }
}
