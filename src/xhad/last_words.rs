//! What a killed daemon could not say: the next one of the same boot resets the host (R5.5), and
//! the others would wait for the end of its whole lease. So it speaks for the session that ended
//! (R5.4): the watchdog is cut short and read back, nobody sets it again, then the word goes to the
//! statefiles, then comes the reset.
//!
//! Only a keeper is asked for this: it holds a deadline, and cutting it short never makes that
//! later. A device is set anew by it, and by then the lease may end sooner.

use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::control::StartConfig;
use super::{start, threads};
use crate::heartbeat::Key;
use crate::heartbeat::block::{Kind, Layout, open_beat, seal_beat};
use crate::heartbeat::view::Slot;
use crate::host::direct_io::DirectFile;
use crate::host::faults::Faults;
use crate::host::watchdog::{self, WatchdogConfig};

/// How long the statefiles may take before the reset comes without them.
const PATIENCE: Duration = Duration::from_millis(150);

/// What is needed to speak for a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Speaker {
    boot: Uuid,
    generation: Uuid,
    key_hex: String,
    slot: u16,
    hosts: usize,
    statefiles: Vec<PathBuf>,
}

impl Speaker {
    /// For a session; nothing when its configuration is not of a host of the pool.
    pub fn of(config: &StartConfig) -> Option<Self> {
        let hosts = start::sorted_hosts(config).ok()?;
        let slot = hosts.iter().position(|host| host.uuid == config.host)?;
        Some(Self {
            boot: config.boot_id.parse().ok()?,
            generation: config.generation,
            key_hex: config.key_hex.clone(),
            slot: u16::try_from(slot).ok()?,
            hosts: hosts.len(),
            statefiles: config.statefiles.clone(),
        })
    }

    /// Cuts the watchdog short and tells the others; whether any statefile has the word.
    pub fn speak(&self, dog: &WatchdogConfig, faults: &Faults) -> bool {
        let WatchdogConfig::Exec { .. } = dog else { return false };
        let Ok(mut dog) = watchdog::open(dog) else { return false };
        let Ok(left) = dog.cut_to_minimum() else { return false };
        let (tell, told) = channel();
        for path in &self.statefiles {
            let (speaker, path, faults) = (self.clone(), path.clone(), faults.clone());
            let tell = tell.clone();
            threads::start("last-words", move || {
                let _nobody_waits = tell.send(speaker.write(&path, left, faults));
            });
        }
        drop(tell);
        // Whatever hangs: the watchdog runs.
        let begun = Instant::now();
        let answers = self
            .statefiles
            .iter()
            .map_while(|_| told.recv_timeout(PATIENCE.saturating_sub(begun.elapsed())).ok());
        answers.filter(Result::is_ok).count() > 0
    }

    /// Puts the word into the own beat block, if that is of this very life still.
    fn write(&self, path: &Path, left: Duration, faults: Faults) -> std::io::Result<()> {
        let broken = |why: &dyn std::fmt::Display| std::io::Error::other(why.to_string());
        let key = Key::from_hex(&self.key_hex).map_err(|why| broken(&why))?;
        let (layout, slot) = (Layout { hosts: self.hosts }, Slot(self.slot));
        let at = layout.offset(Kind::Beat, slot);
        let file = DirectFile::open(path, faults)?;
        let bytes = file.read(at, layout.size(Kind::Beat))?;
        let last = open_beat(&key, self.generation, slot, &bytes).map_err(|why| broken(&why))?;
        if last.boot_id != self.boot {
            return Err(broken(&"the block is not of this boot"));
        }
        let word = last.last_word(u64::try_from(left.as_nanos()).unwrap_or(u64::MAX));
        let block = seal_beat(&key, self.generation, layout, slot, &word);
        file.write(at, &block.map_err(|why| broken(&why))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heartbeat::block::format_statefile;
    use crate::heartbeat::report::{Report, TOMBSTONE};
    use crate::heartbeat::view::Life;

    const GENERATION: Uuid = Uuid::from_u128(9);

    #[test]
    fn the_word_stands_in_the_own_block_of_that_boot_and_in_no_other() {
        let dir = tempfile::tempdir_in(".").unwrap();
        let path = dir.path().join("statefile");
        let hosts: Vec<Uuid> = (1..4).map(Uuid::from_u128).collect();
        let (key, layout) = (Key::new([7; 32]), Layout { hosts: 3 });
        std::fs::write(&path, format_statefile(GENERATION, &key, &hosts).unwrap()).unwrap();
        let speaker = Speaker {
            boot: Uuid::from_u128(5),
            generation: GENERATION,
            key_hex: "07".repeat(32),
            slot: 1,
            hosts: 3,
            statefiles: vec![path.clone()],
        };
        let say = || speaker.write(&path, Duration::from_micros(150_100), Faults::none());
        let image = std::fs::File::options().write(true).open(&path).unwrap();
        image.set_len(layout.len() as u64).unwrap();
        let file = DirectFile::open(&path, Faults::none()).unwrap();
        let at = layout.offset(Kind::Beat, Slot(1));
        let beat = |boot| {
            let life = Life { boot: 2, session: 1 };
            let boot_id = Uuid::from_u128(boot);
            let report = Report { life, boot_id, seq: 40, flags: 1, ..Report::empty() };
            file.write(at, &seal_beat(&key, GENERATION, layout, Slot(1), &report).unwrap())
        };
        let read = || {
            let bytes = file.read(at, layout.size(Kind::Beat)).unwrap();
            open_beat(&key, GENERATION, Slot(1), &bytes).unwrap()
        };
        assert!(say().is_err(), "nothing was ever written there");
        beat(6).unwrap();
        assert!(say().is_err(), "another boot writes there now");
        assert!(!read().says(TOMBSTONE));
        beat(5).unwrap();
        say().unwrap();
        let word = read();
        assert!(word.says(TOMBSTONE) && word.says(1) && word.seq > 1_000_000);
        assert_eq!((word.dead_within_ms, word.life.boot), (151, 2), "rounded up");
    }
}
