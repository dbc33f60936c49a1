//! `xhad --witness`: a small process on a third site that answers packets (the rules are in
//! [`crate::heartbeat::witness`]). It arms nothing, fences nobody and has no disk to share.
//!
//! What it promises is written and durable before the answer that tells of it leaves; what cannot
//! be kept is not answered. Each start is a later life, counted in a file of its own.
//!
//! Its key is the pool's, not a session's, so that it is set up once. Packets of earlier sessions
//! therefore stay authentic: late ones, those of a host that was away, and recorded ones. So each
//! session has a record of its own that no packet of another one can touch, and none is ever
//! forgotten: a promise that was lost would let a link be decided twice.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};

use anyhow::Context;
use uuid::Uuid;

use super::kept;
use crate::heartbeat::auth::Key;
use crate::heartbeat::kept::Kept;
use crate::heartbeat::packet::{LONGEST, Packet, PacketError};
use crate::heartbeat::view::Life;
use crate::heartbeat::witness::Witness;
use crate::host::clock::boottime_ns;

/// What it keeps of each session begins so; the session's name follows.
const RECORD: &str = "witness-";
/// How often it was started.
const STARTS: &str = "witness.starts";

/// What a witness is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// Where it answers.
    pub listen: SocketAddr,
    /// Where it keeps its promises.
    pub state_dir: PathBuf,
    /// The key that `xe pool-ha-witness-key` prints, 64 hexadecimal digits, in a file.
    pub key_file: PathBuf,
}

/// Runs until it is ended; returns only when it cannot run.
pub fn run(start: &Start) -> anyhow::Result<()> {
    std::fs::create_dir_all(&start.state_dir).context("the state directory")?;
    let text = std::fs::read_to_string(&start.key_file)
        .with_context(|| start.key_file.display().to_string())?;
    let key = Key::from_hex(&text)?;
    let life = next_life(&start.state_dir)?;
    read_all(&start.state_dir)?;
    let socket = UdpSocket::bind(start.listen).with_context(|| start.listen.to_string())?;
    println!("listening at {}", socket.local_addr()?);
    let state_dir = start.state_dir.clone();
    let mut desk = Desk { key, life, state_dir, witnesses: BTreeMap::new() };
    let mut buffer = vec![0; LONGEST + 1];
    loop {
        // A refused earlier answer is reported here; it says nothing about what arrives.
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        if let Some(answer) = desk.answer(boottime_ns(), &buffer[..length])? {
            let _lost = socket.send_to(&answer, from);
        }
    }
}

/// One life above all earlier ones, durable before the first answer.
fn next_life(state_dir: &Path) -> anyhow::Result<Life> {
    let path = state_dir.join(STARTS);
    let earlier: u32 = match std::fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().with_context(|| path.display().to_string())?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let boot = earlier.checked_add(1).context("started too often")?;
    kept::write(&path, boot.to_string().as_bytes()).context("the count of starts")?;
    Ok(Life { boot, session: 1 })
}

/// The witnesses of all sessions whose packets have come since the start.
struct Desk {
    key: Key,
    life: Life,
    state_dir: PathBuf,
    witnesses: BTreeMap<Uuid, Witness>,
}

impl Desk {
    /// The answer to a packet, after what it promises is kept; none to what is no packet. An error
    /// ends the process: what was promised in memory must not be told, and what was promised
    /// before must be known.
    fn answer(&mut self, now: u64, bytes: &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
        let Some(packet) = self.open(bytes) else { return Ok(None) };
        let path = self.state_dir.join(format!("{RECORD}{}", packet.generation));
        let witness = match self.witnesses.entry(packet.generation) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let kept = read_kept(&path)?;
                place.insert(Witness::new(packet.generation, self.life, kept))
            }
        };
        let Some(reply) = witness.take(now, &packet) else { return Ok(None) };
        if let Some(kept) = &reply.keep {
            kept::write(&path, &kept.bytes()).with_context(|| {
                format!("what is promised cannot be kept in {}", path.display())
            })?;
        }
        Ok(Some(reply.answer.seal(&self.key)))
    }

    /// A packet bears the pool's key; its session is the one that it names.
    fn open(&self, bytes: &[u8]) -> Option<Packet> {
        match Packet::open(bytes, &self.key, Uuid::nil()) {
            Err(PacketError::Generation(theirs)) => Packet::open(bytes, &self.key, theirs).ok(),
            other => other.ok(),
        }
    }
}

/// What was promised in a session. Without a record that is there the witness would promise anew
/// what contradicts it: then it answers nobody. Only one that was never written is none.
fn read_kept(path: &Path) -> anyhow::Result<Option<Kept>> {
    kept::load(path).map_err(|fault| {
        anyhow::anyhow!(
            "{fault}: the witness does not know what it has promised, and answers nobody; switch \
             HA off for the pool (xe pool-ha-disable), remove that file, start the witness again, \
             and switch HA on"
        )
    })
}

/// Looks at every session's record before anything is answered: a damaged one is to be known when
/// the witness is started, not when its pool needs it.
fn read_all(state_dir: &Path) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(state_dir).with_context(|| state_dir.display().to_string())?;
    for entry in entries {
        let path = entry.with_context(|| state_dir.display().to_string())?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.strip_prefix(RECORD).is_some_and(|session| session.parse::<Uuid>().is_ok()) {
            read_kept(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_start_is_a_later_life_and_a_damaged_count_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let boots: Vec<u32> = (0..3).map(|_| next_life(dir.path()).unwrap().boot).collect();
        assert_eq!(boots, [1, 2, 3]);
        std::fs::write(dir.path().join(STARTS), "x").unwrap();
        assert!(next_life(dir.path()).is_err());
    }

    fn desk(dir: &Path, key: &Key) -> Desk {
        let life = next_life(dir).unwrap();
        Desk { key: key.clone(), life, state_dir: dir.to_owned(), witnesses: BTreeMap::new() }
    }

    #[test]
    fn only_packets_under_the_key_are_answered() {
        let dir = tempfile::tempdir().unwrap();
        let key = Key::new([4; 32]);
        let mut desk = desk(dir.path(), &key);
        let mut ask = |bytes: &[u8]| desk.answer(1, bytes).unwrap();
        assert_eq!(ask(b"nonsense"), None);
        let packet = packet(6);
        assert_eq!(ask(&packet.seal(&Key::new([5; 32]))), None);
        let answer = ask(&packet.seal(&key)).unwrap();
        let answer = Packet::open(&answer, &key, packet.generation).unwrap();
        assert_eq!(answer.report.peers[0].echo_seq, packet.report.seq);
        assert_eq!(ask(&packet.seal(&key)), None, "an old one is not");
    }

    #[test]
    fn a_packet_of_another_session_takes_no_promise_away() {
        let dir = tempfile::tempdir().unwrap();
        let key = Key::new([4; 32]);
        let promised = |desk: &mut Desk, packet: &Packet| {
            let answer = desk.answer(1, &packet.seal(&key)).unwrap().unwrap();
            let answer = Packet::open(&answer, &key, packet.generation).unwrap();
            answer.vote.unwrap().promised.number
        };
        let mut desk_of_now = desk(dir.path(), &key);
        assert_eq!(promised(&mut desk_of_now, &bidding(6, 1, 7)), 7);
        assert_eq!(promised(&mut desk_of_now, &bidding(5, 1, 2)), 2, "a session before");
        assert_eq!(promised(&mut desk_of_now, &bidding(6, 2, 3)), 7, "not lower than before");
        let mut after_a_restart = desk(dir.path(), &key);
        assert_eq!(promised(&mut after_a_restart, &bidding(6, 3, 3)), 7);
    }

    #[test]
    fn a_damaged_record_is_not_taken_for_none() {
        let dir = tempfile::tempdir().unwrap();
        let key = Key::new([4; 32]);
        desk(dir.path(), &key).answer(1, &bidding(6, 1, 7).seal(&key)).unwrap().unwrap();
        let path = dir.path().join(format!("witness-{}", Uuid::from_u128(6)));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[3] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let refused = desk(dir.path(), &key).answer(1, &bidding(6, 2, 3).seal(&key)).unwrap_err();
        assert!(refused.to_string().contains("is damaged"), "{refused}");
    }

    /// The packet of a host that asks for a promise.
    fn bidding(generation: u128, seq: u64, number: u64) -> Packet {
        use crate::heartbeat::decision::Ballot;
        use crate::heartbeat::report::Report;
        use crate::heartbeat::vote::Bid;
        let packet = packet(generation);
        let report = Report { seq, ..Report::clone(&packet.report) };
        let bid = Bid { link: 0, ballot: Ballot { number, slot: 0 }, value: None };
        Packet { report: report.into(), bid: Some(bid.into()), ..packet }
    }

    fn packet(generation: u128) -> Packet {
        use crate::heartbeat::report::Report;
        use crate::heartbeat::view::Slot;
        let life = Life { boot: 1, session: 1 };
        let report = Report { life, seq: 3, ..Report::empty() };
        Packet {
            generation: Uuid::from_u128(generation),
            sender: Slot(0),
            report: report.into(),
            view: None,
            bid: None,
            vote: None,
        }
    }
}
