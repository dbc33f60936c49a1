//! The sign of life of a guest: one sector that says who wrote it, in which run, how often.
//!
//! The layout is simple enough for a boot sector to write. Two runs interleaved on one canary
//! mean that a VM ran twice at once, so the lab watches these sectors.
//!
//! | bytes | content |
//! |---|---|
//! | 0..8 | `XECANARY` |
//! | 8..24 | the VM's uuid, as its text reads |
//! | 24..32 | run number, little endian |
//! | 32..40 | counter, little endian |

use std::fs::File;
use std::io;
use std::path::Path;

use uuid::Uuid;

use super::sector::{SECTOR, Sector, open_direct, read_first};

/// How the sector begins.
pub const MAGIC: [u8; 8] = *b"XECANARY";
/// Where the uuid lies.
pub const UUID_AT: usize = 8;
/// Where the run number lies.
pub const RUN_AT: usize = 24;
/// Where the counter lies.
pub const COUNTER_AT: usize = 32;
/// The usual time between two writes: four ticks of the PC's 18.2 Hz timer.
pub const PERIOD: std::time::Duration = std::time::Duration::from_millis(220);

/// What a canary sector says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Canary {
    /// The VM that wrote it.
    pub vm: Uuid,
    /// The run that wrote it.
    pub run: u64,
    /// How often this VM wrote, over migrations and suspends.
    pub counter: u64,
}

impl Canary {
    /// The sector's bytes.
    pub fn to_bytes(&self) -> [u8; SECTOR] {
        let mut bytes = [0; SECTOR];
        bytes[..UUID_AT].copy_from_slice(&MAGIC);
        bytes[UUID_AT..RUN_AT].copy_from_slice(self.vm.as_bytes());
        bytes[RUN_AT..COUNTER_AT].copy_from_slice(&self.run.to_le_bytes());
        bytes[COUNTER_AT..COUNTER_AT + 8].copy_from_slice(&self.counter.to_le_bytes());
        bytes
    }

    /// Reads a sector; `None` when no canary was ever written there.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let number = |at: usize| bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
        if bytes.get(..UUID_AT)? != MAGIC {
            return None;
        }
        let vm = Uuid::from_slice(bytes.get(UUID_AT..RUN_AT)?).ok()?;
        Some(Self { vm, run: number(RUN_AT)?, counter: number(COUNTER_AT)? })
    }
}

/// Opens a raw image for [`read_open`].
pub fn open(image: &Path) -> io::Result<File> {
    open_direct(image, false)
}

/// Reads the canary of a raw image past the page cache.
pub fn read(image: &Path) -> io::Result<Option<Canary>> {
    read_open(&open(image)?)
}

/// Reads it from a file that was opened by [`open`], for those who look often.
pub fn read_open(image: &File) -> io::Result<Option<Canary>> {
    let mut sector = Sector::zeroed();
    read_first(image, &mut sector)?;
    Ok(Canary::parse(&sector.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_reads_back_as_written() {
        let canary = Canary { vm: Uuid::from_u128(7 << 100 | 5), run: 3, counter: u64::MAX - 1 };
        assert_eq!(Canary::parse(&canary.to_bytes()), Some(canary));
    }

    #[test]
    fn an_empty_or_short_sector_is_no_canary() {
        assert_eq!(Canary::parse(&[0; SECTOR]), None);
        assert_eq!(Canary::parse(&MAGIC), None);
    }
}
