//! Jobs of a master that no view names are refused: it became one without HA, by an operator's
//! word, beside the master that the views name.

use super::{Session, session};
use crate::agent::Agent;
use crate::heartbeat::liveset::Phase;
use crate::xenapi::Failure;
use crate::xenapi::failure::Answer;
use std::time::{Duration, Instant};

/// Added to the epoch of who is made master by hand while its pool has HA on: more views than any
/// session sees, one a second for a century.
pub const BEYOND_VIEWS: u64 = 1 << 32;
/// How long a job may be ahead of the view that this host knows.
const AHEAD: Duration = Duration::from_secs(5);

/// Refuses a job of an epoch that no view of this host's has reached. The newest view may come a
/// little later than its master's job, and so may the first word of the daemon to this agent.
pub fn assert_of_view(agent: &Agent, epoch: u64) -> Answer<()> {
    let Some(session) = session(agent).filter(|session| session.armed) else { return Ok(()) };
    if epoch >= session.epoch_base + BEYOND_VIEWS / 2 {
        return Err(refusal(epoch));
    }
    let begun = Instant::now();
    while is_ahead(agent, &session, epoch) {
        if begun.elapsed() > AHEAD {
            // Without a daemon no VM is started here, whoever asks; and HA can be switched off.
            return agent.ha.liveset().map_or(Ok(()), |_| Err(refusal(epoch)));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn is_ahead(agent: &Agent, session: &Session, epoch: u64) -> bool {
    match agent.ha.liveset() {
        Some(set) => set.phase == Phase::Armed && epoch > session.epoch_base + set.epoch,
        None => epoch > session.epoch_base,
    }
}

fn refusal(epoch: u64) -> Failure {
    let why = format!(
        "a job of epoch {epoch} came from a master that no decided view names; this host has HA on"
    );
    Failure::new("OPERATION_NOT_ALLOWED", [why])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::ha::{Settings, emergency, keep};
    use crate::heartbeat::liveset::Liveset;
    use uuid::Uuid;

    fn armed(epoch_base: u64) -> Session {
        Session {
            generation: Uuid::from_u128(7),
            key_hex: "00".repeat(32),
            timeout_s: 10,
            hosts: Vec::new(),
            statefiles: Vec::new(),
            metadata: Vec::new(),
            settings: Settings::default(),
            witness: None,
            links: Vec::new(),
            disk_cycle: 0,
            epoch_base,
            first_master: Uuid::from_u128(1),
            armed: true,
        }
    }

    #[test]
    fn an_armed_host_does_nothing_for_a_master_that_no_view_names() {
        let dir = tempfile::tempdir().unwrap();
        let agent = emergency::tests::agent_of(dir.path());
        assert_eq!(assert_of_view(&agent, u64::MAX), Ok(()), "without HA every master is one");
        keep(&agent, &armed(100)).unwrap();
        // The daemon has not spoken yet: who was made master by hand is known by its epoch.
        assert!(assert_of_view(&agent, 101 + BEYOND_VIEWS).is_err());
        assert_eq!(assert_of_view(&agent, 100), Ok(()));
        let view = Liveset { phase: Phase::Armed, epoch: 3, ..Liveset::off() };
        *agent.ha.locked() = Some(view);
        assert_eq!(assert_of_view(&agent, 103), Ok(()));
        assert!(assert_of_view(&agent, 101 + BEYOND_VIEWS).is_err());
        assert!(assert_of_view(&agent, 104).is_err(), "no view of that epoch comes");
    }
}
