//! A host's clock: it began at another time than the world's and runs a little faster or slower.

use crate::heartbeat::timing::Nanos;

/// Rates are counted in parts of 2^20.
const PARTS: u32 = 20;

/// The most by which a clock may be off, in parts of 2^20: half a percent, so that two clocks
/// differ by at most the one percent that the margin allows for.
pub const MOST: i64 = (1 << PARTS) / 200;

/// A clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub(super) offset: Nanos,
    /// How much faster it runs, in parts of 2^20.
    pub(super) rate: i64,
}

impl Clock {
    /// What it shows at a time of the world.
    pub(super) fn at(self, world: Nanos) -> Nanos {
        (world + self.offset).saturating_add_signed((world as i64 * self.rate) >> PARTS)
    }

    /// How long the world takes for a span of this clock, rounded up.
    pub(super) fn span(self, own: Nanos) -> Nanos {
        let own = own.min(1 << 42) as i64;
        ((own << PARTS) / ((1 << PARTS) + self.rate)) as Nanos + 2
    }
}
