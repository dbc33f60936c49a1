//! What the world itself knows of a host's evidence, whatever the host believes: the latest date
//! on which each part of a lease can rest (R2.2, R2.3, R8.1).

use crate::heartbeat::timing::Nanos;

/// Most hosts of an explored pool.
pub const MOST_HOSTS: usize = 4;
/// Most statefiles of an explored pool.
pub const MOST_DISKS: usize = 3;

/// A date on a host's clock in one of its boots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dated {
    /// The boot.
    pub boot: u32,
    /// The date.
    pub at: Nanos,
}

/// What a packet proves by the mere fact that it was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Proof {
    /// The newest packet of each host that the sender had taken, by its sending.
    pub taken: [Option<Dated>; MOST_HOSTS],
    /// Whether the sender had completed no cycle for half of S.
    pub lost: bool,
}

/// The evidence of one boot of a host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Truth {
    /// The newest packet taken of each host: that host's boot, and its clock when it was sent.
    pub taken: [Option<Dated>; MOST_HOSTS],
    /// The newest own packet that each host is known to have taken: that host's boot, and the
    /// own clock when the packet was sent.
    pub trip: [Option<Dated>; MOST_HOSTS],
    /// The same, of answers by hosts without a disk.
    pub lost: [Option<Dated>; MOST_HOSTS],
    /// Begin of the newest completed cycle, by statefile.
    pub cycle: [Option<Nanos>; MOST_DISKS],
}

impl Truth {
    /// A packet is taken: `me` and `boot` are the taker, `from` the sender with its `sent` date.
    pub fn take(&mut self, (me, boot): (usize, u32), from: usize, sent: Dated, proof: &Proof) {
        self.taken[from] = self.taken[from].max(Some(sent));
        let Some(own) = proof.taken[me].filter(|own| own.boot == boot) else { return };
        let trip = Some(Dated { boot: sent.boot, at: own.at });
        self.trip[from] = self.trip[from].max(trip);
        if proof.lost {
            self.lost[from] = self.lost[from].max(trip);
        }
    }

    /// Begin of the newest cycle completed on a majority of so many statefiles.
    pub fn majority_cycle(&self, disks: usize) -> Option<Nanos> {
        let mut dates = self.cycle;
        let dates = &mut dates[..disks];
        dates.sort_unstable_by(|a, b| b.cmp(a));
        dates[disks / 2]
    }
}
