//! The rows of a new host.

use super::{new_reference, new_uuid, vm};
use crate::pool::{Database, Transaction};
use crate::xenapi::Value;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What a host's row has for its boot until its agent has reported one. The row of a dump of
/// another product has none at all.
pub const UNREPORTED: &str = "unreported";

/// Whether a host has joined the pool and its agent was not heard yet: no job can name its boot.
pub fn is_booting(db: &Database, host: &str) -> bool {
    db.text("host", host, "xe_boot") == UNREPORTED
}

/// The row of a new host with what belongs to every host: metrics, control domain, interface.
pub fn create_host(tx: &mut Transaction, facts: &NewHost) -> String {
    let (host, metrics) = (new_reference(), new_reference());
    tx.create(
        "host_metrics",
        &metrics,
        [
            ("uuid", Value::from(new_uuid())),
            ("memory_total", Value::Int(facts.memory)),
            ("live", Value::Bool(true)),
        ],
    );
    tx.create(
        "host",
        &host,
        [
            ("uuid", Value::from(facts.uuid.to_string())),
            ("name_label", Value::from(facts.name.as_str())),
            ("hostname", Value::from(facts.name.as_str())),
            ("address", Value::from(facts.address.as_str())),
            // Its first report enables it.
            ("enabled", Value::Bool(false)),
            ("metrics", Value::from(metrics.as_str())),
            ("API_version_major", Value::Int(2)),
            ("API_version_minor", Value::Int(21)),
            ("API_version_vendor", Value::from("xe")),
            ("xe_boot", Value::from(UNREPORTED)),
            ("cpu_info", Value::text_map([("cpu_count", facts.cpus.to_string())])),
            (
                "software_version",
                Value::text_map([
                    ("product_brand", "xe"),
                    ("product_version", env!("CARGO_PKG_VERSION")),
                ]),
            ),
        ],
    );
    create_control_domain(tx, &host, facts);
    create_interface(tx, &host);
    host
}

/// What is known of a host when it joins.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewHost {
    /// The host.
    pub uuid: Uuid,
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// Its memory for VMs in bytes.
    pub memory: i64,
    /// Its processors.
    pub cpus: i64,
    /// Where its own SRs are: `(name, directory)`.
    pub local_srs: Vec<(String, String)>,
    /// The protocol of its heartbeat daemon; zero: it did not say.
    #[serde(default)]
    pub protocol: u16,
}

fn create_control_domain(tx: &mut Transaction, host: &str, facts: &NewHost) {
    let dom0 = new_reference();
    let metrics = vm::copy::new_metrics(tx);
    tx.create(
        "VM",
        &dom0,
        [
            ("uuid", Value::from(new_uuid())),
            ("name_label", Value::from(format!("Control domain on host: {}", facts.name))),
            ("is_control_domain", Value::Bool(true)),
            ("power_state", Value::from("Running")),
            ("resident_on", Value::from(host)),
            ("affinity", Value::from(host)),
            ("metrics", Value::from(metrics)),
            ("VCPUs_max", Value::Int(facts.cpus)),
            ("VCPUs_at_startup", Value::Int(facts.cpus)),
        ],
    );
    tx.set("host", host, "control_domain", dom0);
}

fn create_interface(tx: &mut Transaction, host: &str) {
    let db = tx.db().clone();
    let named = |network: &&String| db.text("network", network, "bridge") == "xenbr0";
    let network = match db.table("network").keys().find(named) {
        Some(network) => network.clone(),
        None => {
            let network = new_reference();
            tx.create(
                "network",
                &network,
                [
                    ("uuid", Value::from(new_uuid())),
                    ("name_label", Value::from("Pool-wide network associated with eth0")),
                    ("bridge", Value::from("xenbr0")),
                    ("MTU", Value::Int(1500)),
                ],
            );
            network
        }
    };
    let address = db.text("host", host, "address");
    let (four, six) = if address.contains(':') { ("", Some(address)) } else { (address, None) };
    tx.create(
        "PIF",
        &new_reference(),
        [
            ("uuid", Value::from(new_uuid())),
            ("device", Value::from("eth0")),
            ("host", Value::from(host)),
            ("network", Value::from(network)),
            ("management", Value::Bool(true)),
            ("physical", Value::Bool(true)),
            ("currently_attached", Value::Bool(true)),
            ("VLAN", Value::Int(-1)),
            ("IP", Value::from(four)),
            ("IPv6", Value::text_set(six)),
            ("primary_address_type", Value::from(if six.is_some() { "IPv6" } else { "IPv4" })),
        ],
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::in_process::of_two_hosts;

    #[test]
    fn a_host_is_reached_at_an_address_of_either_protocol() {
        let agent = of_two_hosts();
        let shown = |address: &str| {
            let facts = NewHost {
                uuid: Uuid::new_v4(),
                name: "new".to_owned(),
                address: address.to_owned(),
                memory: 1 << 30,
                cpus: 1,
                local_srs: Vec::new(),
                protocol: crate::heartbeat::PROTOCOL,
            };
            let host = agent.store.commit(|tx| Ok(create_host(tx, &facts))).unwrap();
            let db = agent.store.read();
            let pif = db.set_of("host", &host, "PIFs")[0].to_owned();
            let six = db.set_of("PIF", &pif, "IPv6").join(",");
            let words = [db.text("PIF", &pif, "IP"), &six];
            format!("{} {}", words.join(" "), db.text("PIF", &pif, "primary_address_type"))
        };
        assert_eq!(shown("192.0.2.7"), "192.0.2.7  IPv4");
        assert_eq!(shown("2001:db8::7"), " 2001:db8::7 IPv6");
    }
}
