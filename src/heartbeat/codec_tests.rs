//! Packets and blocks: what is written is read; what was touched, or sealed by another key or
//! for another place, is refused; nothing makes a reader panic.

use proptest::prelude::*;
use uuid::Uuid;

use super::auth::Key;
use super::block::{self, BLOCK, BlockError, Kind, Layout, Seen};
use super::decision::{Ballot, Decision};
use super::packet::{Packet, PacketError};
use super::report::{PeerReport, Report};
use super::view::{Gone, Life, MOST_HOSTS, Member, Mode, Proof, Slot, View};
use super::wire::{Reader, Writer};

const GENERATION: Uuid = Uuid::from_u128(5);

fn key() -> Key {
    Key::new([3; 32])
}

fn life() -> impl Strategy<Value = Life> {
    (any::<u64>(), any::<u32>()).prop_map(|(boot, session)| Life { boot, session })
}

fn member(slot: u8) -> impl Strategy<Value = Member> {
    (life(), any::<u128>(), any::<bool>(), any::<u32>()).prop_map(
        move |(life, id, armed, weight)| Member {
            slot: Slot(slot),
            life,
            boot_id: Uuid::from_u128(id),
            armed,
            weight,
        },
    )
}

fn members(most: usize) -> impl Strategy<Value = Vec<Member>> {
    (1..=most).prop_flat_map(|count| (0..count as u8).map(member).collect::<Vec<_>>())
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::Disk), Just(Mode::Network), Just(Mode::OffPending), Just(Mode::Off)]
}

fn proof() -> impl Strategy<Value = Proof> {
    prop_oneof![
        Just(Proof::None),
        Just(Proof::LeaseEndedByNetwork),
        Just(Proof::LeaseEndedByDisk),
        Just(Proof::Tombstone),
        Just(Proof::NewBoot),
        Just(Proof::LeftEmpty),
        Just(Proof::Operator),
    ]
}

prop_compose! {
    fn view(epoch: u64, most: usize)(
        all in members(most),
        split in any::<usize>(),
        mode in mode(),
        since in any::<u64>(),
        was_master in any::<bool>(),
        proof in proof(),
        numbers in any::<(u8, u64, u64)>(),
    ) -> View {
        // A host is a member or has gone, never both.
        let mut members = all;
        let left = members.split_off(1 + split % members.len());
        let gone = left.into_iter().map(|member| Gone { member, since, was_master, proof });
        View {
            epoch,
            mode,
            master: members.first().map(|member| member.slot),
            gone: gone.collect(),
            members,
            acceptors: numbers.0,
            in_sync: numbers.1,
            segment: numbers.2,
            void: vec![(Slot(1), 7)],
            proposer: Slot(0),
        }
    }
}

prop_compose! {
    fn report()(
        life in life(),
        boot_id in any::<u128>(),
        seq in 1..u64::MAX,
        epoch in any::<u64>(),
        flags in 0u32..(1 << 11),
        numbers in any::<(u32, u16, u32, u32, u64)>(),
        heir in proptest::option::of(0..MOST_HOSTS as u8),
        peers in prop::collection::vec((life(), any::<(u64, u32, u32)>()), 0..MOST_HOSTS),
    ) -> Report {
        Report {
            life,
            boot_id: Uuid::from_u128(boot_id),
            seq,
            epoch,
            flags,
            disk_ms: numbers.0,
            worst_gap: numbers.1,
            weight: numbers.2,
            dead_within_ms: numbers.3,
            decision_seq: numbers.4,
            heir: heir.map(Slot),
            peers: peers
                .into_iter()
                .map(|(echo_life, (echo_seq, evidence_ms, heard_ms))| {
                    PeerReport { echo_life, echo_seq, evidence_ms, heard_ms }
                })
                .collect(),
        }
    }
}

prop_compose! {
    fn packet()(
        sender in 0..MOST_HOSTS as u8,
        report in report(),
        view in proptest::option::of(view(9, MOST_HOSTS)),
    ) -> Packet {
        Packet { generation: GENERATION, sender: Slot(sender), report, view }
    }
}

prop_compose! {
    fn decision()(
        seq in any::<u64>(),
        life in life(),
        value in proptest::option::of(view(8, MOST_HOSTS)),
        decided in proptest::option::of(view(7, MOST_HOSTS)),
    ) -> Decision {
        let accepted = match value {
            Some(_) => Ballot { number: 4, slot: 1 },
            None => Ballot::default(),
        };
        let started = Ballot { number: 4, slot: 2 };
        Decision { seq, life, instance: 8, started, accepted, value, decided }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn packets_survive_the_way(packet in packet()) {
        let bytes = packet.seal(&key());
        prop_assert!(bytes.len() <= super::packet::LONGEST, "{}", bytes.len());
        prop_assert_eq!(Packet::open(&bytes, &key(), GENERATION), Ok(packet));
    }

    #[test]
    fn touched_packets_are_refused(packet in packet(), at in any::<usize>(), flip in 1u8..) {
        let mut bytes = packet.seal(&key());
        let at = at % bytes.len();
        bytes[at] ^= flip;
        prop_assert!(Packet::open(&bytes, &key(), GENERATION).is_err());
        prop_assert!(Packet::open(&bytes[..at], &key(), GENERATION).is_err());
    }

    #[test]
    fn a_wrong_key_or_generation_is_refused(packet in packet()) {
        let bytes = packet.seal(&key());
        let other = Key::new([4; 32]);
        prop_assert_eq!(
            Packet::open(&bytes, &other, GENERATION),
            Err(PacketError::Unauthentic)
        );
        let wrong = Uuid::from_u128(6);
        prop_assert_eq!(
            Packet::open(&bytes, &key(), wrong),
            Err(PacketError::Generation(GENERATION))
        );
    }

    #[test]
    fn authentic_nonsense_never_panics(body in prop::collection::vec(any::<u8>(), 0..600)) {
        let _anything = View::read(&mut Reader::new(&body));
        let _anything = Report::read(&mut Reader::new(&body));
        let _anything = Decision::read(&mut Reader::new(&body));
        let _anything = Packet::open(&body, &key(), GENERATION);
        let mut block = vec![0; BLOCK];
        block[..body.len()].copy_from_slice(&body);
        prop_assert!(block::open_beat(&key(), GENERATION, Slot(0), &block).is_err());
    }

    #[test]
    fn mutated_encodings_never_panic(
        packet in packet(),
        decision in decision(),
        at in any::<usize>(),
        flip in 1u8..,
    ) {
        let mut w = Writer::default();
        packet.report.write(&mut w);
        decision.write(&mut w);
        let mut bytes = w.finish();
        let at = at % bytes.len();
        bytes[at] ^= flip;
        let mut reader = Reader::new(&bytes);
        if Report::read(&mut reader).is_ok() {
            let _anything = Decision::read(&mut reader);
        }
    }

    #[test]
    fn beat_blocks_hold_in_their_own_place_only(report in report(), at in 0..BLOCK, flip in 1u8..) {
        let block = block::seal_beat(&key(), GENERATION, Slot(2), &report).unwrap();
        prop_assert_eq!(block.len(), BLOCK);
        prop_assert_eq!(block::open_beat(&key(), GENERATION, Slot(2), &block), Ok(report));
        prop_assert_eq!(
            block::open_beat(&key(), GENERATION, Slot(1), &block),
            Err(BlockError::Unauthentic)
        );
        let mut touched = block;
        touched[at] ^= flip;
        prop_assert!(block::open_beat(&key(), GENERATION, Slot(2), &touched).is_err());
    }

    #[test]
    fn decisions_for_the_largest_pool_fit_and_a_torn_copy_leaves_the_older(
        older in decision(),
        newer in decision(),
        torn in 0..BLOCK,
    ) {
        let layout = Layout { hosts: 3 };
        let mut image = vec![0; layout.len()];
        let slot = Slot(1);
        let older = Decision { seq: 6, ..older };
        let newer = Decision { seq: 7, ..newer };
        for decision in [&older, &newer] {
            let (kind, bytes) =
                block::seal_decision(&key(), GENERATION, slot, decision).unwrap();
            let at = layout.offset(kind, slot) as usize;
            image[at..at + BLOCK].copy_from_slice(&bytes);
        }
        let seen = |image: &[u8]| block::open_decision(&key(), GENERATION, layout, slot, image);
        prop_assert_eq!(seen(&image), Seen::Decision(Box::new(newer), false));
        let at = layout.offset(Kind::Decision(1), slot) as usize;
        image[at + torn] ^= 0xFF;
        prop_assert_eq!(seen(&image), Seen::Decision(Box::new(older), true));
    }
}

#[test]
fn another_version_is_told_apart() {
    let mut bytes = b"XEHB".to_vec();
    bytes.extend_from_slice(&9u16.to_le_bytes());
    bytes.resize(200, 1);
    assert_eq!(Packet::open(&bytes, &key(), GENERATION), Err(PacketError::Version(9)));
}
