//! Which pools are explored, with which faults, within which bounds.

use crate::heartbeat::timing::{Nanos, SECOND, Timing};

use super::action::Action;

/// One tick, which is one beat.
pub const TICK: Nanos = SECOND;

/// In which orders the hosts take their steps within a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// All beats, all writes, all reads, lowest host first.
    Lockstep,
    /// Each host takes its whole turn; the hosts in every order.
    Turns,
    /// Every order of beats, writes and reads.
    Free,
}

/// Which faults may happen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moves {
    /// A host loses its power.
    pub crash: bool,
    /// A host stands still.
    pub pause: bool,
    /// All links of a host are cut.
    pub net: bool,
    /// One link is cut one way.
    pub link: bool,
    /// A host loses a statefile.
    pub disk: bool,
    /// All hosts lose all statefiles.
    pub all: bool,
    /// A cycle hangs for up to three ticks; its write lands even when the host dies.
    pub late: bool,
    /// One packet is lost or comes a tick later.
    pub packet: bool,
}

impl Moves {
    /// Every kind.
    pub const ALL: Moves = Moves {
        crash: true,
        pause: true,
        net: true,
        link: true,
        disk: true,
        all: true,
        late: true,
        packet: true,
    };

    /// The kinds with these names, which are those of the fields, with commas between.
    pub fn named(names: &str) -> Option<Moves> {
        let mut moves = Moves::default();
        for name in names.split(',') {
            *match name {
                "crash" => &mut moves.crash,
                "pause" => &mut moves.pause,
                "net" => &mut moves.net,
                "link" => &mut moves.link,
                "disk" => &mut moves.disk,
                "all" => &mut moves.all,
                "late" => &mut moves.late,
                "packet" => &mut moves.packet,
                _ => return None,
            } = true;
        }
        Some(moves)
    }
}

/// How many faults may happen in one trace. To heal a fault costs nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Faults of [`Moves`].
    pub faults: u8,
    /// Boots of hosts that are down.
    pub boots: u8,
    /// Clock ticks that a host misses.
    pub slow: u8,
}

/// A pool with its bounds.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, in one line.
    pub what: &'static str,
    /// How many hosts.
    pub hosts: usize,
    /// How many statefiles.
    pub disks: usize,
    /// S in ticks.
    pub s: u64,
    /// L in ticks.
    pub l: u64,
    /// The orders within a tick.
    pub order: Order,
    /// Which faults.
    pub moves: Moves,
    /// How many.
    pub budget: Budget,
    /// What happens to a healthy pool before the search begins: after so many ticks, that.
    pub before: Vec<(u64, Action)>,
    /// Most ticks of a trace.
    pub depth: u64,
    /// The rule to break; none without the feature `wrong-variants`.
    pub variant: Option<crate::heartbeat::variant::Variant>,
}

impl Setup {
    /// The timers: a beat is a tick, and so is the margin.
    pub fn timing(&self) -> Timing {
        let (s, l) = (self.s * TICK, self.l * TICK);
        Timing { t: s + l, l, s, beat: TICK, margin: TICK }
    }

    fn two() -> Setup {
        Setup {
            name: "two",
            what: "two hosts, one statefile, every order of all steps",
            hosts: 2,
            disks: 1,
            s: 5,
            l: 4,
            order: Order::Free,
            moves: Moves::ALL,
            budget: Budget { faults: 1, boots: 1, slow: 0 },
            before: Vec::new(),
            depth: 100,
            variant: None,
        }
    }

    fn three() -> Setup {
        Setup {
            name: "three",
            what: "three hosts, one statefile, one order",
            hosts: 3,
            s: 6,
            l: 5,
            order: Order::Lockstep,
            budget: Budget { faults: 1, boots: 1, slow: 0 },
            ..Setup::two()
        }
    }

    /// Two hosts with time for several attempts to decide before a lease ends.
    fn torn() -> Setup {
        Setup {
            l: 14,
            order: Order::Lockstep,
            moves: Moves { crash: true, ..Moves::default() },
            budget: Budget { faults: 1, boots: 0, slow: 0 },
            ..Setup::two()
        }
    }

    /// Every pool that is explored.
    pub fn all() -> Vec<Setup> {
        let one = Budget { faults: 1, boots: 1, slow: 0 };
        let healthy = vec![
            Setup::two(),
            Setup {
                name: "two-faults",
                what: "two hosts, one statefile, the hosts in both orders, more faults",
                order: Order::Turns,
                budget: Budget { faults: 2, boots: 2, slow: 1 },
                ..Setup::two()
            },
            Setup::three(),
            Setup {
                name: "three-faults",
                what: "three hosts, one statefile, one order, more faults",
                budget: Budget { faults: 2, boots: 1, slow: 1 },
                ..Setup::three()
            },
            Setup {
                name: "three-turns",
                what: "three hosts, one statefile, the hosts in every order",
                order: Order::Turns,
                budget: one,
                ..Setup::three()
            },
            Setup {
                name: "three-free",
                what: "three hosts, one statefile, every order of all steps",
                order: Order::Free,
                budget: Budget { faults: 1, boots: 0, slow: 0 },
                ..Setup::three()
            },
        ];
        healthy.into_iter().chain(Setup::harmed()).chain(Setup::torn_apart()).collect()
    }

    /// Pools to which something has happened before.
    fn harmed() -> Vec<Setup> {
        let storage = |rest: &[(u64, Action)]| {
            let mut before = vec![(2, Action::AllCut)];
            before.extend_from_slice(rest);
            before
        };
        vec![
            Setup {
                name: "lone",
                what: "a host decided out before two lost the disk boots beside network mode",
                budget: Budget { faults: 0, boots: 1, slow: 0 },
                before: vec![
                    (2, Action::Crash(2)),
                    (20, Action::AllCut),
                    (15, Action::Boot(2)),
                    (0, Action::AllHeal),
                    (0, Action::DiskCut(0, 0)),
                    (0, Action::DiskCut(1, 0)),
                    (0, Action::NetCut(2)),
                ],
                ..Setup::three()
            },
            Setup {
                name: "lone-member",
                what: "a host that entered network mode boots with the disk beside the others",
                budget: Budget { faults: 0, boots: 1, slow: 0 },
                before: storage(&[
                    (15, Action::Crash(2)),
                    (4, Action::Boot(2)),
                    (0, Action::AllHeal),
                    (0, Action::DiskCut(0, 0)),
                    (0, Action::DiskCut(1, 0)),
                    (0, Action::NetCut(2)),
                ]),
                ..Setup::three()
            },
            Setup {
                name: "three-disks",
                what: "three hosts, three statefiles, each host cut from another one",
                disks: 3,
                budget: Budget { faults: 1, boots: 0, slow: 0 },
                before: (0..3).map(|n| (1, Action::DiskCut(n, n))).collect(),
                ..Setup::three()
            },
            Setup {
                name: "power",
                what: "three hosts form a view after all lost their power",
                budget: Budget { faults: 0, boots: 4, slow: 0 },
                before: (0..3).map(|n| (u64::from(n == 0), Action::Crash(n))).collect(),
                ..Setup::three()
            },
        ]
    }

    /// Two hosts of which each wants to go on without the other.
    fn torn_apart() -> Vec<Setup> {
        vec![
            Setup {
                name: "cut",
                what: "two hosts whose link is cut: each wants to leave the other out",
                before: vec![(2, Action::NetCut(0))],
                ..Setup::torn()
            },
            Setup {
                name: "cut-asleep",
                what: "the same; one of them stands still, the other may die and boot",
                budget: Budget { faults: 1, boots: 1, slow: 0 },
                before: vec![(2, Action::NetCut(0)), (3, Action::Pause(1))],
                ..Setup::torn()
            },
            Setup {
                name: "promised",
                what: "two hosts that both lose the statefile, and a link one way",
                order: Order::Lockstep,
                moves: Moves { link: true, ..Moves::default() },
                budget: Budget { faults: 1, boots: 0, slow: 0 },
                before: vec![(2, Action::DiskCut(0, 0)), (0, Action::DiskCut(1, 0))],
                ..Setup::two()
            },
        ]
    }

    /// The pool with that name.
    pub fn named(name: &str) -> Option<Setup> {
        Setup::all().into_iter().find(|setup| setup.name == name)
    }
}
