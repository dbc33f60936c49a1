//! Disabling: by a decided view when the statefile answers (R9.2), else host by host, with
//! failover blocked everywhere before the first host disarms (R9.3, S95).

use uuid::Uuid;

use super::Awaited;

/// What the agent must do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Have the state "off-pending" decided, acknowledged by every member.
    DecideOffPending,
    /// Have the state "off" decided: every member disarms by it.
    DecideOff,
    /// Without a statefile: make this host refuse starts and restarts.
    BlockFailover(Uuid),
    /// Without a statefile: disarm this host once every other has echoed its mark.
    Disarm(Uuid),
    /// Stop this host's daemon.
    StopDaemon(Uuid),
    /// Write "HA is off" to the pool's database, and drop statefile and keys.
    ClearPoolFlag,
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A step without a host was done.
    Done,
    /// This host did its part.
    HostDone(Uuid),
    /// A step failed.
    Failed(String),
    /// This host failed, or did not answer.
    HostFailed(Uuid, String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    OffPending,
    Off,
    Blocking(Awaited),
    Disarming(Awaited),
    Stopping(Awaited),
    Clearing,
    Over(Result<(), String>),
}

/// One attempt to disable HA.
#[derive(Debug, Clone)]
pub struct Disable {
    members: Vec<Uuid>,
    stage: Stage,
}

impl Disable {
    /// Begins. `members` are the members of the view; hosts that are away read "off" from the
    /// statefile when they return (S94).
    pub fn begin(members: &[Uuid], statefile_ok: bool) -> (Self, Vec<Step>) {
        let members = members.to_vec();
        if statefile_ok {
            let disable = Disable { members, stage: Stage::OffPending };
            return (disable, vec![Step::DecideOffPending]);
        }
        let steps = members.iter().copied().map(Step::BlockFailover).collect();
        let stage = Stage::Blocking(Awaited::all(&members));
        (Disable { members, stage }, steps)
    }

    /// How it ended, once it has.
    pub fn outcome(&self) -> Option<&Result<(), String>> {
        match &self.stage {
            Stage::Over(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// Takes an event and gives the next steps.
    pub fn event(&mut self, event: Event) -> Vec<Step> {
        match (&mut self.stage, event) {
            (Stage::Over(_), _) => Vec::new(),
            // A daemon that does not stop is disarmed all the same.
            (Stage::Stopping(awaited), Event::HostDone(host) | Event::HostFailed(host, _)) => {
                if !awaited.answered(host) {
                    return Vec::new();
                }
                self.stage = Stage::Clearing;
                vec![Step::ClearPoolFlag]
            }
            (_, Event::HostFailed(host, why)) => self.over(format!("host {host}: {why}")),
            (_, Event::Failed(why)) => self.over(why),
            (Stage::OffPending, Event::Done) => {
                self.stage = Stage::Off;
                vec![Step::DecideOff]
            }
            (Stage::Off, Event::Done) => self.stop_all(),
            (Stage::Blocking(awaited), Event::HostDone(host)) => {
                if !awaited.answered(host) {
                    return Vec::new();
                }
                self.stage = Stage::Disarming(Awaited::all(&self.members));
                self.members.iter().copied().map(Step::Disarm).collect()
            }
            // Every daemon goes on answering until all are disarmed: the others' leases may
            // depend on it.
            (Stage::Disarming(awaited), Event::HostDone(host)) => {
                if awaited.answered(host) {
                    self.stop_all()
                } else {
                    Vec::new()
                }
            }
            (Stage::Clearing, Event::Done) => {
                self.stage = Stage::Over(Ok(()));
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn stop_all(&mut self) -> Vec<Step> {
        self.stage = Stage::Stopping(Awaited::all(&self.members));
        self.members.iter().copied().map(Step::StopDaemon).collect()
    }

    /// It failed: HA stays as far on as it is; the next attempt goes on from there.
    fn over(&mut self, why: String) -> Vec<Step> {
        self.stage = Stage::Over(Err(why));
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> Vec<Uuid> {
        (1..=3).map(Uuid::from_u128).collect()
    }

    fn all_done(disable: &mut Disable) -> Vec<Step> {
        hosts().into_iter().flat_map(|host| disable.event(Event::HostDone(host))).collect()
    }

    #[test]
    fn s93_clean_off_pending_then_off_then_stop() {
        let (mut disable, steps) = Disable::begin(&hosts(), true);
        assert_eq!(steps, [Step::DecideOffPending]);
        assert_eq!(disable.event(Event::Done), [Step::DecideOff]);
        assert_eq!(disable.event(Event::Done).len(), 3);
        assert_eq!(all_done(&mut disable), [Step::ClearPoolFlag]);
        disable.event(Event::Done);
        assert_eq!(disable.outcome(), Some(&Ok(())));
    }

    #[test]
    fn s95_without_a_statefile_all_are_blocked_before_the_first_disarms() {
        let (mut disable, steps) = Disable::begin(&hosts(), false);
        assert!(steps.iter().all(|step| matches!(step, Step::BlockFailover(_))));
        assert!(disable.event(Event::HostDone(hosts()[0])).is_empty());
        assert!(disable.event(Event::HostDone(hosts()[0])).is_empty(), "an answer counts once");
        disable.event(Event::HostDone(hosts()[1]));
        let steps = disable.event(Event::HostDone(hosts()[2]));
        assert!(steps.len() == 3 && matches!(steps[0], Step::Disarm(_)));
        assert!(matches!(all_done(&mut disable)[0], Step::StopDaemon(_)));
    }

    #[test]
    fn a_host_that_does_not_answer_stops_the_disarming() {
        let (mut disable, _) = Disable::begin(&hosts(), false);
        let steps = disable.event(Event::HostFailed(hosts()[1], "no answer".to_owned()));
        assert!(steps.is_empty());
        assert!(disable.outcome().unwrap().as_ref().unwrap_err().contains("no answer"));
    }
}
