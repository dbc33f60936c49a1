//! Changing the master: by the heartbeat while HA is on, never beside it (S45, S49, S50).

use uuid::Uuid;

/// What is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Whether this host is armed.
    pub armed: bool,
    /// The master that the decided view names, or the pool's configuration without HA.
    pub master: Option<Uuid>,
    /// The members of the view.
    pub members: Vec<Uuid>,
}

/// Why a change is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// With HA on, only a decided view changes the master.
    #[error("HA is on and this host is armed; the heartbeat alone decides who is master")]
    HaDecides,
    /// The host is not in the view.
    #[error("host {0} is not in the living set")]
    NotInView(Uuid),
}

/// How a planned change goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// That host is master already.
    Nothing,
    /// Ask the present master's daemon to hand the mastership to that host.
    HandOver {
        /// The present master.
        from: Uuid,
        /// The next one.
        to: Uuid,
    },
    /// HA is off: the agents change their configuration.
    Reconfigure,
}

/// Plans a change to `to`.
pub fn designate(facts: &Facts, to: Uuid) -> Result<Change, Refusal> {
    if facts.master == Some(to) {
        return Ok(Change::Nothing);
    }
    match (facts.armed, facts.master) {
        (false, _) => Ok(Change::Reconfigure),
        (true, _) if !facts.members.contains(&to) => Err(Refusal::NotInView(to)),
        (true, None) => Err(Refusal::HaDecides),
        (true, Some(from)) => Ok(Change::HandOver { from, to }),
    }
}

/// Whether a host may make itself master, or follow another one, by emergency.
pub fn emergency_change(facts: &Facts) -> Result<(), Refusal> {
    if facts.armed { Err(Refusal::HaDecides) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(armed: bool) -> Facts {
        let members = vec![Uuid::from_u128(1), Uuid::from_u128(2)];
        Facts { armed, master: Some(members[0]), members }
    }

    #[test]
    fn s45_a_planned_change_goes_through_the_heartbeat() {
        let to = Uuid::from_u128(2);
        let from = Uuid::from_u128(1);
        assert_eq!(designate(&facts(true), to), Ok(Change::HandOver { from, to }));
        assert_eq!(designate(&facts(true), from), Ok(Change::Nothing));
        let stranger = Uuid::from_u128(9);
        assert_eq!(designate(&facts(true), stranger), Err(Refusal::NotInView(stranger)));
        assert_eq!(designate(&facts(false), to), Ok(Change::Reconfigure));
    }

    #[test]
    fn s49_no_emergency_change_on_an_armed_host() {
        assert_eq!(emergency_change(&facts(true)), Err(Refusal::HaDecides));
        assert_eq!(emergency_change(&facts(false)), Ok(()));
    }
}
