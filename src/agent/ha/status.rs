//! What `pool-ha-status` shows: the database, the plan, and what the heartbeat says of late.

use super::{Session, waiting};
use crate::agent::capacity::{footprint, free_memory, host_memory, is_live, is_protected};
use crate::agent::explain::{explain, named};
use crate::agent::{Agent, guard, recover};
use crate::heartbeat::Liveset;
use crate::heartbeat::liveset::Liveness;
use crate::heartbeat::timing::{MILLISECOND, Timing};
use crate::pool::Database;
use crate::pool::rows::{Host as HostRow, Pool, Vm};
use crate::xenapi::failure::Answer;
use crate::xenapi::ha_view::{Capacity, Host, Named, Statefile, Status, Timers, Unprotected};
use std::time::Duration;

/// Everything about HA at this moment.
pub fn status(agent: &Agent, db: &Database) -> Answer<Status> {
    let Some(pool) = Pool::all(db).next() else { return Ok(Status::default()) };
    let (liveset, old) = newest(agent);
    let liveset = liveset.filter(|_| pool.ha_enabled());
    let session = super::session(agent).filter(|_| pool.ha_enabled());
    let mut hosts = Vec::new();
    for host in HostRow::all(db) {
        hosts.push(host_status(agent, db, &host, &pool, liveset.as_ref())?);
    }
    hosts.sort_by(|one, other| one.host.name.cmp(&other.host.name));
    let master = pool.master().map(|master| named(db, "host", master)).unwrap_or_default();
    Ok(Status {
        enabled: pool.ha_enabled(),
        pool: named(db, "pool", pool.reference),
        master: liveset
            .as_ref()
            .and_then(|set| db.by_uuid("host", &set.master?.to_string()))
            .map_or(master, |host| named(db, "host", host)),
        epoch: liveset.as_ref().map(|set| set.epoch),
        mode: liveset.as_ref().and_then(|set| word(&set.mode?)),
        hosts,
        statefiles: statefiles(db, &pool, liveset.as_ref(), session.as_ref()),
        witness: super::witness::row(liveset.as_ref(), session.as_ref()),
        timers: timers(db, &pool, session.as_ref()),
        capacity: capacity(agent, db, &pool)?,
        unprotected: Vm::all(db).filter_map(|vm| unprotected(agent, db, &vm)).collect(),
        down: waiting::down(db),
        unknown: waiting::unknown(db, liveset.as_ref()),
        figures_old: old && liveset.is_some(),
        storage_lost_by_all: liveset.as_ref().is_some_and(|set| set.storage_lost_by_all),
        copies: agent.store.volume_copies(),
        not_real_time: liveset.as_ref().map(|set| set.not_real_time.clone()).unwrap_or_default(),
        paused_s: super::pause::left(db).or(recover::held_for(agent).map(|time| time.as_secs())),
    })
}

/// How long the daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the heartbeat says now; if its daemon does not answer, what it said last, and true.
fn newest(agent: &Agent) -> (Option<Liveset>, bool) {
    if agent.state_dir.is_none() || !super::is_armed(agent) {
        return (agent.ha.liveset(), false);
    }
    let now = super::client(agent).map(|client| client.with_timeout(PATIENCE).liveset());
    match now {
        Ok(Ok(now)) => (Some(now), false),
        _ => (agent.ha.liveset(), true),
    }
}

/// The word by which a value goes over the wire.
fn word(value: &impl serde::Serialize) -> Option<String> {
    serde_json::to_value(value).ok()?.as_str().map(str::to_owned)
}

/// What is left of a path after its worst gap of late, in per cent.
fn margin(worst_gap_share: f64) -> i64 {
    // A share is a small number; a negative margin means that the path was suspect.
    ((1.0 - worst_gap_share) * 100.0).round().clamp(-999.0, 100.0) as i64
}

fn state(host: &HostRow<'_>, pool: &Pool<'_>, db: &Database, set: Option<&Liveset>) -> String {
    let uuid = host.uuid();
    let Some(set) = set else {
        let down = !is_live(db, host);
        let master = pool.master() == Some(host.reference);
        return if down {
            "down"
        } else if master {
            "master"
        } else {
            "member"
        }
        .to_owned();
    };
    let found = set.hosts.iter().find(|status| status.uuid.to_string() == uuid);
    let is = |other: &Option<uuid::Uuid>| other.is_some_and(|other| other.to_string() == uuid);
    match found {
        Some(status) if status.liveness == Liveness::Live && is(&set.master) => "master".to_owned(),
        Some(status) if status.liveness == Liveness::Live => "member".to_owned(),
        Some(status) => word(&status.liveness).unwrap_or_default(),
        None => "not in the session".to_owned(),
    }
}

/// A sentence of the heartbeat, which knows hosts by uuid only, with their names.
pub(super) fn in_names(db: &Database, text: &str) -> String {
    HostRow::all(db)
        .filter(|host| !host.name_label().is_empty())
        .fold(text.to_owned(), |text, host| text.replace(host.uuid(), host.name_label()))
}

fn is_member(set: &Liveset, host: &HostRow<'_>) -> bool {
    set.members.iter().any(|member| member.to_string() == host.uuid())
}

fn host_status(
    agent: &Agent,
    db: &Database,
    row: &HostRow<'_>,
    pool: &Pool<'_>,
    set: Option<&Liveset>,
) -> Answer<Host> {
    let given = agent.host_memory();
    let paths = set.and_then(|set| set.hosts.iter().find(|h| h.uuid.to_string() == row.uuid()));
    let mine = paths.is_some_and(|paths| Some(paths.uuid) == set.and_then(|set| set.me));
    // A host that is down may never have said how much it has.
    let memory = host_memory(db, row, given);
    let free = free_memory(db, row, given);
    let (memory, free) =
        if is_live(db, row) { (memory?, free?) } else { (memory.unwrap_or(0), free.unwrap_or(0)) };
    let running = |vm: &Vm<'_>| {
        vm.resident_on() == Some(row.reference) && matches!(vm.power_state(), "Running" | "Paused")
    };
    let mut host = Host {
        host: named(db, "host", row.reference),
        state: state(row, pool, db, set),
        enabled: row.enabled() && set.is_none_or(|set| is_member(set, row)),
        maintenance: crate::agent::maintenance::is_in(db, row.reference),
        why: set
            .and_then(|set| unarmed(set, row))
            .or_else(|| Some(in_names(db, paths?.why.as_deref()?))),
        network_age_ms: paths.filter(|_| !mine).and_then(|paths| paths.network_age_ms),
        network_margin: paths.map(|paths| margin(paths.worst_gap_share)),
        disk_age_ms: paths.and_then(|paths| paths.disk_age_ms),
        disk_margin: paths.map(|paths| margin(paths.worst_disk_gap_share)),
        links_ms: paths.map(|paths| paths.links_ms.clone()).unwrap_or_default(),
        memory,
        free,
        ..Host::default()
    };
    for vm in Vm::all(db).filter(running) {
        if !crate::agent::capacity::is_machine(&vm) {
            // What the control domain has is not for VMs.
            host.memory = host.memory.saturating_sub(footprint(&vm));
            continue;
        }
        let used = match vm.ha_restart_priority() {
            _ if is_protected(&vm) => &mut host.restart,
            "best-effort" => &mut host.best_effort,
            _ => &mut host.unprotected,
        };
        *used += footprint(&vm);
    }
    Ok(host)
}

/// What is to be known of a host that left the view without a watchdog.
fn unarmed(set: &Liveset, host: &HostRow<'_>) -> Option<String> {
    let why = "unarmed: HA was switched off on it alone; its VMs are unknown and not restarted";
    waiting::is_left(set, host.uuid()).then(|| why.to_owned())
}

fn statefiles(
    db: &Database,
    pool: &Pool<'_>,
    set: Option<&Liveset>,
    session: Option<&Session>,
) -> Vec<Statefile> {
    let vdis = pool.ha_statefiles().into_iter();
    let suspect = timers(db, pool, session).map_or(u64::MAX, |timers| timers.suspect);
    let cycle = session.map(|session| session.disk_cycle / 1000).filter(|cycle| *cycle > 0);
    vdis.map(|vdi| {
        let uuid = db.text("VDI", vdi, "uuid");
        let at = session.and_then(|session| {
            session.statefiles.iter().position(|file| file.vdi.to_string() == uuid)
        });
        let seen = at.and_then(|at| set?.statefiles.get(at));
        Statefile {
            vdi: uuid.to_owned(),
            sr: db.target("VDI", vdi, "SR").map(|sr| named(db, "SR", sr)).unwrap_or_default(),
            age_ms: seen.and_then(|seen| seen.age_ms),
            trusted: seen.map(|seen| seen.trusted && seen.age_ms.is_some_and(|age| age < suspect)),
            cycle_us: cycle,
        }
    })
    .collect()
}

/// The timers that follow from T: that of the session, or the one that a dump was written with.
fn timers(db: &Database, pool: &Pool<'_>, session: Option<&Session>) -> Option<Timers> {
    if !pool.ha_enabled() {
        return None;
    }
    let said = pool.key("ha_configuration", "timeout").and_then(|text| text.parse().ok());
    let t = session.map(|session| session.timeout_s).or(said).unwrap_or(60);
    let cycle = session.map_or(0, |session| session.disk_cycle);
    let timing = Timing::new(t, db.table("host").len(), cycle, 0).ok()?;
    let (promise, ms) = (timing.promise(), |nanos: u64| nanos / MILLISECOND);
    Some(Timers {
        t: ms(timing.t),
        beat: ms(timing.beat),
        suspect: ms(timing.s),
        dead: ms(timing.death()),
        bears_network: ms(promise.network),
        bears_disk: ms(promise.disk),
        bears_stall: ms(promise.stall),
    })
}

fn capacity(agent: &Agent, db: &Database, pool: &Pool<'_>) -> Answer<Capacity> {
    let (verdict, rows) = guard::verdict(agent, db)?;
    let current = i64::try_from(verdict.max).unwrap_or(i64::MAX);
    let configured = pool.ha_host_failures_to_tolerate();
    let host = |at: &usize| named(db, "host", &rows.hosts[*at]);
    let breaking = verdict.counterexample.as_ref();
    Ok(Capacity {
        configured,
        current,
        proved: verdict.proved,
        allow_overcommit: pool.ha_allow_overcommit(),
        overcommitted: pool.ha_enabled() && (!verdict.startable || configured > current),
        breaking_hosts: breaking
            .map(|found| found.hosts.iter().map(host).collect())
            .unwrap_or_default(),
        breaking_vm: breaking.map(|found| named(db, "VM", &rows.vms[found.vm])),
        doomed: verdict.doomed.iter().map(|vm| named(db, "VM", &rows.vms[*vm])).collect(),
        one_by_one: i64::try_from(verdict.max_one_by_one).unwrap_or(i64::MAX),
    })
}

fn unprotected(agent: &Agent, db: &Database, vm: &Vm<'_>) -> Option<Unprotected> {
    let running = matches!(vm.power_state(), "Running" | "Paused");
    if !running || !crate::agent::capacity::is_machine(vm) || is_protected(vm) {
        return None;
    }
    let own = |class: &str| class != "pool" && class != "VM";
    let reasons = explain(agent, db, vm).reasons;
    Some(Unprotected {
        vm: named(db, "VM", vm.reference),
        host: vm.resident_on().map_or_else(Named::default, |host| named(db, "host", host)),
        priority: vm.ha_restart_priority().to_owned(),
        reasons: reasons.into_iter().filter(|r| own(&r.class)).map(|r| r.why).collect(),
    })
}
