//! The statefile as the agent needs it: prepared at enable, asked by a host that returns.

use std::path::Path;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::control::PoolState;
use crate::heartbeat::auth::Key;
use crate::heartbeat::block::{
    BlockError, Kind, Layout, PAGE, Seen, claimed_generation, format_statefile, header_size,
    open_decision, open_header,
};
use crate::heartbeat::view::{MOST_HOSTS, Mode, Slot};
use crate::host::direct_io::DirectFile;
use crate::host::faults::Faults;
use crate::host::sr::MIB;
use crate::host::system_word::system_word;

/// Why a statefile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StatefileError {
    /// It cannot be read or written.
    #[error("{path}: {}", system_word(reason))]
    Io {
        /// The file or device.
        path: String,
        /// The system's word for it.
        reason: std::io::Error,
    },
    /// It holds something that is no statefile of this pool and session.
    #[error("{path}: {reason}")]
    Content {
        /// The file or device.
        path: String,
        /// What was found.
        reason: BlockError,
    },
    /// It is smaller than the hosts need.
    #[error("{path} holds {have} bytes; {need} are needed")]
    TooSmall {
        /// The file or device.
        path: String,
        /// Its size in bytes.
        have: u64,
        /// The size needed in bytes.
        need: u64,
    },
}

struct Statefile {
    disk: DirectFile,
    path: String,
}

impl Statefile {
    fn open(path: &Path) -> Result<Self, StatefileError> {
        let name = path.display().to_string();
        let disk = DirectFile::open(path, Faults::from_environment())
            .map_err(|reason| StatefileError::Io { path: name.clone(), reason })?;
        Ok(Statefile { disk, path: name })
    }

    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, StatefileError> {
        self.disk.read(offset, length).map_err(|error| self.io(error))
    }

    fn io(&self, reason: std::io::Error) -> StatefileError {
        StatefileError::Io { path: self.path.clone(), reason }
    }

    fn content(&self, reason: BlockError) -> StatefileError {
        StatefileError::Content { path: self.path.clone(), reason }
    }
}

/// Bytes that a statefile for so many hosts takes.
pub fn needed_bytes(hosts: usize) -> u64 {
    Layout { hosts }.len() as u64
}

/// Bytes of a new heartbeat volume for a pool of so many hosts: room for twice as many, so that the
/// pool can grow and find its volume again, and 4 MiB at least, where 120 hosts have room.
pub fn volume_bytes(hosts: usize) -> u64 {
    needed_bytes((2 * hosts).min(MOST_HOSTS).max(hosts)).next_multiple_of(MIB).max(4 * MIB)
}

/// Writes the initial state for a new HA session over whatever is there.
pub fn prepare(
    path: &Path,
    generation: Uuid,
    key: &Key,
    hosts: &[Uuid],
) -> Result<(), StatefileError> {
    let file = Statefile::open(path)?;
    let image = format_statefile(generation, key, hosts).map_err(|error| file.content(error))?;
    let have = size(path).map_err(|error| file.io(error))?;
    if have < image.len() as u64 {
        let (path, need) = (file.path, image.len() as u64);
        return Err(StatefileError::TooSmall { path, have, need });
    }
    // The header last: a statefile half prepared is none.
    let (header, rest) = image.split_at(Layout { hosts: hosts.len() }.size(Kind::Header));
    let at = header.len() as u64;
    file.disk.write(0, &vec![0; header.len()]).map_err(|error| file.io(error))?;
    file.disk.write(at, rest).map_err(|error| file.io(error))?;
    file.disk.write(0, header).map_err(|error| file.io(error))
}

fn size(path: &Path) -> std::io::Result<u64> {
    use std::io::{Seek, SeekFrom};
    // A block device has no length in its metadata; its end tells.
    std::fs::File::open(path)?.seek(SeekFrom::End(0))
}

/// What the newest decided view on a statefile says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastView {
    /// The state of the pool's HA.
    pub state: PoolState,
    /// The view's epoch; zero when none was decided.
    pub epoch: u64,
    /// The master that it names.
    pub master: Option<Uuid>,
}

/// The state of the pool's HA that the statefile shows, and its epoch. A statefile of another
/// pool or session, or one under another key, is an error that says so.
pub fn read_pool_state(path: &Path, key: &Key) -> Result<(PoolState, u64), StatefileError> {
    let last = read_last_view(path, key)?;
    Ok((last.state, last.epoch))
}

/// The newest decided view on the statefile.
pub fn read_last_view(path: &Path, key: &Key) -> Result<LastView, StatefileError> {
    let file = Statefile::open(path)?;
    let page = file.read(0, PAGE)?;
    let generation = claimed_generation(&page).map_err(|error| file.content(error))?;
    let size = header_size(&page).map_err(|error| file.content(error))?;
    let head = file.read(0, size)?;
    let hosts = open_header(key, generation, &head).map_err(|error| file.content(error))?;
    let layout = Layout { hosts: hosts.len() };
    let image = file.read(0, layout.len())?;
    let slots = (0..hosts.len()).map(Slot::at);
    let newest = slots
        .filter_map(|slot| match open_decision(key, generation, layout, slot, &image) {
            Seen::Decision(decision, _) => decision.decided.clone(),
            _ => None,
        })
        .max_by_key(|view| view.epoch);
    let Some(view) = newest else {
        return Ok(LastView { state: PoolState::Init, epoch: 0, master: None });
    };
    let state = match view.mode {
        Mode::Disk | Mode::Network => PoolState::Active,
        Mode::OffPending => PoolState::OffPending,
        Mode::Off => PoolState::Off,
    };
    let master = view.master.and_then(|slot| hosts.get(slot.index()).copied());
    Ok(LastView { state, epoch: view.epoch, master })
}

/// The newest decided view of several statefiles; some of them may be lost. Fails only when none
/// can be read.
pub fn read_newest_view(
    paths: &[std::path::PathBuf],
    key: &Key,
) -> Result<LastView, StatefileError> {
    let mut newest: Result<LastView, StatefileError> = Err(StatefileError::Io {
        path: "no statefile".to_owned(),
        reason: std::io::ErrorKind::NotFound.into(),
    });
    for path in paths {
        let read = read_last_view(path, key);
        let better = match (&newest, &read) {
            (Ok(known), Ok(view)) => view.epoch > known.epoch,
            (known, _) => known.is_err(),
        };
        if better {
            newest = read;
        }
    }
    newest
}

/// The generation that a statefile belongs to, as far as it can be told without its key.
pub fn generation(path: &Path) -> Result<Uuid, StatefileError> {
    let file = Statefile::open(path)?;
    let head = file.read(0, PAGE)?;
    claimed_generation(&head).map_err(|error| file.content(error))
}

/// Measures disk cycles of the statefile's size without changing it (each block is written back
/// as read) and gives the longest. Only before HA is enabled on it.
pub fn measure(path: &Path, hosts: usize, rounds: usize) -> Result<Duration, StatefileError> {
    let file = Statefile::open(path)?;
    let length = Layout { hosts }.len();
    let mut longest = Duration::ZERO;
    for _ in 0..rounds {
        let own = Layout { hosts }.offset(Kind::Beat, Slot(0));
        let block = file.read(own, Layout { hosts }.size(Kind::Beat))?;
        let begun = Instant::now();
        file.disk.write(own, &block).map_err(|error| file.io(error))?;
        file.read(0, length)?;
        longest = longest.max(begun.elapsed());
    }
    Ok(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blank(bytes: u64) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(bytes).unwrap();
        file
    }

    #[test]
    fn a_prepared_statefile_says_init_to_its_own_pool_only() {
        let file = blank(4 << 20);
        let (key, generation) = (Key::new([1; 32]), Uuid::new_v4());
        let hosts = [Uuid::new_v4(), Uuid::new_v4()];
        assert!(read_pool_state(file.path(), &key).unwrap_err().to_string().contains("blank"));
        prepare(file.path(), generation, &key, &hosts).unwrap();
        assert_eq!(read_pool_state(file.path(), &key).unwrap(), (PoolState::Init, 0));
        assert_eq!(super::generation(file.path()).unwrap(), generation);
        let other = read_pool_state(file.path(), &Key::new([2; 32])).unwrap_err();
        assert!(matches!(other, StatefileError::Content { reason: BlockError::Unauthentic, .. }));
        assert!(measure(file.path(), 2, 3).unwrap() > Duration::ZERO);
        assert_eq!(read_pool_state(file.path(), &key).unwrap(), (PoolState::Init, 0));
    }

    #[test]
    fn a_volume_has_room_for_twice_the_hosts_and_is_small_in_small_pools() {
        assert_eq!([1, 3, 16].map(volume_bytes), [4 << 20; 3]);
        for hosts in [1, 60, 64, 121, 200, 500] {
            assert!(volume_bytes(hosts) >= needed_bytes(2 * hosts), "{hosts}");
        }
        assert!(volume_bytes(MOST_HOSTS) >= needed_bytes(MOST_HOSTS));
        assert!(volume_bytes(MOST_HOSTS) < 1 << 30, "less than a GiB");
    }

    #[test]
    fn a_large_pool_is_prepared_on_the_volume_that_is_made_for_it() {
        let hosts: Vec<Uuid> = (0..300).map(Uuid::from_u128).collect();
        let file = blank(volume_bytes(hosts.len()));
        prepare(file.path(), Uuid::new_v4(), &Key::new([1; 32]), &hosts).unwrap();
    }

    #[test]
    fn a_disk_too_small_is_refused() {
        let file = blank(8192);
        let error = prepare(file.path(), Uuid::new_v4(), &Key::new([1; 32]), &[Uuid::new_v4(); 3]);
        assert!(matches!(error, Err(StatefileError::TooSmall { have: 8192, .. })));
    }
}
