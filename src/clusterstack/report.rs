//! `ha_query_liveset`: what xhad knows, in the XML that the toolstack reads.
//!
//! A host is shown as not alive only by the host that may act as master now, and only when it is
//! dead for certain. The toolstack restarts the guests of whoever is not alive without asking
//! again whether it is still the master; a stalled or replaced one must never read that.

use std::fmt::Write;

use quick_xml::escape::escape;
use uuid::Uuid;

use super::exit::Failure;
use super::toolstack::Status;
use super::{Context, session_runs};
use crate::host::clock::boottime_ns;
use crate::xhad::control::{HostStatus, Liveness, Liveset, PathStatus, Phase};

/// What the living set itself does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The health of the toolstack.
    pub toolstack: Status,
    /// The longest health check, in milliseconds.
    pub check_limit_ms: u64,
    /// Whether a device of the heartbeat's bond is down.
    pub bond_degraded: bool,
    /// CLOCK_BOOTTIME in nanoseconds.
    pub now_ns: u64,
}

/// The answer of `ha_query_liveset`.
pub fn query(context: &Context) -> Result<String, Failure> {
    let client = context.settings.client();
    if !session_runs(&client)? {
        return Err(Failure::absent());
    }
    let config = context.config().ok();
    let bond = config.as_ref().and_then(|config| config.physical_interface.as_ref());
    let bond =
        bond.and_then(|name| std::fs::read_to_string(context.settings.bonding.join(name)).ok());
    let limit = config.map_or(0, |config| config.parameters.health_timeout);
    let surroundings = Surroundings {
        toolstack: Status::read(context),
        check_limit_ms: u64::from(limit) * 1000,
        bond_degraded: bond.is_some_and(|text| degraded(&text)),
        now_ns: boottime_ns(),
    };
    Ok(render(&client.liveset()?, &surroundings))
}

/// Whether the kernel's account of a bond names a device that is down.
fn degraded(bond: &str) -> bool {
    bond.lines().any(|line| line.trim() == "MII Status: down")
}

/// Text with elements, one a line.
#[derive(Default)]
struct Page {
    text: String,
    depth: usize,
}

impl Page {
    fn line(&mut self, text: &str) {
        let _endless = writeln!(self.text, "{:1$}{text}", "", 2 * self.depth);
    }

    fn leaf(&mut self, name: &str, value: impl std::fmt::Display) {
        let value = value.to_string();
        self.line(&format!("<{name}>{}</{name}>", escape(value.as_str())));
    }

    fn truth(&mut self, name: &str, value: bool) {
        self.leaf(name, if value { "TRUE" } else { "FALSE" });
    }

    fn time(&mut self, name: &str, ms: Option<u64>) {
        self.leaf(name, ms.map_or(-1, |ms| i64::try_from(ms).unwrap_or(i64::MAX)));
    }

    fn list(&mut self, name: &str, hosts: &[Uuid]) {
        let hosts: Vec<String> = hosts.iter().map(Uuid::to_string).collect();
        self.leaf(name, hosts.join(" "));
    }

    fn inside(&mut self, name: &str, attributes: &str, fill: impl FnOnce(&mut Page)) {
        self.line(&format!("<{name}{attributes}>"));
        self.depth += 1;
        fill(self);
        self.depth -= 1;
        self.line(&format!("</{name}>"));
    }
}

/// The XML for a living set.
pub fn render(liveset: &Liveset, around: &Surroundings) -> String {
    let mut page = Page::default();
    page.line("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    let online = matches!(liveset.phase, Phase::Armed | Phase::Fencing);
    page.inside("ha_liveset_info", " version=\"1.0\"", |page| {
        page.leaf("status", if online { "Online" } else { "Starting" });
        page.inside("localhost", "", |page| {
            // Exactly one element: the toolstack takes nothing else here.
            page.leaf("HostID", liveset.me.unwrap_or_default());
        });
        if online {
            for (index, host) in sorted(liveset).into_iter().enumerate() {
                page.inside("host", "", |page| host_lines(page, liveset, index, host));
            }
            page.inside("raw_status_on_local_host", "", |page| raw_lines(page, liveset, around));
            page.inside("timeout", "", |page| timeout_lines(page, liveset, around));
            page.inside("warning_on_local_host", "", |page| warning_lines(page, liveset, around));
        }
    });
    page.text
}

fn sorted(liveset: &Liveset) -> Vec<&HostStatus> {
    let mut hosts: Vec<&HostStatus> = liveset.hosts.iter().collect();
    hosts.sort_by_key(|host| host.uuid);
    hosts
}

/// Whether a host is dead for certain.
fn is_dead(liveset: &Liveset, host: Uuid) -> bool {
    !liveset.members.contains(&host) && liveset.dead.iter().any(|dead| dead.host == host)
}

fn host_lines(page: &mut Page, liveset: &Liveset, index: usize, host: &HostStatus) {
    let own = liveset.me == Some(host.uuid);
    let dead = is_dead(liveset, host.uuid);
    let master = liveset.master == Some(host.uuid) && (!own || liveset.may_act);
    page.leaf("HostID", host.uuid);
    page.leaf("HostIndex", index);
    page.truth("liveness", !(dead && liveset.may_act));
    page.truth("master", master);
    page.truth("statefile_access", has_disk(liveset, host));
    page.truth("statefile_corrupted", false);
    page.truth("excluded", host.liveness == Liveness::Excluded);
    // Ours, for a person: the toolstack passes over these.
    page.truth("known_dead", dead);
    page.leaf("heartbeat_worst_gap_of_suspect", share(host.worst_gap_share));
    page.leaf("statefile_worst_gap_of_suspect", share(host.worst_disk_gap_share));
    page.leaf("why", printable(host.why.as_deref().unwrap_or_default()));
}

fn has_disk(liveset: &Liveset, host: &HostStatus) -> bool {
    let member = liveset.members.contains(&host.uuid);
    let own = liveset.me == Some(host.uuid);
    member
        && !liveset.storage_lost_by_all
        && if own { liveset.statefile_ok } else { host.liveness != Liveness::Suspect }
}

/// Ages in milliseconds of all other members.
fn ages<'a>(
    liveset: &'a Liveset,
    age: fn(&HostStatus) -> Option<u64>,
) -> impl Iterator<Item = u64> + 'a {
    let other =
        |host: &&HostStatus| liveset.members.contains(&host.uuid) && liveset.me != Some(host.uuid);
    liveset.hosts.iter().filter(other).filter_map(age)
}

fn raw_lines(page: &mut Page, liveset: &Liveset, around: &Surroundings) {
    let toolstack = &around.toolstack;
    let path = |path: &PathStatus| [path.latest_ms, path.longest_ms, path.shortest_ms];
    let figures = [
        ("statefile_latency", path(&liveset.statefile)),
        ("heartbeat_latency", path(&liveset.network)),
        (
            "Xapi_healthcheck_latency",
            [toolstack.latency_ms, toolstack.longest_ms, toolstack.shortest_ms],
        ),
    ];
    for (name, [latest, longest, shortest]) in figures {
        page.time(name, latest);
        page.time(&format!("{name}_max"), longest);
        page.time(&format!("{name}_min"), shortest);
    }
    // Ours: the longest as a part of the time after which a path is suspect, and what this daemon
    // lacks to be in time under load.
    let longest = [("statefile", &liveset.statefile), ("heartbeat", &liveset.network)];
    for (name, path) in longest {
        page.leaf(&format!("{name}_latency_of_suspect"), share(path.worst_latency_share));
    }
    page.leaf("not_real_time", printable(&liveset.not_real_time.join("; ")));
    for (index, host) in sorted(liveset).into_iter().enumerate() {
        page.inside("host_raw_data", "", |page| raw_host(page, liveset, around, index, host));
    }
}

/// The hosts that a host sees on one path: for this host what it sees, for another one what the
/// judgement on it implies, since hosts do not pass their lists on.
fn seen_by(
    liveset: &Liveset,
    host: &HostStatus,
    lost: &[Liveness],
    age: fn(&HostStatus) -> Option<u64>,
) -> Vec<Uuid> {
    if !liveset.members.contains(&host.uuid) {
        return Vec::new();
    }
    let own = liveset.me == Some(host.uuid);
    let fresh = |age: Option<u64>| age.is_some_and(|age| age < u64::from(liveset.timeout_s) * 1000);
    let blind = !own && lost.contains(&host.liveness);
    let sees = |other: &&&HostStatus| {
        other.uuid == host.uuid
            || !blind
                && liveset.members.contains(&other.uuid)
                && (liveset.me == Some(other.uuid) || fresh(age(other)))
    };
    sorted(liveset).iter().filter(sees).map(|host| host.uuid).collect()
}

fn raw_host(
    page: &mut Page,
    liveset: &Liveset,
    around: &Surroundings,
    index: usize,
    host: &HostStatus,
) {
    let own = liveset.me == Some(host.uuid);
    let since = |ns: u64| around.now_ns.saturating_sub(ns) / 1_000_000;
    let restart = around.toolstack.restart_begun_ns.filter(|_| own).map(since);
    let network = if own { Some(0) } else { host.network_age_ms };
    page.leaf("HostID", host.uuid);
    page.leaf("HostIndex", index);
    page.time("time_since_last_update_on_statefile", host.disk_age_ms);
    page.time("time_since_last_heartbeat", network);
    page.time("time_since_xapi_restart_first_attempted", restart);
    let error = if own { printable(&around.toolstack.error) } else { String::new() };
    page.leaf("xapi_error_string", error);
    let silent = [Liveness::Isolated, Liveness::Partitioned, Liveness::Failed];
    let beats = seen_by(liveset, host, &silent, |host| host.network_age_ms);
    let still = [Liveness::Suspect, Liveness::Failed];
    let blocks = seen_by(liveset, host, &still, |host| host.disk_age_ms);
    page.list("heartbeat_active_list_on_heartbeat", &beats);
    page.list("heartbeat_active_list_on_statefile", &beats);
    page.list("statefile_active_list_on_heartbeat", &blocks);
    page.list("statefile_active_list_on_statefile", &blocks);
}

/// A share of the time after which a path is suspect.
fn share(of: f64) -> String {
    format!("{of:.3}")
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() { c } else { ' ' }).collect::<String>()
}

fn timeout_lines(page: &mut Page, liveset: &Liveset, around: &Surroundings) {
    let t = u64::from(liveset.timeout_s) * 1000;
    for (name, ms) in [("T1", t), ("T2", t), ("T3", around.check_limit_ms), ("Wh", t), ("Ws", t)] {
        page.leaf(name, ms);
    }
}

fn warning_lines(page: &mut Page, liveset: &Liveset, around: &Surroundings) {
    let half = u64::from(liveset.timeout_s) * 500;
    let lost = liveset.storage_lost_by_all;
    let own = liveset.hosts.iter().find(|host| liveset.me == Some(host.uuid));
    let own_disk = own.and_then(|host| host.disk_age_ms);
    let late = |mut ages: Box<dyn Iterator<Item = u64> + '_>| ages.any(|age| age > half);
    let beats = late(Box::new(ages(liveset, |host| host.network_age_ms)));
    let blocks = late(Box::new(ages(liveset, |host| host.disk_age_ms).chain(own_disk)));
    let toolstack = &around.toolstack;
    let check = toolstack.check_begun_ns.map(|ns| around.now_ns.saturating_sub(ns) / 1_000_000);
    let slow = |ms: Option<u64>| ms.is_some_and(|ms| ms > around.check_limit_ms / 2);
    page.truth("statefile_lost", lost);
    page.truth("heartbeat_approaching_timeout", beats);
    page.truth("statefile_approaching_timeout", !lost && blocks);
    page.truth("Xapi_healthcheck_approaching_timeout", slow(toolstack.latency_ms) || slow(check));
    page.truth("network_bonding_error", around.bond_degraded);
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
