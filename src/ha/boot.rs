//! What a host does about HA when its agent starts: its own flag, the statefile's and the
//! pool's word may disagree (S94, S97, S98).

/// What the statefile says, as far as it can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statefile {
    /// This host knows no statefile.
    Unknown,
    /// It cannot be read now.
    Unreadable(String),
    /// It belongs to another session: HA was switched off and on again meanwhile (S28).
    OtherSession,
    /// Prepared, yet no view was decided.
    Init,
    /// HA is on (off-pending included: nobody has disarmed by it).
    Active,
    /// HA was switched off.
    Off,
}

/// What is known at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// This host's own flag: it was armed when it was last up.
    pub local_flag: bool,
    /// The statefile's word.
    pub statefile: Statefile,
    /// The pool's flag as the master says it (or the own database on the master).
    pub pool_flag: Option<bool>,
    /// Whether this host's configuration names it master.
    pub is_master: bool,
    /// Whether a session runs in this very boot (the agent was restarted, S106).
    pub session_runs: bool,
    /// Whether VMs run here.
    pub vms_here: bool,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The session goes on; VMs are adopted.
    CarryOn,
    /// Start the daemon as a host that joins; start no VM before it is in the view.
    Join,
    /// Clear the own flag and run without HA.
    RunWithoutHa,
    /// Get session and key from the master, then join.
    FetchAndJoin,
    /// Start no VM, try again, and say why.
    Wait(String),
    /// HA stays on in the database; the administrator must choose (never a silent off).
    AskAdministrator(String),
}

/// Decides what a host does.
///
/// A host that joins must be empty. Until it learns of its admission it renews its watchdog without
/// any evidence, while the others already count its lease from what they hear: one that is admitted
/// and cut off in the same moment is called dead before its watchdog fires. A freshly booted host
/// runs nothing then; one that comes back in the same boot would (found by simulation: 8 hosts,
/// T = 30, disk and links cut while a host waits).
pub fn decide(facts: &Facts) -> Action {
    if facts.session_runs {
        return Action::CarryOn;
    }
    match due(facts) {
        Action::Join | Action::FetchAndJoin if facts.vms_here => Action::Wait(
            "VMs run here from before HA was on; move or stop them, then this host joins".into(),
        ),
        action => action,
    }
}

fn due(facts: &Facts) -> Action {
    match (facts.local_flag, &facts.statefile, facts.pool_flag) {
        (true, Statefile::Active, _) => Action::Join,
        (true, Statefile::Off | Statefile::Init, Some(true)) if !facts.is_master => {
            Action::FetchAndJoin
        }
        (true, Statefile::Off, _) | (true, Statefile::Init, Some(false)) => Action::RunWithoutHa,
        // This host was armed, so a view was decided: the statefile has gone back in time. The
        // daemon goes by its own record (found by simulation: such a host ran without HA beside
        // a pool that had it on).
        (true, Statefile::Init, _) => Action::Join,
        (true, Statefile::OtherSession, Some(true)) if !facts.is_master => Action::FetchAndJoin,
        (true, Statefile::OtherSession, Some(false)) => Action::RunWithoutHa,
        (true, Statefile::OtherSession, _) => Action::Wait(
            "the statefile belongs to a later HA session and the master does not answer".into(),
        ),
        (true, Statefile::Unknown, Some(false)) => Action::RunWithoutHa,
        (true, Statefile::Unknown, _) => Action::Wait("no statefile is known here".into()),
        (true, Statefile::Unreadable(why), _) => {
            Action::Wait(format!("the statefile cannot be read: {why}"))
        }
        (false, _, Some(true)) if facts.is_master => Action::AskAdministrator(
            "HA is on in the pool's database, yet this host, its master, is not armed; enable HA \
             again, or switch it off"
                .into(),
        ),
        (false, _, Some(true)) => Action::FetchAndJoin,
        (false, _, Some(false)) => Action::RunWithoutHa,
        (false, _, None) => Action::Wait("the master does not answer".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(local_flag: bool, statefile: Statefile, pool_flag: Option<bool>) -> Facts {
        Facts {
            local_flag,
            statefile,
            pool_flag,
            is_master: false,
            session_runs: false,
            vms_here: false,
        }
    }

    #[test]
    fn s106_a_restarted_agent_finds_its_session() {
        let running = Facts { session_runs: true, ..facts(true, Statefile::Active, None) };
        assert_eq!(decide(&running), Action::CarryOn);
    }

    #[test]
    fn an_armed_host_that_boots_joins_without_asking_the_master() {
        assert_eq!(decide(&facts(true, Statefile::Active, None)), Action::Join);
    }

    #[test]
    fn s94_a_host_that_was_away_reads_off_and_runs_without_ha() {
        let away = facts(true, Statefile::Off, Some(false));
        assert_eq!(decide(&away), Action::RunWithoutHa);
        assert_eq!(decide(&facts(true, Statefile::Off, None)), Action::RunWithoutHa);
    }

    #[test]
    fn a_statefile_that_shows_no_view_to_an_armed_host_has_gone_back_in_time() {
        assert_eq!(decide(&facts(true, Statefile::Init, None)), Action::Join);
        let master = Facts { is_master: true, ..facts(true, Statefile::Init, Some(true)) };
        assert_eq!(decide(&master), Action::Join);
        let taken_back = facts(true, Statefile::Init, Some(false));
        assert_eq!(decide(&taken_back), Action::RunWithoutHa);
    }

    #[test]
    fn s97_own_flag_off_and_pool_flag_on_means_rejoin() {
        let member = facts(false, Statefile::Unknown, Some(true));
        assert_eq!(decide(&member), Action::FetchAndJoin);
        assert!(matches!(decide(&facts(false, Statefile::Unknown, None)), Action::Wait(_)));
    }

    #[test]
    fn s98_the_master_never_switches_off_in_silence() {
        let master = Facts { is_master: true, ..facts(false, Statefile::Unknown, Some(true)) };
        assert!(matches!(decide(&master), Action::AskAdministrator(_)));
    }

    #[test]
    fn s28_a_later_session_is_fetched_from_the_master_or_waited_for() {
        let stale = |pool| decide(&facts(true, Statefile::OtherSession, pool));
        assert_eq!(stale(Some(true)), Action::FetchAndJoin);
        assert_eq!(stale(Some(false)), Action::RunWithoutHa);
        assert!(matches!(stale(None), Action::Wait(_)));
    }

    #[test]
    fn a_host_with_vms_joins_only_when_they_are_gone() {
        let empty = facts(false, Statefile::Unknown, Some(true));
        assert_eq!(decide(&empty), Action::FetchAndJoin);
        let busy = Facts { vms_here: true, ..empty };
        assert!(matches!(decide(&busy), Action::Wait(why) if why.contains("VMs")));
        let armed = Facts { vms_here: true, ..facts(true, Statefile::Active, None) };
        assert!(matches!(decide(&armed), Action::Wait(_)));
        // An agent that was restarted in a running session carries on with its VMs.
        assert_eq!(decide(&Facts { session_runs: true, ..armed }), Action::CarryOn);
    }

    #[test]
    fn an_unreadable_statefile_starts_nothing() {
        let cut = facts(true, Statefile::Unreadable("EIO".to_owned()), Some(true));
        assert!(matches!(decide(&cut), Action::Wait(why) if why.contains("EIO")));
    }
}
