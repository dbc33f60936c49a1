//! `ha_propose_master`: TRUE only from the moment at which this host may act as master.

use std::time::{Duration, Instant};

use super::exit::{Exit, Failure};
use super::{Context, acting, session_runs};
use crate::xhad::control::{Phase, RefusedKind};

/// How long to wait beyond T for the death of an earlier master to become certain.
const BEYOND: Duration = Duration::from_secs(15);

/// Whether this host is the master and may act.
///
/// A decided view may name this host while the earlier master is out of the view and not yet
/// dead for certain. The answer waits for that, so that no two hosts are ever told TRUE.
///
/// A toolstack that asks as a master is made known to xhad first: should the mastership leave this
/// host later, exactly that process is ended before another host is told TRUE.
pub fn propose(context: &Context) -> Result<bool, Failure> {
    let client = &context.settings.client();
    if !session_runs(client)? {
        return Err(Failure::absent());
    }
    let liveset = client.liveset()?;
    if liveset.phase != Phase::Armed {
        let sentence = "this host is no member of the living set";
        return Err(Failure::new(Exit::HostState, sentence));
    }
    match client.propose_master() {
        Ok(()) => {}
        Err(error) => {
            return match error.kind() {
                Some(RefusedKind::NotMaster | RefusedKind::TimedOut) => Ok(false),
                _ => Err(error.into()),
            };
        }
    }
    acting::register(context, client)?;
    let end = Instant::now() + Duration::from_secs(u64::from(liveset.timeout_s)) + BEYOND;
    while Instant::now() < end {
        if client.check_lease()?.act {
            return Ok(true);
        }
        if !client.liveset()?.is_master {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(false)
}
