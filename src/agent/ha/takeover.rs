//! The metadata volumes in the hands of a master.

use super::Session;
use crate::agent::Agent;
use crate::agent::volumes::{self, Volumes};
use crate::host::faults::Faults;
use crate::pool::journal::{Position, Record};
use crate::xenapi::Failure;
use crate::xenapi::failure::Answer;
use std::sync::Arc;

/// Makes this host the writer of the volumes in an epoch: takes what they have and this host lacks,
/// then a segment of its own on each.
pub fn take_over(agent: &Arc<Agent>, session: &Session, epoch: u64) -> Answer<()> {
    let failed = |error: std::io::Error| Failure::new("XE_METADATA_VOLUME", [error.to_string()]);
    let faults = Faults::from_environment();
    // Nothing may count meanwhile because it is in this host's own journal.
    agent.store.set_lease(None);
    agent.store.set_volume(None);
    let paths = session.metadata_paths();
    let newest = volumes::read(&paths, &faults).map_err(failed)?;
    let there = newest.replayed.position;
    let here = agent.store.position();
    if is_newer(&there, &here) {
        let record = Record::snapshot(&newest.replayed.database, &there, "");
        let (bytes, _) =
            record.encode(&there).map_err(|error| Failure::internal(error.to_string()))?;
        agent.store.adopt(&bytes)?;
    }
    let reader = Arc::clone(agent);
    let snapshot = Box::new(move || reader.store.snapshot_for_writer());
    let volumes = Volumes::begin(&paths, &faults, epoch, snapshot).map_err(failed)?;
    agent.store.set_volume(Some(Box::new(volumes)));
    Ok(())
}

/// Hands the mastership on from a host that cannot write its own journal any more, such as on a
/// full disk (S120): it could record no restart. The daemon ends this agent before another host is
/// master (R6.2), and the one that it starts then reads what is on the disk and on the volumes.
pub fn hand_on_if_broken(agent: &Agent) {
    let alone = agent.ha.liveset().is_none_or(|set| set.members.len() < 2);
    if alone || !agent.store.is_broken() || !super::is_armed(agent) {
        return;
    }
    let why = agent.store.unwritten().unwrap_or_default();
    agent.history.note("hands-over", &why, serde_json::json!({}));
    let asked = super::client(agent)
        .and_then(|client| client.give_up_mastership(None).map_err(super::refusal));
    if let Err(failure) = asked {
        // The next look asks again.
        tracing::warn!("the mastership cannot be handed on: {failure}");
    }
}

/// Whether the volume's state is to be taken instead of this host's. A record reaches the volume
/// before any host, so a host is never ahead of it within a session; an older session is behind.
fn is_newer(there: &Position, here: &Position) -> bool {
    (there.epoch, there.generation) > (here.epoch, here.generation)
}
