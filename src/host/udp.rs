//! The heartbeat's UDP socket.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use super::faults::Faults;

/// One bound socket and the peers it sends to.
#[derive(Debug)]
pub struct Link {
    socket: UdpSocket,
    peers: Vec<SocketAddr>,
    faults: Faults,
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
        let peers = peers.iter().map(|peer| SocketAddr::new(*peer, port));
        Ok(Link { socket, peers: peers.chain(witness).collect(), faults })
    }

    /// The socket, to wait on.
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Sends to every peer; a peer that cannot be reached is a lost packet like any other.
    pub fn send(&self, bytes: &[u8]) {
        if self.faults.net_cut() {
            return;
        }
        for peer in &self.peers {
            let _lost = self.socket.send_to(bytes, peer);
        }
    }

    /// The next packet that is there, if any.
    pub fn receive(&self, buffer: &mut [u8]) -> Option<usize> {
        loop {
            match self.socket.recv_from(buffer) {
                Ok(_) if self.faults.net_cut() => {}
                Ok((length, _)) => return Some(length),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                // A refused earlier send is reported here; it says nothing about what arrives.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(_) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::faults::{FaultChannel, NET_CUT};
    use std::time::Duration;

    #[test]
    fn a_cut_network_drops_both_ways() {
        let channel = FaultChannel::create().unwrap();
        let (a, b): (IpAddr, IpAddr) =
            ("127.0.71.1".parse().unwrap(), "127.0.71.2".parse().unwrap());
        let port = UdpSocket::bind((a, 0)).unwrap().local_addr().unwrap().port();
        let near = Link::bind(a, &[b], port, None, channel.reader()).unwrap();
        let far = Link::bind(b, &[a], port, None, Faults::none()).unwrap();
        let mut buffer = [0; 100];
        near.send(b"one");
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(far.receive(&mut buffer), Some(3));
        channel.set(NET_CUT).unwrap();
        near.send(b"two");
        far.send(b"three");
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(far.receive(&mut buffer), None);
        assert_eq!(near.receive(&mut buffer), None);
    }
}
