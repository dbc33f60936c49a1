//! Links between hosts: loss, delay, duplication, reordering, cuts both ways and one way.

use std::sync::Arc;

use super::World;
use super::machine::What;
use crate::heartbeat::node::Input;
use crate::heartbeat::packet::{Packet, PacketError};
use crate::heartbeat::report::Report;
use crate::heartbeat::timing::{MILLISECOND, Nanos};
use crate::heartbeat::variant::Variant;
use crate::heartbeat::view::{Mode, Slot, View};
use crate::heartbeat::{Key, PROTOCOL};

/// The links.
#[derive(Debug, Clone)]
pub struct Net {
    /// `beats[from][to]`: heartbeat packets that way are lost.
    pub beats: Vec<Vec<bool>>,
    /// `calls[from][to]`: nothing of the agents passes that way.
    pub calls: Vec<Vec<bool>>,
    /// Packets lost anywhere, in percent.
    pub loss: u64,
    /// Packets that come twice, in percent.
    pub twice: u64,
    /// How long a packet takes at most, beyond two milliseconds: so they overtake each other.
    pub delay: Nanos,
}

impl Net {
    pub(super) fn new(hosts: usize) -> Self {
        let none = vec![vec![false; hosts]; hosts];
        Net { beats: none.clone(), calls: none, loss: 0, twice: 0, delay: 0 }
    }

    /// Cuts or heals one way of a link.
    pub fn set(&mut self, from: usize, to: usize, cut: bool) {
        self.beats[from][to] = cut;
        self.calls[from][to] = cut;
    }
}

pub(super) fn key() -> Key {
    Key::new([7; 32])
}

/// The key of somebody outside of the pool.
fn stranger() -> Key {
    Key::new([8; 32])
}

/// A packet as a daemon of the next protocol begins it: nobody here looks any further.
fn of_other_protocol(packet: &Packet) -> Vec<u8> {
    let mut bytes = packet.seal(&key());
    bytes[4..6].copy_from_slice(&(PROTOCOL + 1).to_le_bytes());
    bytes
}

impl World {
    pub(super) fn send(&mut self, from: usize, packet: Packet) {
        let bytes = self.setting.bytes.then(|| Arc::new(packet.seal(&key())));
        self.send_to_witness(from, &packet);
        let hosts = self.machines.len();
        for to in 0..hosts {
            if to == from || self.net.beats[from][to] || !self.machines[to].alive {
                continue;
            }
            if self.machines[from].other_protocol.1 {
                self.push(self.now, to, What::Bytes(Arc::new(of_other_protocol(&packet))));
                continue;
            }
            if self.net.loss > 0 && self.chance(100) < self.net.loss {
                continue;
            }
            let copies = 1 + u64::from(self.net.twice > 0 && self.chance(100) < self.net.twice);
            for _ in 0..copies {
                let at = self.now + self.travel();
                let what = match &bytes {
                    Some(bytes) => What::Bytes(Arc::clone(bytes)),
                    None => What::Deliver(packet.clone()),
                };
                self.push(at, to, what);
            }
        }
    }

    /// Somebody without the key tells a host, in the name of the last one, that HA is off: with
    /// all that the pool itself would say then.
    pub fn forge_off(&mut self, host: usize) {
        let from = self.machines.len() - 1;
        let node = |host: usize| self.machines[host].node.as_ref();
        let Some(view) = node(host).and_then(|node| node.decided()) else { return };
        let Some(life) = node(from).map(|node| node.life()) else { return };
        let view = View { epoch: view.epoch + 1, mode: Mode::Off, ..view.clone() };
        let report = Report {
            life,
            boot_id: self.machines[from].boot_id,
            seq: u64::from(u32::MAX),
            epoch: view.epoch,
            ..Report::empty()
        };
        let packet = Packet {
            generation: self.generation,
            sender: Slot::at(from),
            report: Arc::new(report),
            view: Some(Arc::new(view)),
            bid: None,
            vote: None,
        };
        let bytes = Arc::new(packet.seal(&stranger()));
        self.tell(format_args!("h{} gets a forged word that HA is off", host + 1));
        self.push(self.now, host, What::Bytes(bytes));
    }

    /// How long something is on its way over the network.
    pub(super) fn travel(&mut self) -> Nanos {
        let usual = self.chance(20) * MILLISECOND / 10 + MILLISECOND / 10;
        match self.net.delay {
            0 => usual,
            most => usual + self.chance(most),
        }
    }

    pub(super) fn open(&mut self, host: usize, bytes: &[u8]) {
        let opened = Packet::open(bytes, &key(), self.generation);
        let opened = match self.wrong(Variant::OffUnsigned) {
            true => opened.or_else(|_| Packet::open(bytes, &stranger(), self.generation)),
            false => opened,
        };
        let opened = match self.machines[host].other_protocol.1 {
            true => Err(PacketError::Version(PROTOCOL)),
            false => opened,
        };
        match opened {
            Ok(packet) => self.step(host, Input::Packet(0, &packet)),
            Err(error) => self.step(host, Input::Refused(error)),
        }
    }
}
