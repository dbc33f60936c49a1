//! The addresses of further links, from the networks that were named.
//!
//! A link carries beats over sockets of its own, so it must have an address of its own at every
//! host, of one family; which of the two is the network's choice, not that of the first link.

use crate::agent::vm::uuid_of;
use crate::pool::Database;
use crate::pool::rows::Host;
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, Value};
use std::collections::BTreeMap;
use std::net::IpAddr;
use uuid::Uuid;

/// A link: every host with its address there.
pub type Link = Vec<(Uuid, String)>;

/// The address of every host on each of these networks, and why one cannot be a link.
pub fn links(db: &Database, networks: &[Uuid]) -> Answer<Vec<Link>> {
    let mut hosts: BTreeMap<Uuid, IpAddr> = BTreeMap::new();
    for host in Host::all(db) {
        if let Ok(address) = host.address().parse() {
            hosts.insert(uuid_of(db, "host", host.reference)?, address);
        }
    }
    let mut taken: Vec<IpAddr> = hosts.values().copied().collect();
    let mut links = Vec::new();
    for network in networks {
        let refused = |why: String| {
            let words = ["ha-config:links".to_owned(), network.to_string(), why];
            Failure::new("INVALID_VALUE", words)
        };
        let Some(row) = db.by_uuid("network", &network.to_string()) else {
            return Err(refused("there is no such network; see 'xe network-list'".to_owned()));
        };
        let found = addresses(db, row);
        let of = |six: bool| -> Option<BTreeMap<Uuid, IpAddr>> {
            let one = |host: &Uuid| {
                let address = found.iter().find(|(own, ip)| own == host && ip.is_ipv6() == six);
                address.map(|(_, ip)| (*host, *ip))
            };
            hosts.keys().map(one).collect()
        };
        let Some(link) = of(false).or_else(|| of(true)) else {
            return Err(refused(missing(db, &hosts, &found)));
        };
        if link.values().any(|address| taken.contains(address)) {
            let why = "beats already go over these addresses: the management network is a link \
                       anyway, and a further one needs a network of its own";
            return Err(refused(why.to_owned()));
        }
        taken.extend(link.values());
        links.push(link.iter().map(|(host, address)| (*host, address.to_string())).collect());
    }
    Ok(links)
}

/// Every address on a network that packets of other hosts can reach.
fn addresses(db: &Database, network: &str) -> Vec<(Uuid, IpAddr)> {
    let mut found = Vec::new();
    for pif in db.table("PIF").keys().filter(|pif| db.text("PIF", pif, "network") == network) {
        let Ok(host) = uuid_of(db, "host", db.text("PIF", pif, "host")) else { continue };
        let six = db.get("PIF", pif, "IPv6").and_then(Value::as_array).unwrap_or_default();
        let words = six.iter().filter_map(Value::as_str).chain([db.text("PIF", pif, "IP")]);
        // Addresses of the newer protocol stand there with the length of their prefix.
        let parsed = words.filter_map(|word| word.split('/').next()?.parse::<IpAddr>().ok());
        found.extend(parsed.filter(|ip| !is_local(ip)).map(|ip| (host, ip)));
    }
    found
}

/// Whether an address means something else on each wire.
fn is_local(address: &IpAddr) -> bool {
    matches!(address, IpAddr::V6(six) if six.is_unicast_link_local())
}

/// Which host lacks an address, in words.
fn missing(db: &Database, hosts: &BTreeMap<Uuid, IpAddr>, found: &[(Uuid, IpAddr)]) -> String {
    let has = |host: &Uuid| found.iter().any(|(own, _)| own == host);
    let name = |host: &Uuid| {
        let row = db.by_uuid("host", &host.to_string()).unwrap_or_default();
        db.text("host", row, "name_label").to_owned()
    };
    let lack: Vec<String> = hosts.keys().filter(|host| !has(host)).map(name).collect();
    if lack.is_empty() {
        return "some hosts have only an IPv4 address on that network and others only an IPv6 one"
            .to_owned();
    }
    format!(
        "{} has no address on that network; give one with 'xe pif-reconfigure-ip'",
        lack.join(", ")
    )
}
