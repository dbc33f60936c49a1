//! Shutting a host down cleanly with HA on, and taking it back (R9.4, S99, S101).

/// What the agent must do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Disable the host: no new VM comes.
    DisableHost,
    /// Hand the mastership to another host first.
    GiveUpMastership,
    /// Move every VM away.
    Evacuate,
    /// Have the daemon leave: it marks "no VMs here", a view goes on without it, it disarms.
    SetExcluded,
    /// Stop the daemon.
    StopDaemon,
    /// Shut the machine down.
    ShutDown,
    /// Way back after an exclusion: begin a new session.
    Rejoin,
}

/// What came of the last step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It was done.
    Done,
    /// It failed.
    Failed(String),
}

/// Why a clean shutdown is not begun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No view can be decided.
    #[error("the statefile is lost; no view without this host can be decided")]
    NoStatefile,
    /// Nobody is left.
    #[error("this is the last host of the view; switch HA off instead")]
    LastHost,
}

/// One clean shutdown.
#[derive(Debug, Clone)]
pub struct Leave {
    steps: std::collections::VecDeque<Step>,
    current: Option<Step>,
    outcome: Option<Result<(), String>>,
}

impl Leave {
    /// Begins a shutdown of a host of a view with so many members.
    pub fn begin(
        members: usize,
        is_master: bool,
        statefile_ok: bool,
    ) -> Result<(Self, Step), Refusal> {
        if members <= 1 {
            return Err(Refusal::LastHost);
        }
        if !statefile_ok {
            return Err(Refusal::NoStatefile);
        }
        let mut steps = vec![Step::DisableHost, Step::Evacuate];
        if is_master {
            steps.push(Step::GiveUpMastership);
        }
        steps.extend([Step::SetExcluded, Step::StopDaemon, Step::ShutDown]);
        let mut steps = std::collections::VecDeque::from(steps);
        let first = steps.pop_front().unwrap_or(Step::DisableHost);
        Ok((Leave { steps, current: Some(first.clone()), outcome: None }, first))
    }

    /// How it ended, once it has.
    pub fn outcome(&self) -> Option<&Result<(), String>> {
        self.outcome.as_ref()
    }

    /// Takes what came of the last step and gives the next one.
    pub fn event(&mut self, event: Event) -> Option<Step> {
        let current = self.current.take()?;
        match (event, current) {
            (Event::Done, Step::ShutDown) => self.outcome = Some(Ok(())),
            (Event::Done, Step::Rejoin) => {}
            (Event::Done, _) => self.current = self.steps.pop_front(),
            // Up to here the host is a member: it stays up, disabled, and says why (S101).
            (
                Event::Failed(why),
                Step::DisableHost | Step::Evacuate | Step::GiveUpMastership | Step::SetExcluded,
            ) => self.outcome = Some(Err(why)),
            (Event::Failed(why), _) => {
                self.outcome = Some(Err(why));
                self.current = Some(Step::Rejoin);
            }
        }
        self.current.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s99_a_clean_shutdown_leaves_before_it_disarms() {
        let (mut leave, first) = Leave::begin(3, true, true).unwrap();
        let mut steps = vec![first];
        while let Some(step) = leave.event(Event::Done) {
            steps.push(step);
        }
        let order = [
            Step::DisableHost,
            Step::Evacuate,
            Step::GiveUpMastership,
            Step::SetExcluded,
            Step::StopDaemon,
            Step::ShutDown,
        ];
        assert_eq!(steps, order);
        assert_eq!(leave.outcome(), Some(&Ok(())));
    }

    #[test]
    fn s101_a_vm_that_does_not_move_keeps_the_host_up() {
        let (mut leave, _) = Leave::begin(3, false, true).unwrap();
        assert_eq!(leave.event(Event::Done), Some(Step::Evacuate));
        assert_eq!(leave.event(Event::Failed("VM db1 has no room".to_owned())), None);
        assert_eq!(leave.outcome(), Some(&Err("VM db1 has no room".to_owned())));
    }

    #[test]
    fn a_machine_that_does_not_go_down_rejoins() {
        let (mut leave, _) = Leave::begin(2, false, true).unwrap();
        for _ in 0..4 {
            leave.event(Event::Done);
        }
        assert_eq!(leave.event(Event::Failed("busy".to_owned())), Some(Step::Rejoin));
    }

    #[test]
    fn without_a_decision_it_is_not_begun() {
        assert_eq!(Leave::begin(3, false, false).unwrap_err(), Refusal::NoStatefile);
        assert_eq!(Leave::begin(1, false, true).unwrap_err(), Refusal::LastHost);
    }
}
