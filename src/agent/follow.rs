//! A member's side of the pool: it follows the master's database and reports its own host.

use super::host_facts::Facts;
use super::standing::Standing;
use super::vm::exits::Ended;
use super::{Agent, host_facts};
use crate::host::bonds;
use crate::xenapi::Failure;
use crate::xenapi::Value;
use crate::xenapi::failure::Answer;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How often a host reports itself and looks for VMs that ended.
const REPORT: Duration = Duration::from_secs(5);
const EXITS: Duration = Duration::from_millis(100);
/// How long one question for new records may wait at the master.
const PATIENCE_MS: i64 = 10_000;

/// Follows the master for as long as this agent is a member. Runs on a thread of its own.
pub fn follow_master(agent: &Arc<Agent>) {
    let mut failures: u32 = 0;
    loop {
        let Standing::Member { master } = agent.standing() else {
            failures = 0;
            std::thread::sleep(Duration::from_millis(200));
            continue;
        };
        match pull(agent, &master) {
            Ok(()) => failures = 0,
            Err(failure) => {
                failures = failures.saturating_add(1);
                if failures % 50 == 1 {
                    tracing::warn!(%master, "the master's database cannot be followed: {failure}");
                }
                std::thread::sleep(Duration::from_millis(200));
            }
        }
    }
}

/// Asks once for what is new and takes it.
pub fn pull(agent: &Agent, master: &str) -> Answer<()> {
    let position = serde_json::to_string(&agent.store.position())
        .map_err(|error| Failure::internal(error.to_string()))?;
    let params = [
        Value::from(agent.config.host.to_string()),
        Value::from(position),
        Value::Int(PATIENCE_MS),
    ];
    let answer = agent.peers.call(master, "follow", &params)?;
    let text = answer.get("bytes").and_then(Value::as_str).unwrap_or("");
    let bytes = STANDARD.decode(text).map_err(|error| Failure::internal(error.to_string()))?;
    // Another master may have come meanwhile: what an older one says does not count any more.
    if agent.standing() != (Standing::Member { master: master.to_owned() }) {
        return Ok(());
    }
    agent.store.adopt(&bytes)
}

/// Reports this host every few seconds, and ended VMs at once. Runs on a thread of its own.
pub fn report_host(agent: &Arc<Agent>) {
    let mut first = true;
    let mut since_report = REPORT;
    let mut ended: Vec<Ended> = Vec::new();
    loop {
        if let Ok(exits) = agent.driver.exits() {
            ended.extend(exits.into_iter().map(|e| Ended { vm: e.vm, run: e.run, kind: e.kind }));
        }
        if since_report >= REPORT {
            match send(agent, first) {
                Ok(()) => first = false,
                Err(failure) => tracing::debug!("this host could not be reported: {failure}"),
            }
            since_report = Duration::ZERO;
        }
        if !ended.is_empty() && send_exits(agent, &ended).is_ok() {
            ended.clear();
        }
        std::thread::sleep(EXITS);
        since_report += EXITS;
    }
}

fn send(agent: &Agent, first: bool) -> Answer<()> {
    let facts = Facts {
        memory: agent.config.memory,
        cpus: agent.config.cpus,
        first,
        figures: super::ha::figures::own(agent),
        stuck: agent.ailments.stuck(),
        unwritten: agent.store.unwritten(),
        legs_down: bonds::legs_down(Path::new("/sys/class/net")),
        ..Facts::of(agent.config.host, &agent.boot)
    };
    match agent.standing() {
        Standing::Master { .. } => host_facts::report(agent, &facts),
        Standing::Member { master } => {
            let text = serde_json::to_string(&facts)
                .map_err(|error| Failure::internal(error.to_string()))?;
            agent.peers.call(&master, "host_up", &[Value::from(text)]).map(|_| ())
        }
        Standing::Emergency(why) => Err(why),
    }
}

fn send_exits(agent: &Arc<Agent>, ended: &[Ended]) -> Answer<()> {
    let host = agent.config.host.to_string();
    match agent.standing() {
        Standing::Master { .. } => super::vm::exits::handle(agent, &host, ended.to_vec()),
        Standing::Member { master } => {
            let text = serde_json::to_string(ended)
                .map_err(|error| Failure::internal(error.to_string()))?;
            let params = [Value::from(host), Value::from(text)];
            agent.peers.call(&master, "exits", &params).map(|_| ())
        }
        Standing::Emergency(why) => Err(why),
    }
}
