//! `lab status`: hosts and VMs at a glance.

use std::time::Duration;

use comfy_table::{Table, presets};

use super::api::{at, within};
use super::door::{self, Ask, Look};
use super::group::{Life, Role};
use super::running::{self, Places};
use super::setting::{Lab, LabHost};
use crate::agent::config::PoolRole;
use crate::host::hypervisor::{Kind, canary};
use crate::xenapi::Value;
use crate::xhad::control::{Client, Liveset, Phase};

/// How long a host may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// The time between two looks at a canary: more than two of a guest's writes.
const TWICE: Duration = Duration::from_millis(700);

/// Shows everything.
pub fn show(lab: &Lab) -> String {
    format!("{}\n{}", hosts(lab), vms(lab))
}

fn table(heads: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(heads);
    table
}

fn hosts(lab: &Lab) -> Table {
    let mut table = table(&[
        "host", "address", "power", "agent", "xhad", "armed", "master", "view", "faults", "alive",
        "zombie", "dead",
    ]);
    for host in &lab.setting.hosts {
        table.add_row(host_row(lab, host));
    }
    table
}

fn host_row(lab: &Lab, host: &LabHost) -> Vec<String> {
    let Ok(look) = door::ask(&lab.machine_dir(&host.name), &Ask::Look) else {
        return vec![host.name.clone(), host.address.to_string(), "no machine".to_owned()];
    };
    let liveset = look.process(Role::Xhad).and_then(|_| {
        let client = Client::of_state_dir(&lab.state_dir(&host.name)).with_timeout(ANSWER);
        client.liveset().ok()
    });
    let process = |role| look.process(role).map_or("-".to_owned(), |pid| pid.to_string());
    vec![
        host.name.clone(),
        host.address.to_string(),
        if look.power { "on" } else { "off" }.to_owned(),
        process(Role::Agent),
        process(Role::Xhad),
        liveset.as_ref().map_or("-".to_owned(), |set| phase(set.phase).to_owned()),
        liveset.as_ref().map_or_else(|| told_master(lab, host, &look), |set| master(lab, set)),
        liveset.as_ref().map_or("-".to_owned(), |set| view(lab, set)),
        faults(&look),
        look.count(Life::Alive).to_string(),
        look.count(Life::Zombie).to_string(),
        look.count(Life::Dead).to_string(),
    ]
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Off => "off",
        Phase::Starting => "starting",
        Phase::Waiting => "waiting",
        Phase::Armed => "armed",
        Phase::Disarmed => "disarmed",
        Phase::Fencing => "fencing",
    }
}

fn name_of(lab: &Lab, uuid: &uuid::Uuid) -> String {
    let host = lab.setting.hosts.iter().find(|host| host.uuid == *uuid);
    host.map_or_else(|| uuid.to_string(), |host| host.name.clone())
}

fn master(lab: &Lab, set: &Liveset) -> String {
    set.master.as_ref().map_or("-".to_owned(), |master| name_of(lab, master))
}

/// The master by the pool configuration, which counts while HA is off.
fn told_master(lab: &Lab, host: &LabHost, look: &Look) -> String {
    let role = look.process(Role::Agent).map(|_| PoolRole::load(&lab.state_dir(&host.name)));
    match role {
        Some(Ok(PoolRole::Master)) => host.name.clone(),
        Some(Ok(PoolRole::Member { master })) => {
            let same = |host: &&LabHost| host.address.to_string() == master;
            lab.setting.hosts.iter().find(same).map_or(master.clone(), |host| host.name.clone())
        }
        _ => "-".to_owned(),
    }
}

fn view(lab: &Lab, set: &Liveset) -> String {
    let members: Vec<_> = set.members.iter().map(|uuid| name_of(lab, uuid)).collect();
    format!("{} ({})", set.epoch, members.join(" "))
}

fn faults(look: &Look) -> String {
    use crate::host::faults::{DISK_EIO, DISK_HANG, NET_CUT, VM_DISKS_TOO, link_bit};
    let words = [
        (NET_CUT, "net-cut"),
        (DISK_EIO, "disk-eio"),
        (DISK_HANG, "disk-hang"),
        (VM_DISKS_TOO, "also-vm-disks"),
    ];
    let on = words.iter().filter(|(bit, _)| look.faults & bit != 0);
    let links = (0..8).filter(|link| look.faults & link_bit(*link) != 0);
    let links = links.map(|link| format!("net-cut({link})"));
    on.map(|(_, word)| (*word).to_owned()).chain(links).collect::<Vec<_>>().join(" ")
}

/// What the pool says of a VM, and where its disk lies.
#[derive(Debug, Clone)]
pub struct VmRow {
    /// Its uuid.
    pub uuid: String,
    /// Its name.
    pub name: String,
    /// Its power state.
    pub power: String,
    /// The name of the host where it runs, or empty.
    pub host: String,
    /// `restart`, `best-effort` or nothing.
    pub priority: String,
    /// Its place in the order of starts.
    pub order: i64,
    /// Its first disk.
    pub disk: Option<uuid::Uuid>,
}

/// The VMs as the first host that answers knows them.
pub fn pool_vms(lab: &Lab) -> anyhow::Result<Vec<VmRow>> {
    let mut refused = anyhow::anyhow!("no host answers");
    for host in &lab.setting.hosts {
        let socket = lab.socket(&host.name);
        match within(ANSWER, move || at(&socket, rows)) {
            Ok(rows) => return Ok(rows),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

fn rows(session: &crate::client::Session<'_>) -> anyhow::Result<Vec<VmRow>> {
    let vms = session.records("VM")?;
    let (hosts, vbds) = (session.records("host")?, session.records("VBD")?);
    let vdis = session.records("VDI")?;
    let text = |record: &Value, field: &str| {
        record.get(field).and_then(Value::as_str).unwrap_or("").to_owned()
    };
    let flag =
        |record: &Value, field: &str| record.get(field).and_then(Value::as_bool).unwrap_or(false);
    let disk = |reference: &str| {
        let own = |vbd: &&Value| text(vbd, "VM") == reference && !flag(vbd, "empty");
        let vbd = vbds.values().filter(own).min_by_key(|vbd| text(vbd, "userdevice"))?;
        text(vdis.get(&text(vbd, "VDI"))?, "uuid").parse().ok()
    };
    let machine = |record: &Value| {
        !["is_a_template", "is_a_snapshot", "is_control_domain"].iter().any(|f| flag(record, f))
    };
    let mut rows: Vec<_> = vms
        .iter()
        .filter(|(_, record)| machine(record))
        .map(|(reference, record)| VmRow {
            uuid: text(record, "uuid"),
            name: text(record, "name_label"),
            power: text(record, "power_state"),
            host: hosts
                .get(&text(record, "resident_on"))
                .map_or(String::new(), |host| text(host, "name_label")),
            priority: text(record, "ha_restart_priority"),
            order: record.get("order").and_then(Value::as_int).unwrap_or(0),
            disk: disk(reference),
        })
        .collect();
    rows.sort_by(|a, b| (&a.name, &a.uuid).cmp(&(&b.name, &b.uuid)));
    Ok(rows)
}

fn vms(lab: &Lab) -> String {
    let places = running::places(lab);
    let pool = pool_vms(lab);
    let rows = pool.as_ref().map_or(&[][..], Vec::as_slice);
    let look = |row: &VmRow| {
        let path = lab.sr_dir().join(format!("{}.raw", row.disk?));
        canary::read(&path).ok().flatten()
    };
    let before: Vec<_> = rows.iter().map(look).collect();
    std::thread::sleep(TWICE);
    let later = running::places(lab);
    let mut table = table(&["vm", "where", "state", "priority", "order", "run", "canary"]);
    for (row, before) in rows.iter().zip(before) {
        let now = look(row);
        let canary = match (before, now) {
            (Some(then), Some(now)) if then != now => format!("{} moving", now.counter),
            (_, Some(now)) => format!("{} still", now.counter),
            _ => "-".to_owned(),
        };
        table.add_row([
            row.name.clone(),
            place(lab, row, &places, &later),
            row.power.clone(),
            row.priority.clone(),
            row.order.to_string(),
            now.map_or("-".to_owned(), |now| now.run.to_string()),
            canary,
        ]);
    }
    let named = |row: &VmRow| Some((row.uuid.parse().ok()?, row.name.clone()));
    let twice = running::twice(&places, &later, &rows.iter().filter_map(named).collect());
    let told = match &pool {
        Ok(_) => table.to_string(),
        Err(error) => format!("VMs: {error:#}"),
    };
    std::iter::once(told).chain(twice).collect::<Vec<_>>().join("\n")
}

/// Where a VM has processes, and what the pool says when that is another place.
fn place(lab: &Lab, row: &VmRow, before: &Places, now: &Places) -> String {
    // What nothing stands behind has no processes to look at.
    if lab.setting.hypervisor == Kind::Sim {
        return row.host.clone();
    }
    let hosts = row.uuid.parse().map(|vm| running::in_both(vm, before, now)).unwrap_or_default();
    match (hosts.as_slice(), row.host.as_str()) {
        ([], "") => String::new(),
        ([], pool) => format!("- (pool: {pool})"),
        ([one], pool) if one == pool => one.clone(),
        ([one], pool) => format!("{one} (pool: {})", if pool.is_empty() { "-" } else { pool }),
        (several, _) => format!("TWICE: {}", several.join(" ")),
    }
}
