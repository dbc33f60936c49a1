//! Disarming one host without any decision (R9.3): what it costs, and in which order.

/// What is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Whether this host is armed.
    pub armed: bool,
    /// How many other members the view has.
    pub others: usize,
    /// Whether every member has lost the disk, so that each lease needs every member.
    pub storage_lost_by_all: bool,
    /// Whether every other member can be heard now.
    pub all_heard: bool,
    /// Whether the operator typed that these VMs may run twice.
    pub may_run_twice: bool,
    /// Whether the view names this host its master.
    pub is_master: bool,
}

/// What the agent must do, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Hand the mastership to another member first: a master that left unarmed is never presumed
    /// dead (R5, R6.1), so nobody else could act. It costs this agent's process (R6.2).
    HandOver,
    /// Refuse VMs on this host: what is stopped next must not be started again meanwhile.
    RefuseVms,
    /// Stop the VMs of this host: the others may restart them.
    StopVms,
    /// Disarm once every other member has echoed the mark.
    Disarm,
    /// Disarm at once.
    DisarmByForce,
    /// Note in the local configuration that this host runs without HA.
    ClearLocalFlag,
}

/// The steps and what they mean for the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What to do.
    pub steps: Vec<Step>,
    /// How many other hosts will be reset once this host no longer answers them.
    pub others_reset: usize,
}

impl Plan {
    /// The warning for the operator.
    pub fn warning(&self) -> String {
        let others = match self.others_reset {
            0 => "no other host will be reset; the pool goes on without this host".to_owned(),
            n => format!("{n} other hosts will be reset when this host stops answering them"),
        };
        let does = |step| self.steps.contains(&step);
        let vms = match (does(Step::StopVms), does(Step::DisarmByForce)) {
            (true, _) => "its VMs are stopped first, for the others may restart them",
            (false, true) => "the others may restart its VMs, which then run twice",
            (false, false) if does(Step::Disarm) => {
                "its VMs run on, and nobody restarts them when it fails"
            }
            _ => return others,
        };
        format!("{others}; {vms}")
    }
}

/// Plans an emergency disable of this host.
pub fn plan(facts: Facts) -> Plan {
    if !facts.armed {
        return Plan { steps: vec![Step::ClearLocalFlag], others_reset: 0 };
    }
    let steps = if facts.all_heard {
        let hand_over = (facts.is_master && facts.others > 0).then_some(Step::HandOver);
        hand_over.into_iter().chain([Step::Disarm, Step::ClearLocalFlag]).collect()
    } else if facts.may_run_twice {
        vec![Step::DisarmByForce, Step::ClearLocalFlag]
    } else {
        vec![Step::RefuseVms, Step::StopVms, Step::DisarmByForce, Step::ClearLocalFlag]
    };
    let others_reset = if facts.storage_lost_by_all { facts.others } else { 0 };
    Plan { steps, others_reset }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARMED: Facts = Facts {
        armed: true,
        others: 2,
        storage_lost_by_all: false,
        all_heard: true,
        may_run_twice: false,
        is_master: false,
    };

    #[test]
    fn a_master_that_is_heard_hands_over_first_and_one_that_is_not_just_stops() {
        let master = Facts { is_master: true, ..ARMED };
        assert_eq!(plan(master).steps[..2], [Step::HandOver, Step::Disarm]);
        let cut = Facts { all_heard: false, ..master };
        assert_eq!(plan(cut).steps[..2], [Step::RefuseVms, Step::StopVms]);
        let alone = Facts { others: 0, ..master };
        assert_eq!(plan(alone).steps[0], Step::Disarm);
    }

    #[test]
    fn s96_one_host_alone_waits_for_the_others_echo() {
        let plan = plan(ARMED);
        assert_eq!(plan.steps, [Step::Disarm, Step::ClearLocalFlag]);
        assert_eq!(plan.others_reset, 0);
    }

    #[test]
    fn cut_off_it_stops_its_vms_first_or_the_operator_takes_the_risk() {
        let cut = Facts { all_heard: false, ..ARMED };
        assert_eq!(plan(cut).steps[..2], [Step::RefuseVms, Step::StopVms]);
        let risk = Facts { may_run_twice: true, ..cut };
        assert_eq!(plan(risk).steps[0], Step::DisarmByForce);
        assert!(plan(risk).warning().contains("run twice"));
    }

    #[test]
    fn without_storage_it_says_how_many_others_go() {
        let lost = Facts { storage_lost_by_all: true, ..ARMED };
        assert!(plan(lost).warning().starts_with("2 other hosts"));
    }
}
