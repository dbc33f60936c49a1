//! PIF: the interfaces of hosts.

use super::Methods;
use crate::agent::dispatch::Call;
use crate::agent::{guard, interfaces, new_reference, new_uuid};
use crate::pool::rows::Pif;
use crate::pool::{Database, Transaction};
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, Value};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) const METHODS: Methods = &[
    ("introduce", introduce),
    ("reconfigure_ip", reconfigure_ip),
    ("reconfigure_ipv6", reconfigure_ipv6),
    ("forget", forget),
    ("db_forget", forget),
    ("plug", plug),
    ("unplug", unplug),
    ("scan", |_| Ok(Value::void())),
];

fn introduce(call: &Call<'_>) -> Answer {
    let (host, mac, device) = (call.text(0), call.text(1), call.text(2));
    let managed = call.given < 4 || call.flag(3);
    call.agent.store.read().require("host", host)?;
    let found = interfaces::interface(call.agent, host, device)?;
    if !mac.is_empty() && !mac.eq_ignore_ascii_case(&found.mac) {
        return Err(Failure::new("MAC_DOES_NOT_EXIST", [mac]));
    }
    let reference = new_reference();
    call.agent.store.commit(|tx| {
        tx.row("host", host)?;
        let same = |pif: &&str| tx.db().text("PIF", pif, "device") == device;
        if tx.db().set_of("host", host, "PIFs").iter().any(same) {
            return Err(Failure::new("DUPLICATE_PIF_DEVICE_NAME", [device]));
        }
        let network = network_of(tx, device, found.mtu);
        let fields = [
            ("uuid", Value::from(new_uuid())),
            ("device", Value::from(device)),
            ("host", Value::from(host)),
            ("network", Value::from(network)),
            ("MAC", Value::from(found.mac.as_str())),
            ("MTU", Value::Int(found.mtu)),
            ("VLAN", Value::Int(-1)),
            ("physical", Value::Bool(true)),
            ("currently_attached", Value::Bool(false)),
            ("managed", Value::Bool(managed)),
        ];
        tx.create("PIF", &reference, fields);
        Ok(Value::from(reference.as_str()))
    })
}

/// Interfaces of one name are on one network, whichever host they belong to.
fn network_of(tx: &mut Transaction, device: &str, mtu: i64) -> String {
    let bridge = match device.strip_prefix("eth") {
        Some(number) => format!("xenbr{number}"),
        None => format!("br{device}"),
    };
    let db = tx.db();
    let named = |network: &&String| db.text("network", network, "bridge") == bridge;
    if let Some(network) = db.table("network").keys().find(named) {
        return network.clone();
    }
    let network = new_reference();
    let name = format!("Pool-wide network associated with {device}");
    let fields = [
        ("uuid", Value::from(new_uuid())),
        ("name_label", Value::from(name)),
        ("bridge", Value::from(bridge)),
        ("MTU", Value::Int(mtu)),
    ];
    tx.create("network", &network, fields);
    network
}

fn forget(call: &Call<'_>) -> Answer {
    call.agent.store.commit(|tx| {
        let (db, pif) = (tx.db(), call.text(0));
        let row = Pif::get(db, pif)?;
        interfaces::assert_no_link(call.agent, db, pif)?;
        let code = match () {
            () if row.management() => "PIF_IS_MANAGEMENT_INTERFACE",
            () if !db.flag("PIF", pif, "physical") => "PIF_IS_NOT_PHYSICAL",
            () if row.bond_slave_of().is_some() => "PIF_ALREADY_BONDED",
            () if !db.set_of("PIF", pif, "VLAN_slave_of").is_empty() => "PIF_VLAN_STILL_EXISTS",
            () => {
                tx.delete("PIF", pif);
                return Ok(Value::void());
            }
        };
        Err(Failure::new(code, [pif]))
    })
}

fn reconfigure_ip(call: &Call<'_>) -> Answer {
    let (pif, mode, [ip, netmask, gateway, dns]) = (call.text(0), call.text(1), words(call, 2));
    let (address, [ip, netmask, gateway, dns]) = match mode {
        "None" => (None, [""; 4]),
        "Static" => {
            let address: Ipv4Addr = parsed("IP", ip)?;
            if !is_netmask(parsed("netmask", netmask)?) {
                return Err(Failure::new("INVALID_IP_ADDRESS_SPECIFIED", ["netmask"]));
            }
            assert_addresses::<Ipv4Addr>("gateway", gateway)?;
            assert_addresses::<IpAddr>("DNS", dns)?;
            (Some(IpAddr::V4(address)), [ip, netmask, gateway, dns])
        }
        _ => return Err(not_asked(mode)),
    };
    let fields = [
        ("ip_configuration_mode", Value::from(mode)),
        ("IP", Value::from(ip)),
        ("netmask", Value::from(netmask)),
        ("gateway", Value::from(gateway)),
        ("DNS", Value::from(dns)),
    ];
    record(call, pif, "IP", address, fields.into())
}

fn reconfigure_ipv6(call: &Call<'_>) -> Answer {
    let (pif, mode, [ip, gateway, dns, _]) = (call.text(0), call.text(1), words(call, 2));
    let (address, ips, gateway, dns) = match mode {
        "None" => (None, Value::text_set([""; 0]), "", ""),
        "Static" => {
            let bad = || Failure::new("INVALID_IP_ADDRESS_SPECIFIED", ["IPv6"]);
            let (address, length) = ip.split_once('/').ok_or_else(bad)?;
            let address: Ipv6Addr = parsed("IPv6", address)?;
            length.parse().ok().filter(|length: &u8| *length <= 128).ok_or_else(bad)?;
            assert_addresses::<Ipv6Addr>("gateway", gateway)?;
            assert_addresses::<IpAddr>("DNS", dns)?;
            (Some(IpAddr::V6(address)), Value::text_set([ip]), gateway, dns)
        }
        _ => return Err(not_asked(mode)),
    };
    let mut fields = vec![
        ("ipv6_configuration_mode", Value::from(mode)),
        ("IPv6", ips),
        ("ipv6_gateway", Value::from(gateway)),
    ];
    // Both protocols share one list of name servers.
    if !dns.is_empty() {
        fields.push(("DNS", Value::from(dns)));
    }
    record(call, pif, "IPv6", address, fields)
}

/// Writes what was said of an address, once the host was seen to have it.
fn record(
    call: &Call<'_>,
    pif: &str,
    field: &str,
    address: Option<IpAddr>,
    fields: Vec<(&'static str, Value)>,
) -> Answer {
    let db = call.agent.store.read();
    assert_not_managed(&db, pif, field, address)?;
    interfaces::assert_no_link(call.agent, &db, pif)?;
    if let Some(address) = address {
        interfaces::assert_own(call.agent, pif, field, address)?;
    }
    call.agent.store.commit(|tx| {
        assert_not_managed(tx.db(), pif, field, address)?;
        if let Some(address) = address {
            interfaces::assert_alone(tx.db(), pif, field, address)?;
        }
        for (field, value) in &fields {
            tx.set("PIF", pif, field, value.clone());
        }
        Ok(Value::void())
    })
}

/// The address by which the pool knows a host stays on its management interface.
fn assert_not_managed(
    db: &Database,
    pif: &str,
    field: &str,
    address: Option<IpAddr>,
) -> Answer<()> {
    let row = Pif::get(db, pif)?;
    let known = row.host().and_then(|host| db.text("host", host, "address").parse().ok());
    let same_kind = |known: &IpAddr| known.is_ipv6() == (field == "IPv6");
    match known.filter(same_kind).filter(|_| row.management()) {
        Some(known) if address != Some(known) => {
            Err(Failure::new("PIF_IS_MANAGEMENT_INTERFACE", [pif]))
        }
        _ => Ok(()),
    }
}

fn words<'a>(call: &'a Call<'_>, from: usize) -> [&'a str; 4] {
    [0, 1, 2, 3].map(|at| call.text(from + at).trim())
}

fn parsed<T: std::str::FromStr>(field: &str, word: &str) -> Answer<T> {
    word.parse().map_err(|_| Failure::new("INVALID_IP_ADDRESS_SPECIFIED", [field]))
}

/// Nothing, or addresses with commas between.
fn assert_addresses<T: std::str::FromStr>(field: &str, words: &str) -> Answer<()> {
    let mut given = words.split(',').filter(|_| !words.is_empty());
    given.try_for_each(|word| parsed::<T>(field, word.trim()).map(drop))
}

fn is_netmask(mask: Ipv4Addr) -> bool {
    let bits = mask.to_bits();
    bits != 0 && bits.leading_ones() + bits.trailing_zeros() == u32::BITS
}

/// Why an address is not looked for.
fn not_asked(mode: &str) -> Failure {
    let why = "xe records the address that a host has and asks nobody for one; say mode=static \
               with that address";
    Failure::new("INVALID_VALUE", ["mode", mode, why])
}

fn plug(call: &Call<'_>) -> Answer {
    attach(call, true)
}

fn unplug(call: &Call<'_>) -> Answer {
    let db = call.agent.store.read();
    let pif = Pif::get(&db, call.text(0))?;
    if pif.management() {
        return Err(Failure::new("PIF_IS_MANAGEMENT_INTERFACE", [pif.reference]));
    }
    interfaces::assert_no_link(call.agent, &db, pif.reference)?;
    guard::interface(&db, pif.reference)?;
    attach(call, false)
}

fn attach(call: &Call<'_>, attached: bool) -> Answer {
    call.agent.store.commit(|tx| {
        tx.row("PIF", call.text(0))?;
        tx.set("PIF", call.text(0), "currently_attached", attached);
        Ok(Value::void())
    })
}
