//! The addresses of further links, from the networks that were named.
//!
//! A link carries beats over sockets of its own, so it must have an address of its own at every
//! host, of one family; which of the two is the network's choice, not that of the first link.

use crate::agent::interfaces;
use crate::agent::vm::uuid_of;
use crate::pool::Database;
use crate::pool::rows::Host;
use crate::xenapi::Failure;
use crate::xenapi::failure::Answer;
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
        let of_pif = interfaces::addresses(db, pif).into_iter();
        found.extend(of_pif.filter(|ip| !is_local(ip)).map(|ip| (host, ip)));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::in_process::of_two_hosts;
    use crate::xenapi::Value;

    /// A network on which the hosts have these addresses (IPv4, IPv6), in the order of their names.
    fn network(number: u128, addresses: [(&str, &[&str]); 2]) -> (Database, Uuid) {
        let (agent, uuid) = (of_two_hosts(), Uuid::from_u128(number));
        let db = agent.store.read();
        let mut hosts: Vec<_> = Host::all(&db).collect();
        hosts.sort_by_key(|host| host.name_label().to_owned());
        agent
            .store
            .commit(|tx| {
                tx.create("network", "OpaqueRef:n", [("uuid", Value::from(uuid.to_string()))]);
                for (host, (four, six)) in hosts.iter().zip(addresses) {
                    let fields = [
                        ("uuid", Value::from(Uuid::new_v4().to_string())),
                        ("network", Value::from("OpaqueRef:n")),
                        ("host", Value::from(host.reference)),
                        ("IP", Value::from(four)),
                        ("IPv6", Value::text_set(six.iter().copied())),
                    ];
                    tx.create("PIF", &crate::agent::new_reference(), fields);
                }
                Ok(())
            })
            .unwrap();
        (Database::clone(&agent.store.read()), uuid)
    }

    fn of(addresses: [(&str, &[&str]); 2]) -> Result<Vec<String>, String> {
        let (db, uuid) = network(9, addresses);
        match links(&db, &[uuid]) {
            Ok(links) => Ok(links[0].iter().map(|(_, address)| address.clone()).collect()),
            Err(failure) => {
                assert_eq!(failure.params[..2], ["ha-config:links", &uuid.to_string()]);
                Err(failure.params[2].clone())
            }
        }
    }

    #[test]
    fn a_link_takes_one_family_that_every_host_has() {
        let four = of([("192.0.2.1", &[]), ("192.0.2.2", &["2001:db8::2/64"])]);
        assert_eq!(four.unwrap(), ["192.0.2.1", "192.0.2.2"]);
        let six = of([("", &["fe80::1/64", "2001:db8::1/64"]), ("192.0.2.2", &["2001:db8::2/64"])]);
        assert_eq!(six.unwrap(), ["2001:db8::1", "2001:db8::2"]);
    }

    #[test]
    fn what_cannot_be_a_link_is_said_in_one_sentence() {
        let lacks = of([("192.0.2.1", &[]), ("", &["fe80::2/64"])]).unwrap_err();
        assert!(lacks.starts_with("bert has no address on that network"), "{lacks}");
        let mixed = of([("192.0.2.1", &[]), ("", &["2001:db8::2/64"])]).unwrap_err();
        assert!(mixed.contains("only an IPv6 one"), "{mixed}");
        let management = of([("10.0.0.1", &[]), ("10.0.0.2", &[])]).unwrap_err();
        assert!(management.contains("the management network is a link anyway"), "{management}");
        let (db, uuid) = network(9, [("192.0.2.1", &[]), ("192.0.2.2", &[])]);
        let unknown = links(&db, &[uuid, Uuid::from_u128(10)]).unwrap_err();
        assert!(unknown.params[2].contains("no such network"), "{unknown}");
    }
}
