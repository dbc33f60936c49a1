//! Packets and blocks: what is written is read; what was touched, or sealed by another key or
//! for another place, is refused; nothing makes a reader panic.

use std::sync::Arc;

use proptest::prelude::*;
use uuid::Uuid;

use super::auth::Key;
use super::block::{self, BlockError, Kind, Layout, Seen};
use super::decision::{Ballot, Decision};
use super::packet::{Packet, PacketError, seal_again};
use super::report::{PeerReport, Report};
use super::view::{Gone, Life, Member, Mode, Proof, Slot, View};
use super::vote::{Bid, Vote};
use super::wire::{Reader, Writer};

/// Hosts of the pools made up here.
const HOSTS: usize = 40;
/// The size of the blocks that most tests use.
const LAYOUT: Layout = Layout { hosts: HOSTS };
const GENERATION: Uuid = Uuid::from_u128(5);

fn key() -> Key {
    Key::new([3; 32])
}

fn life() -> impl Strategy<Value = Life> {
    (any::<u32>(), any::<u16>()).prop_map(|(boot, session)| Life { boot, session })
}

fn member(slot: u16) -> impl Strategy<Value = Member> {
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
    (1..=most).prop_flat_map(|count| (0..count as u16).map(member).collect::<Vec<_>>())
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
        Just(Proof::FenceDevice),
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
        words in any::<u16>(),
        trusted in any::<u8>(),
    ) -> View {
        // A host is a member or has gone, never both.
        let mut members = all;
        let left = members.split_off(1 + split % members.len());
        let gone = left.into_iter().map(|member| Gone { member, since, was_master, proof, words });
        View {
            epoch,
            mode,
            master: members.first().map(|member| member.slot),
            gone: gone.collect(),
            members,
            trusted,
            base: vec![Slot(0), Slot(1)],
            void: vec![(Slot(1), 7)],
            proposer: Slot(0),
        }
    }
}

prop_compose! {
    fn report()(
        life in life(),
        boot_id in any::<u128>(),
        seqs in (1..1u64 << 48, 0..1u64 << 48),
        epochs in any::<(u64, u64)>(),
        flags in 0u32..(1 << 13),
        ages in prop::array::uniform3(0u32..1 << 24),
        masks in any::<(u8, u8)>(),
        numbers in any::<(u16, u16, u32)>(),
        heir in proptest::option::of(0..HOSTS as u16),
        peers in prop::collection::vec(
            (life(), 0..1u64 << 48, 0u32..1 << 24, 0u32..1 << 24, any::<bool>()), 0..HOSTS),
    ) -> Report {
        let peer = |(echo_life, echo_seq, evidence_ms, heard_ms, unarmed)| {
            PeerReport { echo_life, echo_seq, evidence_ms, heard_ms, unarmed }
        };
        Report {
            life,
            boot_id: Uuid::from_u128(boot_id),
            seq: seqs.0,
            epoch: epochs.0,
            flags,
            disk_ms: ages[0],
            disks: masks.0,
            rewound: masks.1,
            witness_ms: ages[1],
            promise: epochs.1,
            network_gap: numbers.0,
            disk_gap: numbers.1,
            weight: numbers.2,
            dead_within_ms: ages[2],
            decision_seq: seqs.1,
            heir: heir.map(Slot),
            peers: peers.into_iter().map(peer).collect(),
        }
    }
}

prop_compose! {
    fn packet()(
        sender in 0..HOSTS as u16,
        report in report(),
        view in proptest::option::of(view(9, HOSTS)),
        bid in proptest::option::of((1..9u64, proptest::option::of(view(6, HOSTS)))),
        vote in proptest::option::of(view(6, HOSTS)),
    ) -> Packet {
        let ballot = |number| Ballot { number, slot: 3 };
        let bid = bid.map(|(number, value)| {
            Arc::new(Bid { link: 5, ballot: ballot(number), value: value.map(Arc::new) })
        });
        let vote = vote.map(|view| {
            let (promised, accepted) = (ballot(5), ballot(4));
            Arc::new(Vote { link: 5, promised, accepted, value: Some(Arc::new(view)) })
        });
        let (report, view) = (Arc::new(report), view.map(Arc::new));
        Packet { generation: GENERATION, sender: Slot(sender), report, view, bid, vote }
    }
}

prop_compose! {
    fn decision(most: usize)(
        seqs in (0..1u64 << 48, 0..1u64 << 48),
        life in life(),
        value in proptest::option::of(view(8, most)),
        decided in proptest::option::of(view(7, most)),
    ) -> Decision {
        let accepted = match value {
            Some(_) => Ballot { number: 4, slot: 1 },
            None => Ballot::default(),
        };
        let started = Ballot { number: 4, slot: 2 };
        let (value, decided) = (value.map(Arc::new), decided.map(Arc::new));
        let (seq, writes) = seqs;
        Decision { seq, writes, life, started, accepted, value, decided }
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
        let mut block = vec![0; LAYOUT.size(Kind::Beat)];
        block[..body.len()].copy_from_slice(&body);
        prop_assert!(block::open_beat(&key(), GENERATION, Slot(0), &block).is_err());
    }

    #[test]
    fn mutated_encodings_never_panic(
        packet in packet(),
        decision in decision(HOSTS),
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
    fn beat_blocks_hold_in_their_own_place_only(
        report in report(),
        at in any::<usize>(),
        flip in 1u8..,
    ) {
        let block = block::seal_beat(&key(), GENERATION, LAYOUT, Slot(2), &report).unwrap();
        prop_assert_eq!(block.len(), LAYOUT.size(Kind::Beat));
        prop_assert_eq!(block::open_beat(&key(), GENERATION, Slot(2), &block), Ok(report));
        prop_assert_eq!(
            block::open_beat(&key(), GENERATION, Slot(1), &block),
            Err(BlockError::Unauthentic)
        );
        let mut touched = block;
        let at = at % touched.len();
        touched[at] ^= flip;
        prop_assert!(block::open_beat(&key(), GENERATION, Slot(2), &touched).is_err());
    }

    #[test]
    fn decisions_of_a_full_pool_fit_and_a_torn_copy_leaves_the_older(
        older in decision(HOSTS),
        newer in decision(HOSTS),
        torn in any::<usize>(),
    ) {
        let mut image = vec![0; LAYOUT.len()];
        let slot = Slot(1);
        let older = Decision { writes: 6, ..older };
        let newer = Decision { writes: 7, ..newer };
        for decision in [&older, &newer] {
            let (kind, bytes) =
                block::seal_decision(&key(), GENERATION, LAYOUT, slot, decision).unwrap();
            let at = LAYOUT.offset(kind, slot) as usize;
            image[at..at + bytes.len()].copy_from_slice(&bytes);
        }
        let seen = |image: &[u8]| block::open_decision(&key(), GENERATION, LAYOUT, slot, image);
        prop_assert_eq!(seen(&image), Seen::Decision(Arc::new(newer), false));
        let kind = Kind::Decision(1);
        let at = LAYOUT.offset(kind, slot) as usize + torn % LAYOUT.size(kind);
        image[at] ^= 0xFF;
        prop_assert_eq!(seen(&image), Seen::Decision(Arc::new(older), true));
    }
}

#[test]
fn a_packet_and_the_blocks_of_a_thousand_hosts_fit() {
    let member = |slot: u16| Member {
        slot: Slot(slot),
        life: Life { boot: 1, session: 1 },
        boot_id: Uuid::nil(),
        armed: true,
        weight: 1,
    };
    let gone = |slot: u16| Gone {
        member: member(slot),
        since: 2,
        was_master: false,
        proof: Proof::None,
        words: 0,
    };
    let view = Arc::new(View {
        members: vec![member(0)],
        gone: (1..1000).map(gone).collect(),
        base: (0..1000).map(Slot).collect(),
        ..super::view::example(3)
    });
    let peer = PeerReport {
        echo_life: Life::default(),
        echo_seq: 1,
        evidence_ms: 1,
        heard_ms: 1,
        unarmed: true,
    };
    let report = Report { seq: 1, peers: vec![peer; 1000], ..Report::empty() };
    let layout = Layout { hosts: 1000 };
    block::seal_beat(&key(), GENERATION, layout, Slot(999), &report).unwrap();
    let decision = Decision {
        accepted: Ballot { number: 1, slot: 0 },
        started: Ballot { number: 1, slot: 0 },
        value: Some(Arc::new(View { epoch: 4, ..View::clone(&view) })),
        decided: Some(Arc::clone(&view)),
        ..Decision::default()
    };
    block::seal_decision(&key(), GENERATION, layout, Slot(999), &decision).unwrap();
    let packet = Packet {
        generation: GENERATION,
        sender: Slot(999),
        report: Arc::new(report),
        view: Some(view),
        bid: None,
        vote: None,
    };
    let bytes = packet.seal(&key());
    assert!(bytes.len() <= super::packet::LONGEST, "{} bytes", bytes.len());
    assert_eq!(Packet::open(&bytes, &key(), GENERATION), Ok(packet));
}

#[test]
fn the_witness_hears_the_same_under_its_own_key_and_nobody_speaks_as_another() {
    let of_witness = Key::new([8; 32]);
    let packet = |sender| Packet {
        generation: GENERATION,
        sender,
        report: Arc::new(Report { seq: 1, ..Report::empty() }),
        view: None,
        bid: None,
        vote: None,
    };
    let mut bytes = packet(Slot(1)).seal(&key());
    assert!(!Packet::claims_witness(&bytes));
    seal_again(&mut bytes, &of_witness);
    assert_eq!(Packet::open(&bytes, &of_witness, GENERATION).unwrap(), packet(Slot(1)));
    assert_eq!(Packet::open(&bytes, &key(), GENERATION), Err(PacketError::Unauthentic));
    assert!(Packet::claims_witness(&packet(Slot::WITNESS).seal(&of_witness)));
    // Its sender put in by hand does not fit the code any more.
    bytes[22..24].copy_from_slice(&Slot::WITNESS.0.to_le_bytes());
    assert!(Packet::claims_witness(&bytes));
    assert_eq!(Packet::open(&bytes, &of_witness, GENERATION), Err(PacketError::Unauthentic));
    seal_again(&mut [1; 5], &key());
}

#[test]
fn another_version_is_told_apart() {
    let mut bytes = b"XEHB".to_vec();
    bytes.extend_from_slice(&9u16.to_le_bytes());
    bytes.resize(200, 1);
    assert_eq!(Packet::open(&bytes, &key(), GENERATION), Err(PacketError::Version(9)));
}
