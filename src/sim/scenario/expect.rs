//! What a scenario expects to see.

use crate::heartbeat::liveset::Phase;
use crate::sim::world::World;

/// Something to look at, and what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expected {
    look: Look,
    be: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// The members of the view that a host takes part in; a host that waits has none.
    Members(usize),
    /// Who may act as master.
    Master,
    /// Who was reset.
    Resets,
    /// Whom a host knows to be dead.
    Dead(usize),
    /// Of whom a host knows nothing.
    Unknown(usize),
    /// Where a host stands.
    Phase(usize),
    /// How a host looks from another one.
    Looks(usize, usize),
    /// The mode of a host's view.
    Mode(usize),
    /// Whether all have lost the storage, as a host sees it.
    Lost(usize),
    /// What the last request to a host came to: granted, pending, or words of the refusal.
    Answer(usize),
    /// A host's history has these words.
    Noted(usize),
    /// How the copy of a host's machine stands.
    Copy(usize),
    /// Whether a host's agent runs.
    Agent(usize),
    /// Whether a host is up.
    Up(usize),
    /// Whether HA is on, as the pool's database says.
    Database,
    /// Protected VMs that run nowhere.
    Missing,
    /// Where a VM runs.
    Vm(usize),
    /// What the database says of a VM's power.
    Power(usize),
    /// How often a start of a VM was decided.
    Starts(usize),
    /// The orders of the VMs in the sequence of their starts.
    Orders,
    /// The most starts under way on one host, and in the pool.
    MostStarts,
    /// How often an alert was sent.
    Alerts(&'static str),
}

impl Expected {
    /// Reads `members h1 = h1 h2` and its like.
    pub(super) fn parse(words: &[&str]) -> Result<Expected, String> {
        let at = words.iter().position(|word| *word == "=").ok_or("= is missing")?;
        let (left, be) = (&words[..at], words[at + 1..].join(" "));
        let look = match left {
            ["members", host] => Look::Members(one(host)?),
            ["master"] => Look::Master,
            ["resets"] => Look::Resets,
            ["dead", host] => Look::Dead(one(host)?),
            ["unknown", host] => Look::Unknown(one(host)?),
            ["phase", host] => Look::Phase(one(host)?),
            ["looks", host, from] => Look::Looks(one(host)?, one(from)?),
            ["mode", host] => Look::Mode(one(host)?),
            ["lost", host] => Look::Lost(one(host)?),
            ["answer", host] => Look::Answer(one(host)?),
            ["noted", host] => Look::Noted(one(host)?),
            ["copy", host] => Look::Copy(one(host)?),
            ["agent", host] => Look::Agent(one(host)?),
            ["database"] => Look::Database,
            ["up", host] => Look::Up(one(host)?),
            ["vm", vm] => Look::Vm(a_vm(vm)?),
            ["power", vm] => Look::Power(a_vm(vm)?),
            ["starts", vm] => Look::Starts(a_vm(vm)?),
            ["orders"] => Look::Orders,
            ["most-starts"] => Look::MostStarts,
            ["alerts", name] => {
                let known = ALERTS.iter().find(|known| *known == name);
                Look::Alerts(known.ok_or_else(|| format!("{name} is no alert"))?)
            }
            ["vms-missing"] => Look::Missing,
            _ => return Err("nothing that can be looked at".to_owned()),
        };
        Ok(Expected { look, be })
    }

    /// How what is seen differs from what is expected.
    pub(super) fn differs(&self, world: &World) -> Option<String> {
        let (seen, part) = self.look.at(world);
        let same = if part { seen.contains(&self.be) } else { seen == self.be };
        (!same).then(|| format!("{:?} is not {:?} but {seen:?}", self.look, self.be))
    }
}

impl Look {
    /// What is seen, and whether a part of it is enough.
    fn at(self, world: &World) -> (String, bool) {
        let word = |value: serde_json::Value| value.as_str().unwrap_or("none").to_owned();
        let json = |value: &dyn erased::Json| word(value.json());
        let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
        let of = |uuids: &[uuid::Uuid]| {
            let found = uuids.iter().filter_map(|u| world.uuids.iter().position(|v| v == u));
            names(found)
        };
        let seen = match self {
            // A host that boots knows an old view, which may have the members that are waited for.
            Look::Members(host) if world.phase(host) != Phase::Armed => names([]),
            Look::Members(host) => names(world.members(host)),
            Look::Master => names(world.acting()),
            Look::Resets => names(world.resets()),
            Look::Dead(host) => {
                let all = 0..world.machines.len();
                names(all.filter(|other| world.knows_dead(host, *other)))
            }
            Look::Unknown(host) => of(&world.liveset(host).unknown),
            Look::Phase(host) => json(&world.phase(host)),
            Look::Looks(host, from) => {
                let liveset = world.liveset(from);
                liveset.hosts.get(host).map_or("none".to_owned(), |host| json(&host.liveness))
            }
            Look::Mode(host) => world.mode(host).map_or("none".to_owned(), |mode| json(&mode)),
            Look::Lost(host) => yes(world.liveset(host).storage_lost_by_all),
            Look::Answer(host) => return (world.last_answer(host), true),
            Look::Noted(host) => return (world.notes_of(host), true),
            Look::Copy(host) => return (world.copy_stands(host), true),
            Look::Agent(host) => yes(world.has_agent(host)),
            Look::Up(host) => yes(world.machines[host].alive),
            Look::Database => (if world.pool_on { "on" } else { "off" }).to_owned(),
            Look::Vm(vm) => names(world.runs_on(vm)),
            Look::Power(vm) => world.power_of(vm).to_owned(),
            Look::Starts(vm) => world.starts_of(vm).to_string(),
            Look::Orders => {
                let orders = world.orders().into_iter().map(|order| order.to_string());
                orders.collect::<Vec<_>>().join(" ")
            }
            Look::MostStarts => format!("{} {}", world.people.most.0, world.people.most.1),
            Look::Alerts(name) => world.alerts(name).to_string(),
            Look::Missing => match world.vms_missing() {
                missing if missing.is_empty() => "none".to_owned(),
                missing => format!("{missing:?}"),
            },
        };
        (seen, false)
    }
}

/// A value as the JSON that users see.
mod erased {
    pub(super) trait Json {
        fn json(&self) -> serde_json::Value;
    }

    impl<T: serde::Serialize> Json for T {
        fn json(&self) -> serde_json::Value {
            serde_json::to_value(self).unwrap_or_default()
        }
    }
}

fn names(hosts: impl IntoIterator<Item = usize>) -> String {
    let names: Vec<String> = hosts.into_iter().map(|host| format!("h{}", host + 1)).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(" ") }
}

/// The alerts of the recovery.
const ALERTS: [&str; 3] =
    ["HA_HOST_FAILED", "HA_PROTECTED_VM_RESTART_FAILED", "HA_POOL_OVERCOMMITTED"];

fn a_vm(word: &str) -> Result<usize, String> {
    let number = word.strip_prefix("vm").and_then(|number| number.parse().ok());
    number.ok_or_else(|| format!("{word} is no VM"))
}

fn one(word: &str) -> Result<usize, String> {
    let number = word.strip_prefix('h').and_then(|number| number.parse::<usize>().ok());
    number.and_then(|n| n.checked_sub(1)).ok_or_else(|| format!("{word} is no host"))
}

/// Hosts by name.
pub(super) fn hosts(words: &[&str]) -> Result<Vec<usize>, String> {
    words.iter().map(|word| one(word)).collect()
}
