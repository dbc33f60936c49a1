//! `xhad --witness`: a small process on a third site that answers packets (the rules are in
//! [`crate::heartbeat::witness`]). It arms nothing, fences nobody and has no disk to share.
//!
//! What it promises is written and durable before the answer that tells of it leaves; what cannot
//! be kept is not answered. Each start is a later life, counted in a file of its own.

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
use crate::host::system_word::system_word;

/// What the witness keeps of a session, within its state directory.
const KEPT: &str = "witness";
/// How often it was started.
const STARTS: &str = "witness.starts";

/// What a witness is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// Where it answers.
    pub listen: SocketAddr,
    /// Where it keeps its promises.
    pub state_dir: PathBuf,
    /// The session's key, 64 hexadecimal digits, in a file.
    pub key_file: PathBuf,
}

/// Runs until it is ended; returns only when it cannot run.
pub fn run(start: &Start) -> anyhow::Result<()> {
    std::fs::create_dir_all(&start.state_dir).context("the state directory")?;
    let text = std::fs::read_to_string(&start.key_file)
        .with_context(|| start.key_file.display().to_string())?;
    let key = Key::from_hex(&text)?;
    let life = next_life(&start.state_dir)?;
    kept_before(&start.state_dir)?;
    let socket = UdpSocket::bind(start.listen).with_context(|| start.listen.to_string())?;
    println!("listening at {}", socket.local_addr()?);
    let mut desk = Desk { key, life, state_dir: start.state_dir.clone(), witness: None };
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

/// The witness of the newest session whose packets bear the key.
struct Desk {
    key: Key,
    life: Life,
    state_dir: PathBuf,
    witness: Option<(Uuid, Witness)>,
}

impl Desk {
    /// The answer to a packet, after what it promises is kept; none to what is no packet.
    ///
    /// It fails when nothing can be kept. What was promised in memory must not be told then: the
    /// next start begins from what is on the disk.
    fn answer(&mut self, now: u64, bytes: &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
        let Some(packet) = self.open(bytes) else { return Ok(None) };
        if self.witness.as_ref().is_none_or(|(generation, _)| *generation != packet.generation) {
            self.begin(packet.generation)?;
        }
        let Some((_, witness)) = &mut self.witness else { return Ok(None) };
        let Some(reply) = witness.take(now, &packet) else { return Ok(None) };
        if let Some(kept) = &reply.keep {
            let path = self.state_dir.join(KEPT);
            kept::write(&path, &kept.bytes()).map_err(|error| {
                let (path, why) = (path.display(), system_word(&error));
                anyhow::anyhow!("{path} cannot be written ({why}): the witness promises nothing")
            })?;
        }
        Ok(Some(reply.answer.seal(&self.key)))
    }

    /// A packet bears the key of one session; its generation is the one that it names.
    fn open(&self, bytes: &[u8]) -> Option<Packet> {
        let known = self.witness.as_ref().map_or(Uuid::nil(), |(generation, _)| *generation);
        match Packet::open(bytes, &self.key, known) {
            Err(PacketError::Generation(theirs)) => Packet::open(bytes, &self.key, theirs).ok(),
            other => other.ok(),
        }
    }

    fn begin(&mut self, generation: Uuid) -> anyhow::Result<()> {
        let kept = kept_before(&self.state_dir)?;
        self.witness = Some((generation, Witness::new(generation, self.life, kept)));
        Ok(())
    }
}

/// What the witness has promised so far. Without a record that is there it would promise anew
/// what contradicts it: then it answers nobody.
fn kept_before(state_dir: &Path) -> anyhow::Result<Option<Kept>> {
    kept::load(&state_dir.join(KEPT)).map_err(|fault| {
        anyhow::anyhow!(
            "{fault}: the witness does not know what it has promised, and answers nobody; switch \
             HA off for the pool (xe pool-ha-disable), remove that file, start the witness again, \
             and switch HA on"
        )
    })
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

    #[test]
    fn only_packets_under_the_key_are_answered() {
        let dir = tempfile::tempdir().unwrap();
        let key = Key::new([4; 32]);
        let life = next_life(dir.path()).unwrap();
        let state_dir = dir.path().to_owned();
        let mut desk = Desk { key: key.clone(), life, state_dir, witness: None };
        assert_eq!(desk.answer(1, b"nonsense").unwrap(), None);
        let packet = packet();
        assert_eq!(desk.answer(1, &packet.seal(&Key::new([5; 32]))).unwrap(), None);
        let answer = desk.answer(1, &packet.seal(&key)).unwrap().unwrap();
        let answer = Packet::open(&answer, &key, packet.generation).unwrap();
        assert_eq!(answer.report.peers[0].echo_seq, packet.report.seq);
        assert_eq!(desk.answer(1, &packet.seal(&key)).unwrap(), None, "an old one is not");
    }

    fn packet() -> Packet {
        use crate::heartbeat::report::Report;
        use crate::heartbeat::view::Slot;
        let life = Life { boot: 1, session: 1 };
        let report = Report { life, seq: 3, ..Report::empty() };
        Packet {
            generation: Uuid::from_u128(6),
            sender: Slot(0),
            report: report.into(),
            view: None,
            bid: None,
            vote: None,
        }
    }
}
