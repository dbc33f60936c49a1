//! The heartbeat's UDP socket.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use rustix::net::{SendFlags, sendto};

use super::faults::Faults;
use super::neighbour;

/// When a peer is silent, and when it is gone, in nanoseconds since its last packet.
///
/// To a peer that was heard just now a packet tells the kernel so: its neighbour entry needs no
/// check. To a silent one the kernel asks its way anew with every packet (see [`neighbour`]);
/// with one that is gone it is left alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Silence {
    /// A peer not heard for longer is silent.
    pub after_ns: u64,
    /// A peer not heard for longer is gone.
    pub gone_ns: u64,
}

#[derive(Debug)]
struct Peer {
    to: SocketAddr,
    heard_ns: Option<u64>,
}

/// One bound socket and the peers it sends to.
#[derive(Debug)]
pub struct Link {
    socket: UdpSocket,
    peers: Vec<Peer>,
    witness: Option<Peer>,
    silence: Silence,
    faults: Faults,
    number: u8,
}

impl Link {
    /// Binds to the own address and sends to the others, all at one port, and to the witness.
    pub fn bind(
        own: IpAddr,
        peers: &[IpAddr],
        port: u16,
        witness: Option<SocketAddr>,
        faults: Faults,
    ) -> io::Result<Self> {
        let socket = UdpSocket::bind(SocketAddr::new(own, port))?;
        socket.set_nonblocking(true)?;
        let silent = |to: SocketAddr| Peer { to, heard_ns: None };
        let peers = peers.iter().map(|peer| silent(SocketAddr::new(*peer, port))).collect();
        let witness = witness.map(silent);
        Ok(Link { socket, peers, witness, silence: Silence::default(), faults, number: 0 })
    }

    /// The same link as that of this number among several, for faults that hit one alone.
    pub fn numbered(self, number: u8) -> Self {
        Link { number, ..self }
    }

    /// The same link, which looks after peers that fall silent.
    pub fn with_silence(self, silence: Silence) -> Self {
        Link { silence, ..self }
    }

    /// The socket, to wait on.
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Sends to every peer; a peer that cannot be reached is a lost packet like any other.
    pub fn send(&self, bytes: &[u8], now_ns: u64) {
        self.send_to(&self.peers, bytes, now_ns);
    }

    /// Sends to the witness alone, if this link has one.
    pub fn send_to_witness(&self, bytes: &[u8], now_ns: u64) {
        self.send_to(self.witness.as_slice(), bytes, now_ns);
    }

    fn send_to(&self, peers: &[Peer], bytes: &[u8], now_ns: u64) {
        if self.faults.link_cut(self.number) {
            return;
        }
        for peer in peers {
            let age = peer.heard_ns.map(|at| now_ns.saturating_sub(at));
            let fresh = age.is_some_and(|age| age <= self.silence.after_ns);
            let silent = age.is_some_and(|age| age <= self.silence.gone_ns);
            if let (false, true, IpAddr::V4(address)) = (fresh, silent, peer.to.ip()) {
                let _not_known = neighbour::forget(&self.socket, address);
            }
            let flags = if fresh { SendFlags::CONFIRM } else { SendFlags::empty() };
            let _lost = sendto(&self.socket, bytes, flags, &peer.to);
        }
    }

    /// The next packet that is there, if any, and where it came from.
    pub fn receive(&self, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        loop {
            match self.socket.recv_from(buffer) {
                Ok(_) if self.faults.link_cut(self.number) => {}
                Ok(packet) => return Some(packet),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                // A refused earlier send is reported here; it says nothing about what arrives.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(_) => return None,
            }
        }
    }

    /// A packet from there was checked and found good.
    pub fn heard(&mut self, from: SocketAddr, now_ns: u64) {
        let mut known = self.peers.iter_mut().chain(&mut self.witness);
        if let Some(peer) = known.find(|peer| peer.to.ip() == from.ip()) {
            peer.heard_ns = Some(now_ns);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::faults::{FaultChannel, NET_CUT, link_bit};
    use std::time::Duration;

    fn free_port(address: IpAddr) -> u16 {
        UdpSocket::bind((address, 0)).unwrap().local_addr().unwrap().port()
    }

    #[test]
    fn a_cut_network_drops_both_ways() {
        let channel = FaultChannel::create().unwrap();
        let (a, b): (IpAddr, IpAddr) =
            ("127.0.71.1".parse().unwrap(), "127.0.71.2".parse().unwrap());
        let port = free_port(a);
        let near = Link::bind(a, &[b], port, None, channel.reader()).unwrap();
        let far = Link::bind(b, &[a], port, None, Faults::none()).unwrap();
        let mut buffer = [0; 100];
        near.send(b"one", 0);
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(far.receive(&mut buffer), Some((3, SocketAddr::new(a, port))));
        // Another link's cut is not this one's.
        channel.set(link_bit(1)).unwrap();
        near.send(b"one again", 0);
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(far.receive(&mut buffer), Some((9, SocketAddr::new(a, port))));
        let near = near.numbered(1);
        near.send(b"two", 0);
        far.send(b"three", 0);
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!((far.receive(&mut buffer), near.receive(&mut buffer)), (None, None));
        channel.set(NET_CUT).unwrap();
        near.send(b"two", 0);
        far.send(b"three", 0);
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(far.receive(&mut buffer), None);
        assert_eq!(near.receive(&mut buffer), None);
    }

    #[test]
    fn packets_go_to_fresh_silent_and_gone_peers_alike() {
        let (a, b): (IpAddr, IpAddr) =
            ("127.0.71.3".parse().unwrap(), "127.0.71.4".parse().unwrap());
        let port = free_port(a);
        let silence = Silence { after_ns: 10, gone_ns: 100 };
        let mut near = Link::bind(a, &[b], port, None, Faults::none()).unwrap();
        near = near.with_silence(silence);
        let far = Link::bind(b, &[a], port, None, Faults::none()).unwrap();
        let mut buffer = [0; 100];
        near.heard(SocketAddr::new(b, port), 1000);
        for now in [1005, 1050, 5000] {
            near.send(b"beat", now);
            std::thread::sleep(Duration::from_millis(20));
            assert_eq!(far.receive(&mut buffer).map(|(length, _)| length), Some(4), "{now}");
        }
    }

    #[test]
    fn a_link_works_over_the_newer_protocol() {
        let own: IpAddr = "::1".parse().unwrap();
        // One address, so the two ends differ by port; each names the other as its witness.
        let probe = UdpSocket::bind((own, 0)).unwrap();
        let there = probe.local_addr().unwrap();
        drop(probe);
        let near = Link::bind(own, &[], 0, Some(there), Faults::none()).unwrap();
        let here = near.socket().local_addr().unwrap();
        let far = Link::bind(own, &[], there.port(), Some(here), Faults::none()).unwrap();
        let mut buffer = [0; 100];
        near.send_to_witness(b"there", 0);
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(far.receive(&mut buffer), Some((5, here)));
        far.send_to_witness(b"back", 0);
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(near.receive(&mut buffer), Some((4, there)));
    }
}
