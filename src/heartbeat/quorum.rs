//! Who decides, and how many of them are needed (R3.2, R8.3).

/// The acceptors of a session: its statefiles, and the witness where it is needed to make their
/// number odd. A witness beside an odd number of statefiles has no vote by disk; it only breaks
/// ties, and votes in network mode beside an even number of hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acceptors {
    /// The number of statefiles.
    pub statefiles: usize,
    /// Whether there is a witness.
    pub witness: bool,
}

impl Acceptors {
    /// Whether the witness has a vote beside so many others.
    pub fn witness_votes(self, others: usize) -> bool {
        self.witness && others.is_multiple_of(2)
    }

    /// Why these cannot decide safely, if so.
    pub fn fault(self) -> Option<String> {
        match (self.statefiles, self.witness) {
            (1 | 3 | 5, _) | (2 | 4, true) => None,
            (0, _) => Some("at least one statefile is needed".to_owned()),
            (2 | 4, false) => Some(format!(
                "{} statefiles stop when half of them are lost, sooner than one fewer would: \
                 name an odd number, or a witness beside them",
                self.statefiles
            )),
            (more, _) => Some(format!("{more} statefiles are too many: one, three or five")),
        }
    }

    /// How many acceptors decide by disk.
    pub fn by_disk(self) -> usize {
        self.statefiles + usize::from(self.witness_votes(self.statefiles))
    }

    /// How many acceptors decide in a network mode that so many members entered.
    pub fn by_network(self, base: usize) -> usize {
        base + usize::from(self.witness_votes(base))
    }

    /// How many statefiles meet every majority of the acceptors by disk (R5.2).
    pub fn meeting(self) -> usize {
        self.by_disk() + 1 - majority(self.by_disk())
    }
}

/// A strict majority of so many.
pub fn majority(of: usize) -> usize {
    of / 2 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_numbers_need_a_witness_and_the_reason_is_said() {
        let of = |statefiles, witness| Acceptors { statefiles, witness };
        for good in [of(1, false), of(3, false), of(5, true), of(2, true), of(1, true)] {
            assert_eq!(good.fault(), None, "{good:?}");
        }
        for bad in [of(0, false), of(2, false), of(4, false), of(6, true), of(7, false)] {
            assert!(bad.fault().is_some(), "{bad:?}");
        }
        assert_eq!((of(1, true).by_disk(), of(2, true).by_disk()), (1, 3));
        assert_eq!((of(1, true).by_network(2), of(1, true).by_network(3)), (3, 3));
    }

    #[test]
    fn any_set_that_meets_and_any_majority_share_a_member() {
        for statefiles in [1, 3, 5] {
            let acceptors = Acceptors { statefiles, witness: false };
            let others = acceptors.by_disk() - acceptors.meeting();
            assert!(others < majority(acceptors.by_disk()));
        }
    }
}
