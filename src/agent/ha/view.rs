//! What a new living set means for rows and recovery. Runs on the master.

use crate::agent::capacity::is_machine;
use crate::agent::hooks::Hook;
use crate::agent::recover::News;
use crate::agent::standing::Standing;
use crate::agent::{Agent, host_facts, recover, vm};
use crate::heartbeat::Liveset;
use crate::heartbeat::liveset::{DeadBoot, Liveness};
use crate::heartbeat::view::Proof;
use crate::pool::rows::Vm;
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// Has the hooks told of hosts that failed or died, before anybody can act on it.
pub fn announce(agent: &Agent, before: Option<&Liveset>, now: &Liveset) {
    // An agent that has just begun does not know which of it is news.
    if before.is_some() && now.is_master {
        let news = |hook, host, reason| News { hook, host, reason, epoch: now.epoch };
        let dead = deaths(before, now).filter(|dead| dead.reason != Proof::LeftEmpty);
        let dead = dead.map(|dead| match dead.reason {
            Proof::Operator => news(Hook::HostPostDeclareDead, dead.host, "user"),
            _ => news(Hook::HostPostDeclareDead, dead.host, "fenced"),
        });
        let failed = failed(before, now).into_iter();
        let failed = failed.map(|host| news(Hook::HostPreDeclareDead, host, "fenced"));
        recover::announce(agent, failed.chain(dead));
    }
}

/// Hosts that left the view without having been asked to.
fn failed(before: Option<&Liveset>, now: &Liveset) -> Vec<Uuid> {
    // A host that disarmed by emergency is out of the view but did not fail: its VMs run on.
    let left_on_purpose = |host: &Uuid| {
        let status = now.hosts.iter().find(|status| status.uuid == *host);
        status.is_some_and(|status| status.liveness == Liveness::Excluded || !status.armed)
    };
    let old = before.map_or(&[][..], |before| &before.members);
    let gone = old.iter().filter(|host| !now.members.contains(host));
    gone.copied().filter(|host| !left_on_purpose(host)).collect()
}

/// Why a host is out of the view, as this host's heartbeat sees it; empty when it is not.
pub fn why_out(agent: &Agent, host: Uuid) -> String {
    let Some(set) = agent.ha.liveset().filter(|set| !set.members.contains(&host)) else {
        return String::new();
    };
    let status = set.hosts.into_iter().find(|status| status.uuid == host);
    status.and_then(|status| status.why).unwrap_or_default()
}

/// Hosts that left the view unarmed: HA was switched off on them alone, and their VMs may run on.
fn disarmed(before: Option<&Liveset>, now: &Liveset) -> Vec<Uuid> {
    let old = before.map_or(&[][..], |before| &before.members);
    let status = |host: &Uuid| now.hosts.iter().find(|status| status.uuid == *host);
    let unarmed =
        |host: &Uuid| status(host).is_some_and(|it| !it.armed && it.liveness != Liveness::Excluded);
    let gone = old.iter().filter(|host| !now.members.contains(host));
    gone.copied().filter(|host| unarmed(host) && now.unknown.contains(host)).collect()
}

/// An alert that names the VMs of which nobody knows from now on.
fn tell_disarmed(agent: &Arc<Agent>, host: Uuid) {
    let db = agent.store.read();
    let row = db.by_uuid("host", &host.to_string()).unwrap_or_default();
    let vms = Vm::all(&db).filter(|vm| vm.resident_on() == Some(row) && is_machine(vm));
    let names: Vec<&str> = vms.map(|vm| vm.name_label()).collect();
    let what = match names.is_empty() {
        true => "no VM is recorded there".to_owned(),
        false => format!("nobody restarts its VMs: {}", names.join(", ")),
    };
    let why = format!("HA was switched off on this host alone; {what}");
    let agent = Arc::clone(agent);
    std::thread::spawn(move || {
        vm::message(&agent, "HA_HOST_DISARMED", 2, "Host", &host.to_string(), &why);
    });
}

/// Hosts that are known dead now.
fn deaths<'a>(before: Option<&'a Liveset>, now: &'a Liveset) -> impl Iterator<Item = &'a DeadBoot> {
    let known = before.map_or(&[][..], |before| &before.dead);
    now.dead.iter().filter(|dead| !known.contains(dead))
}

/// Shows who lives, tells recovery who failed, and notes whose VMs may be restarted.
pub fn changed(agent: &Arc<Agent>, before: Option<&Liveset>, now: &Liveset) {
    let members: BTreeSet<Uuid> = now.members.iter().copied().collect();
    let old: BTreeSet<Uuid> =
        before.map(|before| before.members.iter().copied().collect()).unwrap_or_default();
    for status in &now.hosts {
        if members.contains(&status.uuid) != old.contains(&status.uuid) || before.is_none() {
            host_facts::set_live(agent, &status.uuid.to_string(), members.contains(&status.uuid));
        }
    }
    let failed = failed(before, now);
    if !failed.is_empty() {
        agent.history.note(
            "hosts-failed",
            "a decided view lacks them",
            serde_json::json!({
                "hosts": failed, "epoch": now.epoch,
            }),
        );
        recover::push(agent, crate::recovery::Event::View { failed });
    }
    for host in disarmed(before, now) {
        tell_disarmed(agent, host);
    }
    tell_storage(agent, before, now);
    for dead in deaths(before, now) {
        if dead.reason != Proof::LeftEmpty {
            agent.ha.note_lost(dead.host);
        }
        agent.history.note(
            "host-excluded",
            &format!("{:?}", dead.reason),
            serde_json::json!({
                "host": dead.host, "boot": dead.boot_id, "since_ns": dead.since_ns,
            }),
        );
    }
    if matches!(agent.standing(), Standing::Master { .. }) {
        recover::wake(agent);
    }
}

/// Tells that all hosts lost the statefile. While they have, the database may not be written
/// either: the message is then recorded when the storage is back.
fn tell_storage(agent: &Arc<Agent>, before: Option<&Liveset>, now: &Liveset) {
    let lost = before.is_some_and(|before| before.storage_lost_by_all);
    if lost == now.storage_lost_by_all {
        return;
    }
    let why = match (lost, now.members.len() > 2 || now.witness.is_some()) {
        (true, _) => "every host reaches the statefile again",
        (false, true) => {
            "every host has lost the statefile; nobody is reset while a majority of them see each \
             other, and they decide by the network"
        }
        (false, false) => {
            "every host has lost the statefile; nobody is reset while both see each other, and the \
             loss of one resets the other"
        }
    };
    agent.history.note(
        "statefile-lost-by-all",
        why,
        serde_json::json!({
            "lost": now.storage_lost_by_all, "epoch": now.epoch,
        }),
    );
    if lost {
        // The alert is withdrawn like every other one that is over.
        return recover::wake(agent);
    }
    let (agent, why) = (Arc::clone(agent), why.to_owned());
    std::thread::spawn(move || {
        let host = agent.config.host.to_string();
        vm::message(&agent, "HA_STATEFILE_LOST", 2, "Host", &host, &why);
    });
}
