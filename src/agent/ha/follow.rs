//! From the daemon's word to this agent's standing: master, member, or neither.

use super::{Session, address_of, boot, client, daemon, disable, emergency, is_armed, refusal};
use super::{leave, near_misses, pause, session, takeover, view};
use crate::agent::master_change::{self, step_down};
use crate::agent::standing::Standing;
use crate::agent::{Agent, maintenance, pool_ref, reconcile, recover, vm};
use crate::heartbeat::Liveset;
use crate::heartbeat::liveset::Phase;
use crate::xenapi::Failure;
use crate::xenapi::failure::Answer;
use std::sync::Arc;
use std::time::Duration;

/// Watches the heartbeat daemon. Runs on a thread of its own.
pub fn watch(agent: &Arc<Agent>) {
    let lease_agent = Arc::clone(agent);
    std::thread::spawn(move || daemon::keep_agent_lease(&lease_agent));
    let watching = Arc::clone(agent);
    std::thread::spawn(move || near_misses::watch(&watching));
    let pausing = Arc::clone(agent);
    std::thread::spawn(move || pause::watch(&pausing));
    let keeping_out = Arc::clone(agent);
    std::thread::spawn(move || maintenance::watch(&keeping_out));
    let mut asked = 0_u32;
    loop {
        std::thread::sleep(Duration::from_millis(200));
        if maintenance::is_out(agent) {
            *agent.ha.locked() = None;
            continue;
        }
        let stays_off = emergency::is_marked(agent);
        let Some(kept) = session(agent).filter(|session| session.armed && !stays_off) else {
            asked += 1;
            if asked % 50 == 1 && !stays_off {
                look_for_session(agent);
            }
            continue;
        };
        if agent.ha.start.is_fresh(kept.generation) {
            continue;
        }
        if let Err(failure) = follow_daemon(agent, &kept) {
            tracing::warn!("the heartbeat daemon cannot be followed: {failure}");
            step_down(agent, Standing::Emergency(failure));
            std::thread::sleep(Duration::from_secs(1));
        }
    }
}

/// A host that keeps no session looks every ten seconds whether its pool has one (S97, S98). One
/// that was the master when HA was switched off on it alone first looks for its successor.
fn look_for_session(agent: &Arc<Agent>) {
    if matches!(agent.standing(), Standing::Emergency(_)) && emergency::is_left(agent) {
        match master_change::successor(agent) {
            Some(master) => master_change::follow(agent, &master),
            None => return,
        }
    }
    let db = agent.store.read();
    let on = pool_ref(&db).is_some_and(|pool| db.flag("pool", pool, "ha_enabled"));
    if on
        && session(agent).is_none()
        && let Err(failure) = boot::settle(agent)
    {
        tracing::warn!("this host cannot join its pool's HA: {failure}");
    }
}

/// Follows the daemon until its connection ends.
fn follow_daemon(agent: &Arc<Agent>, kept: &Session) -> Answer<()> {
    daemon::ensure(agent)?;
    let client = client(agent)?;
    if client.liveset().map_err(refusal)?.phase == Phase::Off {
        if leave::is_leaving(agent) {
            // Its session is over, and the machine goes down.
            *agent.ha.locked() = None;
            return Ok(());
        }
        boot::settle(agent)?;
        if session(agent).as_ref() != Some(kept) {
            return Ok(());
        }
    }
    for liveset in client.subscribe().map_err(refusal)? {
        if agent.ha.liveset().is_none() {
            // Until now no VM might start here (R6.1 for an agent that has just begun).
            agent.gate.raise(kept.epoch_base + liveset.epoch);
        }
        view::announce(agent, agent.ha.liveset().as_ref(), &liveset);
        let before = agent.ha.locked().replace(liveset.clone());
        react(agent, kept, before.as_ref(), &liveset);
        let over = liveset.phase == Phase::Off && before.is_some_and(|it| it.phase != Phase::Off);
        if over {
            break;
        }
        if !is_armed(agent) || maintenance::is_out(agent) {
            return Ok(());
        }
    }
    *agent.ha.locked() = None;
    Ok(())
}

/// Turns a living set into this agent's standing.
fn react(agent: &Arc<Agent>, kept: &Session, before: Option<&Liveset>, now: &Liveset) {
    match now.phase {
        Phase::Armed => {}
        Phase::Disarmed => return disable::went_off(agent, now),
        _ => {
            if now.phase != Phase::Off {
                let failure = Failure::bare("HOST_STILL_BOOTING");
                step_down(agent, Standing::Emergency(failure));
            }
            return;
        }
    }
    let epoch = kept.epoch_base + now.epoch;
    if now.is_master {
        let stalled = !agent.store.has_volume();
        let standing = agent.standing();
        if now.may_act && (stalled || standing != (Standing::Master { epoch })) {
            promote(agent, kept, epoch);
        } else if matches!(standing, Standing::Member { .. }) {
            // The one that it followed is no master any more, and it may not act yet (R6.1).
            step_down(agent, Standing::Emergency(Failure::bare("HOST_STILL_BOOTING")));
        }
    } else if let Some(address) = now.master.and_then(|master| address_of(kept, master)) {
        agent.store.set_volume(None);
        step_down(agent, Standing::Member { master: address });
    } else {
        step_down(agent, Standing::Emergency(Failure::bare("HOST_STILL_BOOTING")));
    }
    if now.is_master {
        view::changed(agent, before, now);
    }
}

/// Becomes the master of an epoch: the newest acknowledged state first, then the right to write.
fn promote(agent: &Arc<Agent>, kept: &Session, epoch: u64) {
    let renewed = agent.standing().is_master();
    if renewed && agent.store.has_volume() {
        // The same master in a new view: its lease follows the view by itself.
        agent.set_standing(Standing::Master { epoch });
        return scan_members(agent);
    }
    if let Err(failure) = takeover::take_over(agent, kept, epoch) {
        // A host that cannot read the newest state hands the mastership on.
        agent.history.note(
            "promotion-failed",
            &failure.to_string(),
            serde_json::json!({
                "epoch": epoch,
            }),
        );
        if let Ok(client) = client(agent) {
            let _ = client.give_up_mastership(None);
        }
        return;
    }
    let Ok(lease_client) = client(agent) else { return };
    let base = kept.epoch_base;
    let lease = Box::new(move || {
        let refused = |why: String| Failure::new("HA_LOST_STATEFILE", [why]);
        let lease = lease_client.check_lease().map_err(|error| refused(error.to_string()))?;
        if lease.act {
            Ok(base + lease.epoch)
        } else {
            Err(refused("this host may not act as master now".to_owned()))
        }
    });
    if let Err(failure) = master_change::assume(agent, epoch, lease) {
        agent.history.note("promotion-failed", &failure.to_string(), serde_json::json!({}));
        return;
    }
    if !renewed {
        vm::message(agent, "POOL_MASTER_TRANSITION", 4, "Host", &agent.config.host.to_string(), "");
    }
    scan_members(agent);
}

/// Asks every live host what really runs there, in this epoch (R6.3). VMs without an open intent
/// are not delayed by it.
fn scan_members(agent: &Arc<Agent>) {
    let Some(liveset) = agent.ha.liveset() else { return };
    let db = agent.store.read();
    for member in liveset.members {
        let Some(host) = db.by_uuid("host", &member.to_string()).map(str::to_owned) else {
            continue;
        };
        let agent = Arc::clone(agent);
        std::thread::spawn(move || {
            if let Err(failure) = reconcile::reconcile(&agent, &host) {
                agent.history.note(
                    "not-scanned",
                    &failure.to_string(),
                    serde_json::json!({
                        "host": member,
                    }),
                );
            }
            recover::wake(&agent);
        });
    }
}
