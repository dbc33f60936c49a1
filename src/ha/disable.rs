//! Disabling: "off-pending", which every member acknowledges, then "off", by which each disarms
//! (R9.2). Views are decided by disk, or by network while the storage is lost to all (S95). Where
//! none can be decided HA stays on: what is left then is one host at a time (R9.3,
//! [`super::emergency`]).

/// What the master's agent does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Have the state "off-pending" decided: no failover from there on.
    DecideOffPending,
    /// Have the state "off" decided: every member disarms by it. Hosts that are away read it from
    /// the statefile when they return (S94).
    DecideOff,
    /// Wait until this host has disarmed and is the pool's master without HA.
    AwaitOff,
    /// Write "HA is off" to the pool's database.
    ClearPoolFlag,
}

/// All of them, in their order; the first that fails is the last. Asked again, each that was done
/// is done at once.
pub const STEPS: [Step; 4] =
    [Step::DecideOffPending, Step::DecideOff, Step::AwaitOff, Step::ClearPoolFlag];

/// How HA stands after a step has failed, for the administrator.
pub fn left_by(failed: Step) -> &'static str {
    match failed {
        Step::DecideOffPending => {
            "HA is on as before; while no view can be decided only host-emergency-ha-disable, on \
             each host, switches it off"
        }
        Step::DecideOff => "no VM is restarted any more, and hosts are still fenced; ask again",
        Step::AwaitOff | Step::ClearPoolFlag => {
            "HA is off on the hosts, not yet in the pool's database; ask again"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s93_failover_stops_before_fencing_and_the_flag_goes_last() {
        let place = |step| STEPS.iter().position(|other| *other == step);
        assert!(place(Step::DecideOffPending) < place(Step::DecideOff));
        assert_eq!(place(Step::ClearPoolFlag), Some(STEPS.len() - 1));
    }

    #[test]
    fn s95_what_is_left_says_what_to_type() {
        assert!(left_by(Step::DecideOffPending).contains("host-emergency-ha-disable"));
        assert!(left_by(Step::ClearPoolFlag).contains("ask again"));
    }
}
