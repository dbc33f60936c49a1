//! The living set as a XenServer toolstack takes it from the XML: the same elements, the same
//! strictness, and nothing else.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::Event;
use uuid::Uuid;

/// An element.
#[derive(Debug, Default)]
struct Node {
    name: String,
    text: String,
    children: Vec<Node>,
}

impl Node {
    fn parse(xml: &str) -> Node {
        let mut reader = Reader::from_str(xml);
        let mut open = vec![Node::default()];
        loop {
            match reader.read_event().unwrap() {
                Event::Start(tag) => {
                    let name = tag.name().as_ref().to_owned();
                    open.push(Node { name, ..Node::default() });
                }
                Event::End(_) => {
                    let done = open.pop().unwrap();
                    open.last_mut().unwrap().children.push(done);
                }
                Event::Text(text) => open.last_mut().unwrap().text.push_str(&text),
                Event::GeneralRef(_) => open.last_mut().unwrap().text.push('?'),
                Event::Eof => break,
                _ => {}
            }
        }
        assert_eq!(open.len(), 1, "every element ends");
        open.remove(0).children.remove(0)
    }

    fn first(&self, name: &str) -> Option<&Node> {
        self.children.iter().find(|child| child.name == name)
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Node> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// A leaf's text without the blanks around it; it must be there.
    fn leaf(&self, name: &str) -> &str {
        let leaf = self.first(name).unwrap_or_else(|| panic!("{} has no {name}", self.name));
        leaf.text.trim()
    }

    fn truth(&self, name: &str) -> bool {
        match self.leaf(name).to_lowercase().as_str() {
            "true" => true,
            "false" => false,
            other => panic!("{name} is {other}"),
        }
    }

    fn number(&self, name: &str) -> i64 {
        self.leaf(name).parse().unwrap_or_else(|_| panic!("{name} is {}", self.leaf(name)))
    }

    fn uuids(&self, name: &str) -> Vec<Uuid> {
        self.leaf(name).split_whitespace().map(|text| text.parse().unwrap()).collect()
    }
}

/// One host as the toolstack sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host {
    /// Whether its guests are left alone.
    pub liveness: bool,
    /// Whether it is shown as master.
    pub master: bool,
    /// Whether it reaches the statefile.
    pub statefile_access: bool,
    /// Whether it left cleanly.
    pub excluded: bool,
}

/// The living set.
#[derive(Debug)]
pub struct Liveset {
    /// Whether the host is in.
    pub online: bool,
    /// The host that answered.
    pub local: Uuid,
    /// All hosts.
    pub hosts: BTreeMap<Uuid, Host>,
    /// What each host is said to hear.
    pub peers: BTreeMap<Uuid, Vec<Uuid>>,
    /// Whether all lost the statefile.
    pub statefile_lost: bool,
}

impl Liveset {
    /// Reads the XML; anything that the toolstack would stumble over fails the test.
    pub fn parse(xml: &str) -> Liveset {
        let root = Node::parse(xml);
        assert_eq!(root.name, "ha_liveset_info");
        let localhost = &root.first("localhost").unwrap().children;
        let [id] = localhost.as_slice() else { panic!("localhost has one element, not more") };
        assert_eq!((id.name.as_str(), id.text.trim()), ("HostID", id.text.as_str()));
        let online = match root.leaf("status").to_lowercase().as_str() {
            "online" => true,
            "starting" => false,
            other => panic!("status is {other}"),
        };
        let hosts: BTreeMap<Uuid, Host> = root.all("host").map(host).collect();
        let raw = root.first("raw_status_on_local_host");
        let warnings = root.first("warning_on_local_host");
        assert_eq!(raw.is_some() && warnings.is_some(), online);
        Liveset {
            online,
            local: id.text.parse().unwrap(),
            peers: raw.map_or_else(BTreeMap::new, peers),
            hosts,
            statefile_lost: warnings.is_some_and(statefile_lost),
        }
    }

    /// The hosts shown as master.
    pub fn masters(&self) -> Vec<Uuid> {
        self.hosts.iter().filter(|(_, host)| host.master).map(|(uuid, _)| *uuid).collect()
    }
}

fn host(node: &Node) -> (Uuid, Host) {
    assert!(!node.truth("statefile_corrupted"));
    let host = Host {
        liveness: node.truth("liveness"),
        master: node.truth("master"),
        statefile_access: node.truth("statefile_access"),
        excluded: node.truth("excluded"),
    };
    (node.leaf("HostID").parse().unwrap(), host)
}

fn peers(raw: &Node) -> BTreeMap<Uuid, Vec<Uuid>> {
    for kind in ["statefile_latency", "heartbeat_latency", "Xapi_healthcheck_latency"] {
        for end in ["", "_min", "_max"] {
            assert!(raw.number(&format!("{kind}{end}")) >= -1);
        }
    }
    let mut heard = BTreeMap::new();
    for node in raw.all("host_raw_data") {
        for name in [
            "time_since_last_update_on_statefile",
            "time_since_last_heartbeat",
            "time_since_xapi_restart_first_attempted",
        ] {
            assert!(node.number(name) >= -1);
        }
        node.uuids("heartbeat_active_list_on_statefile");
        let list = node.uuids("heartbeat_active_list_on_heartbeat");
        heard.insert(node.leaf("HostID").parse().unwrap(), list);
    }
    heard
}

fn statefile_lost(warnings: &Node) -> bool {
    for name in [
        "heartbeat_approaching_timeout",
        "statefile_approaching_timeout",
        "Xapi_healthcheck_approaching_timeout",
        "network_bonding_error",
    ] {
        warnings.truth(name);
    }
    warnings.leaf("statefile_lost") == "TRUE"
}
