//! Switching a host off cleanly with HA on (R9.4, S99, S101): the steps, and what a failure leaves.

/// What is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Whether this host takes part in its pool's HA.
    pub armed: bool,
    /// Whether its daemon runs a session; one in maintenance has left already.
    pub in_session: bool,
    /// Whether it is the master.
    pub is_master: bool,
}

/// What is done, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Refuse VMs from now on, then count: none may be here (R5.3c).
    AssertEmpty,
    /// Hand the mastership to another host.
    GiveUpMastership,
    /// Show the mark "leaving, no VMs here" until a view goes on without this host; it disarms.
    SetExcluded,
    /// End the session.
    StopDaemon,
    /// Switch the machine off.
    SwitchOff,
}

/// What becomes of the refusal of VMs when a step failed, and the machine stays up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It ends: this host is a member as before, or joins in a new session.
    Ends,
    /// It stays for this boot: others may have read that no VM is here, and may act by it at any
    /// time.
    Stays,
}

/// The steps for one host.
pub fn steps(facts: Facts) -> Vec<Step> {
    if !facts.armed {
        return vec![Step::SwitchOff];
    }
    let mut steps = vec![Step::AssertEmpty];
    if facts.in_session {
        steps.extend(facts.is_master.then_some(Step::GiveUpMastership));
        steps.extend([Step::SetExcluded, Step::StopDaemon]);
    }
    steps.push(Step::SwitchOff);
    steps
}

/// What follows when a step failed; `refused` when the daemon has not even begun with it.
pub fn after_failure(step: Step, refused: bool) -> Refusal {
    match step {
        Step::AssertEmpty | Step::GiveUpMastership | Step::SwitchOff => Refusal::Ends,
        Step::SetExcluded if refused => Refusal::Ends,
        Step::SetExcluded | Step::StopDaemon => Refusal::Stays,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASTER: Facts = Facts { armed: true, in_session: true, is_master: true };

    #[test]
    fn s99_a_clean_shutdown_leaves_before_the_machine_goes_down() {
        let order = [
            Step::AssertEmpty,
            Step::GiveUpMastership,
            Step::SetExcluded,
            Step::StopDaemon,
            Step::SwitchOff,
        ];
        assert_eq!(steps(MASTER), order);
        let member = steps(Facts { is_master: false, ..MASTER });
        assert!(!member.contains(&Step::GiveUpMastership));
    }

    #[test]
    fn a_host_in_maintenance_and_one_without_ha_have_nothing_to_leave() {
        let left = Facts { in_session: false, is_master: false, ..MASTER };
        assert_eq!(steps(left), [Step::AssertEmpty, Step::SwitchOff]);
        assert_eq!(steps(Facts { armed: false, ..MASTER }), [Step::SwitchOff]);
    }

    #[test]
    fn a_mark_that_was_shown_is_kept_to() {
        assert_eq!(after_failure(Step::SetExcluded, true), Refusal::Ends);
        assert_eq!(after_failure(Step::SetExcluded, false), Refusal::Stays);
        assert_eq!(after_failure(Step::StopDaemon, false), Refusal::Stays);
    }

    #[test]
    fn s101_a_host_that_stays_serves_again() {
        assert_eq!(after_failure(Step::AssertEmpty, false), Refusal::Ends);
        assert_eq!(after_failure(Step::GiveUpMastership, false), Refusal::Ends);
        assert_eq!(after_failure(Step::SwitchOff, false), Refusal::Ends);
    }
}
