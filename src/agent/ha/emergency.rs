//! Emergency disable: one host alone, without any decision (R9.3), as [`crate::ha::emergency`]
//! plans.
//!
//! The pool goes on with HA, so this host is nobody's master any more, also when it was: another
//! host is, or will be. It takes part again after a reboot and not before, since its VMs may run
//! elsewhere by then; meanwhile the operator may tell it who is master
//! (pool-emergency-reset-master). Only the operator's word makes it a master without HA
//! (pool-emergency-transition-to-master).

use super::{client, forget, keep, refusal, session};
use crate::agent::standing::Standing;
use crate::agent::{Agent, config, master_change, starts};
use crate::ha::emergency::{Facts, Plan, Step, plan};
use crate::heartbeat::liveset::Liveness;
use crate::xenapi::Failure;
use crate::xenapi::failure::Answer;
use crate::xhad::control::Client;
use std::sync::Arc;
use std::time::Duration;

/// How long the daemon may take beyond T until it has disarmed.
const BEYOND: Duration = Duration::from_secs(15);

/// What an emergency disable would do here now.
pub fn planned(agent: &Agent, may_run_twice: bool) -> Answer<Plan> {
    facts(agent, may_run_twice).map(plan)
}

/// Switches HA off on this host alone. `soft` leaves it armed for the next start; `may_run_twice`
/// is the operator's word that its VMs may be started elsewhere while they run here.
pub fn disable(agent: &Arc<Agent>, soft: bool, may_run_twice: bool) -> Answer<()> {
    let Some(kept) = session(agent) else {
        return if soft { Ok(()) } else { Err(Failure::bare("HA_NOT_ENABLED")) };
    };
    let plan = planned(agent, may_run_twice)?;
    agent.history.note(
        "emergency-ha-disable",
        &plan.warning(),
        serde_json::json!({
            "soft": soft, "steps": format!("{:?}", plan.steps),
        }),
    );
    let client = client(agent)?.with_timeout(Duration::from_secs(kept.timeout_s.into()) + BEYOND);
    if plan.steps.first() == Some(&Step::HandOver) && hands_over(&client) {
        // The daemon ends this agent now (R6.2); the next one is a member's and is asked again.
        std::thread::sleep(Duration::from_secs(30));
        return Err(Failure::bare("HOST_STILL_BOOTING"));
    }
    for step in plan.steps {
        match step {
            // Nobody can take it over: the others wait for this host's reboot, or a word.
            Step::HandOver => {}
            Step::RefuseVms => set_mark(agent)?,
            Step::StopVms => stop_all_vms(agent).inspect_err(|_| clear_mark(agent))?,
            Step::Disarm => client.disarm_fencing(false).map_err(refusal)?,
            Step::DisarmByForce => client.disarm_fencing(true).map_err(refusal)?,
            Step::ClearLocalFlag if soft => keep(agent, &kept)?,
            Step::ClearLocalFlag => forget(agent),
        }
    }
    // A master's lease has ended with that already: whatever it still does fails (R4.4).
    let waiting = Standing::Emergency(Failure::bare("HA_POOL_IS_ENABLED_BUT_HOST_IS_DISABLED"));
    master_change::step_down(agent, waiting);
    agent.store.set_volume(None);
    let _ = client.stop();
    set_mark(agent)
}

/// Whether another host takes the mastership over. Agents that have just begun are waited for.
fn hands_over(client: &Client) -> bool {
    (0..HEIRS.1).any(|round| {
        std::thread::sleep(if round == 0 { Duration::ZERO } else { HEIRS.0 });
        client.give_up_mastership(None).is_ok()
    })
}

/// How often an heir is looked for, and how many times.
const HEIRS: (Duration, u32) = (Duration::from_millis(250), 40);

/// The boot in which the operator switched HA off on this host: it does not come back by itself.
fn mark(agent: &Agent) -> Option<std::path::PathBuf> {
    agent.state_dir.as_ref().map(|dir| dir.join("ha-emergency.json"))
}

fn set_mark(agent: &Agent) -> Answer<()> {
    let Some(path) = mark(agent) else { return Ok(()) };
    config::write(&path, &agent.boot).map_err(|error| Failure::internal(format!("{error:#}")))
}

/// Lets this host take part in HA again.
pub fn clear_mark(agent: &Agent) {
    if let Some(path) = mark(agent) {
        let _ = std::fs::remove_file(path);
    }
}

/// Whether HA was switched off on this host alone, in this boot or an earlier one, and nobody has
/// said since what it is in its pool.
pub fn is_left(agent: &Agent) -> bool {
    mark(agent).is_some_and(|path| path.exists())
}

/// Whether the operator switched HA off on this host in this boot.
pub fn is_marked(agent: &Agent) -> bool {
    mark(agent).and_then(|path| config::read::<String>(&path).ok()).as_ref() == Some(&agent.boot)
}

fn facts(agent: &Agent, may_run_twice: bool) -> Answer<Facts> {
    let liveset = client(agent)?.liveset().ok();
    let armed = liveset
        .as_ref()
        .is_some_and(|set| set.hosts.iter().any(|host| Some(host.uuid) == set.me && host.armed));
    let others = liveset.iter().flat_map(|set| {
        set.hosts
            .iter()
            .filter(|host| set.members.contains(&host.uuid) && Some(host.uuid) != set.me)
    });
    Ok(Facts {
        armed,
        others: others.clone().count(),
        storage_lost_by_all: liveset.as_ref().is_some_and(|set| set.storage_lost_by_all),
        all_heard: others.clone().all(|host| host.liveness == Liveness::Live),
        may_run_twice,
        is_master: liveset.as_ref().is_some_and(|set| set.is_master),
    })
}

/// The others may restart this host's VMs: none may be left here.
fn stop_all_vms(agent: &Agent) -> Answer<()> {
    for vm in starts::scan_after(agent)? {
        agent.driver.hard_stop(vm.vm).map_err(|error| Failure::internal(error.to_string()))?;
        let why = "emergency disable without the others' knowledge";
        agent.history.note("vm-stopped", why, serde_json::json!({ "vm": vm.vm }));
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::agent::{config::Config, init, start};
    use crate::host::faults::Faults;
    use crate::host::hypervisor::Kind;

    /// The agent of a host that is alone in its pool.
    pub fn agent_of(dir: &std::path::Path) -> Arc<Agent> {
        let config = Config {
            host: uuid::Uuid::from_u128(1),
            name: "anna".to_owned(),
            address: [127, 0, 0, 1].into(),
            https_port: 1,
            http_port: None,
            socket: dir.join("socket"),
            udp_port: 1,
            hypervisor: Kind::Sim,
            accelerator: String::new(),
            memory: 1 << 30,
            cpus: 1,
            watchdog: serde_json::Value::Null,
        };
        init::create(dir, &config, "word").unwrap();
        start::open(dir, Faults::none()).unwrap()
    }

    #[test]
    fn a_host_that_is_made_the_master_later_waits_no_more_when_it_starts() {
        let dir = tempfile::tempdir().unwrap();
        let agent = agent_of(dir.path());
        set_mark(&agent).unwrap();
        assert!(is_left(&agent) && is_marked(&agent));
        master_change::become_master(&agent).unwrap();
        assert!(!is_left(&agent));
    }
}
