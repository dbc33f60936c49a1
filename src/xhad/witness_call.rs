//! Does a witness answer a host? Asked before HA is switched on, since one that is deaf would be
//! missed only when it counts.
//!
//! The question bears the new session's name and a life before all lives, so that nothing which
//! comes later is older; it asks for no promise, and the witness keeps nothing of it.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::heartbeat::auth::Key;
use crate::heartbeat::packet::{LONGEST, Packet};
use crate::heartbeat::report::Report;
use crate::heartbeat::view::Slot;
use crate::host::faults::Faults;
use crate::host::system_word::system_word;

/// So many questions are asked, as packets get lost.
const QUESTIONS: u64 = 4;
/// How long each waits for an answer; one to an earlier question is as good.
const PATIENCE: Duration = Duration::from_millis(300);

/// Asks from the address from which the heartbeat will, for a host with that slot.
pub fn ask(
    from: IpAddr,
    witness: SocketAddr,
    key: &Key,
    (generation, me): (Uuid, Slot),
    faults: &Faults,
) -> Result<(), String> {
    let failed = |error: std::io::Error| system_word(&error);
    let socket = UdpSocket::bind((from, 0)).map_err(failed)?;
    let mut why = "no answer came".to_owned();
    for seq in 1..=QUESTIONS {
        let report = Report { seq, ..Report::empty() };
        let packet = Packet {
            generation,
            sender: me,
            report: report.into(),
            view: None,
            bid: None,
            vote: None,
        };
        let begun = Instant::now();
        if let Err(error) = socket.send_to(&packet.seal(key), witness) {
            why = failed(error);
        }
        while let Some(left) = PATIENCE.checked_sub(begun.elapsed()).filter(|left| !left.is_zero())
        {
            socket.set_read_timeout(Some(left)).map_err(failed)?;
            // Whatever else comes, or an error of an earlier packet, says nothing of the witness.
            let answer = receive(&socket, key, generation).ok().flatten();
            if answer.is_some_and(|answer| echoes(&answer, me, seq)) && !faults.net_cut() {
                return Ok(());
            }
        }
    }
    Err(why)
}

fn receive(socket: &UdpSocket, key: &Key, generation: Uuid) -> std::io::Result<Option<Packet>> {
    let mut buffer = vec![0; LONGEST];
    let (length, _) = socket.recv_from(&mut buffer)?;
    Ok(Packet::open(&buffer[..length], key, generation).ok())
}

/// Whether it is the witness's answer to one of the questions so far.
fn echoes(answer: &Packet, me: Slot, seq: u64) -> bool {
    let echo = answer.report.peers.get(me.index());
    answer.sender == Slot::WITNESS && echo.is_some_and(|echo| (1..=seq).contains(&echo.echo_seq))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(witness: SocketAddr, key: &Key) -> Result<(), String> {
        let (from, session) = (IpAddr::from([127, 0, 0, 1]), (Uuid::from_u128(6), Slot(1)));
        ask(from, witness, key, session, &Faults::none())
    }

    #[test]
    fn an_answer_counts_under_the_right_key_only() {
        let key = Key::new([4; 32]);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let there = socket.local_addr().unwrap();
        let own = key.clone();
        std::thread::spawn(move || {
            use crate::heartbeat::view::Life;
            use crate::heartbeat::witness::Witness;
            let life = Life { boot: 1, session: 1 };
            let mut witness = Witness::new(Uuid::from_u128(6), life, None);
            let mut buffer = vec![0; LONGEST];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let packet = Packet::open(&buffer[..length], &own, Uuid::from_u128(6));
                let Some(reply) = packet.ok().and_then(|packet| witness.take(1, &packet)) else {
                    continue;
                };
                assert_eq!(reply.keep, None, "a question asks for no promise");
                socket.send_to(&reply.answer.seal(&own), from).unwrap();
            }
        });
        assert_eq!(call(there, &key), Ok(()));
        assert_eq!(call(there, &Key::new([5; 32])), Err("no answer came".to_owned()));
    }

    #[test]
    fn where_nothing_listens_nothing_answers() {
        let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(call(free, &Key::new([4; 32])).is_err());
    }
}
