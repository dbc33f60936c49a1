//! Interfaces and addresses of hosts: recorded as the hosts have them, never configured.
//!
//! Heartbeat links are made of these records, and two hosts on one address, or an address that no
//! host has, is a link that is none. So the host itself is asked before anything is written. A
//! saved database has no host to ask: there the records become what was said.

use super::jobs::{self, Done, Job};
use super::vm::master_epoch;
use super::{Agent, ha};
use crate::host::interface::{Interface, find, has_address};
use crate::pool::Database;
use crate::pool::rows::Pif;
use crate::xenapi::Failure;
use crate::xenapi::failure::Answer;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A look at a host's own network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Look {
    /// Is there an interface of this name?
    Interface(String),
    /// Does this host have this address?
    Address(IpAddr),
}

/// Looks on this host.
pub fn look(agent: &Agent, look: &Look) -> Done {
    let asked = agent.state_dir.is_some();
    Done::Interface(match look {
        Look::Interface(device) if asked => find(device),
        Look::Address(address) if asked && !has_address(*address) => None,
        _ => Some(Interface { mac: String::new(), mtu: 1500 }),
    })
}

fn ask(agent: &Agent, host: &str, look: Look) -> Answer<Option<Interface>> {
    match jobs::on_host(agent, host, master_epoch(agent)?, &Job::Network(look))? {
        Done::Interface(found) => Ok(found),
        other => Err(Failure::internal(format!("the host answered {other:?}"))),
    }
}

/// The interface of a host, or why it cannot be introduced.
pub fn interface(agent: &Agent, host: &str, device: &str) -> Answer<Interface> {
    let db = agent.store.read();
    let why = || {
        let name = db.text("host", host, "name_label");
        let why = format!("{name} has no interface of this name; 'ip link' there lists them");
        Failure::new("INVALID_VALUE", ["device", device, &why])
    };
    ask(agent, host, Look::Interface(device.to_owned()))?.ok_or_else(why)
}

/// Refuses an address that the interface's host does not have, or that is another one's.
pub fn assert_own(agent: &Agent, pif: &str, field: &str, address: IpAddr) -> Answer<()> {
    let db = agent.store.read();
    let Some(host) = db.target("PIF", pif, "host") else {
        return Err(Failure::new("HANDLE_INVALID", ["host", ""]));
    };
    assert_alone(&db, pif, field, address)?;
    if ask(agent, host, Look::Address(address))?.is_some() {
        return Ok(());
    }
    let (name, device) = (db.text("host", host, "name_label"), db.text("PIF", pif, "device"));
    let why = format!(
        "{name} does not have this address, and xe records only what is there; first give it to \
         the interface, as with 'ip address add {address}/LENGTH dev {device}' on that host"
    );
    Err(Failure::new("INVALID_VALUE", [field, &address.to_string(), &why]))
}

/// Refuses an address that another interface or another host has by its record.
pub fn assert_alone(db: &Database, pif: &str, field: &str, address: IpAddr) -> Answer<()> {
    let own = db.target("PIF", pif, "host");
    let hosts = db.table("host").keys().filter(|host| own != Some(host));
    let of_host = |host: &&String| db.text("host", host, "address").parse() == Ok(address);
    let others = Pif::all(db).filter(|other| other.reference != pif);
    let mut of_interface = others.filter(|other| addresses(db, other.reference).contains(&address));
    let taken = hosts.filter(of_host).map(String::as_str).next();
    let taken = taken.or_else(|| of_interface.next().map(|pif| pif.host().unwrap_or("")));
    match taken.map(|host| db.text("host", host, "name_label")) {
        None => Ok(()),
        Some(name) => {
            let why = format!("an interface of {name} has this address; see 'xe pif-list'");
            Err(Failure::new("INVALID_VALUE", [field, &address.to_string(), &why]))
        }
    }
}

/// Refuses while HA has a link over an address of this interface: HA would not come back after a
/// pause, or come back with another link than the one that is known to work.
pub fn assert_no_link(agent: &Agent, db: &Database, pif: &str) -> Answer<()> {
    let own = addresses(db, pif);
    let used = |(_, address): &(_, String)| address.parse().is_ok_and(|ip| own.contains(&ip));
    match ha::session(agent) {
        Some(session) if session.links.iter().flatten().any(used) => {
            Err(Failure::bare("HA_IS_ENABLED"))
        }
        _ => Ok(()),
    }
}

/// The addresses that are recorded of an interface, of both protocols.
pub fn addresses(db: &Database, pif: &str) -> Vec<IpAddr> {
    let words = db.set_of("PIF", pif, "IPv6").into_iter().chain([db.text("PIF", pif, "IP")]);
    // Those of the newer protocol stand there with the length of their prefix.
    words.filter_map(|word| word.split('/').next()?.parse().ok()).collect()
}
