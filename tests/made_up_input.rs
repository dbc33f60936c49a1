//! Every reader of bytes from outside, with good input that was mutated from a fixed seed. The fuzz
//! targets under `fuzz` do the same for as long as one likes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../fuzz/src/lib.rs"]
mod readers;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use xe::heartbeat::report::{ARMED, PeerReport, Report};
use xe::heartbeat::view::{Life, Slot};
use xe::heartbeat::wire::Writer;
use xe::xenapi::{Value, xmlrpc};

/// Mutations of each seed.
const ROUNDS: u32 = 2_000;

/// What is done to a byte string, at a place that is taken modulo its length.
#[derive(Debug, Clone)]
enum Harm {
    Put(usize, u8),
    Cut(usize),
    Insert(usize, Vec<u8>),
    Twice(usize, usize),
}

fn harm() -> impl Strategy<Value = Harm> {
    let telling = prop_oneof![
        any::<u8>(),
        prop::sample::select(b"<>/&;\"'%()=,-\\\0\n\r{}[]:".to_vec()),
        prop::sample::select(vec![0, 0x7f, 0x80, 0xff]),
    ];
    prop_oneof![
        (any::<usize>(), telling.clone()).prop_map(|(at, byte)| Harm::Put(at, byte)),
        any::<usize>().prop_map(Harm::Cut),
        (any::<usize>(), prop::collection::vec(telling, 1..9))
            .prop_map(|(at, bytes)| Harm::Insert(at, bytes)),
        (any::<usize>(), 1..64_usize).prop_map(|(at, length)| Harm::Twice(at, length)),
    ]
}

fn harmed(seed: &[u8], harms: &[Harm]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for harm in harms {
        let place = |at: &usize| at % (bytes.len() + 1);
        match harm {
            Harm::Put(at, byte) => {
                let at = place(at);
                bytes.get_mut(at).into_iter().for_each(|found| *found = *byte);
            }
            Harm::Cut(at) => bytes.truncate(place(at)),
            Harm::Insert(at, more) => {
                let at = place(at);
                bytes.splice(at..at, more.iter().copied());
            }
            Harm::Twice(at, length) => {
                let at = place(at);
                let part = bytes[at..bytes.len().min(at + length)].to_vec();
                bytes.splice(at..at, part);
            }
        }
    }
    bytes
}

/// Gives the seed itself and mutations of it to a reader.
fn mutate(seed: &[u8], rounds: u32, reader: fn(&[u8])) {
    reader(seed);
    let config = Config { cases: rounds, failure_persistence: None, ..Config::default() };
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, random);
    let harms = prop::collection::vec(harm(), 1..6);
    runner
        .run(&harms, |harms| {
            reader(&harmed(seed, &harms));
            Ok(())
        })
        .unwrap();
}

#[test]
fn calls_and_answers() {
    let record = Value::text_map([("name", "a&b"), ("uuid", "x")]);
    let params = ["session".into(), record, Value::Bool(true), Value::Int(7), Value::Float(0.5)];
    mutate(&xmlrpc::encode_call("VM.create", &params), ROUNDS, readers::xmlrpc);
    mutate(&xmlrpc::encode_response(&Ok(params[1].clone())), ROUNDS, readers::xmlrpc);
}

#[test]
fn databases() {
    for seed in ["two-hosts.xml", "old-priorities.xml", "no-line-ends.xml"] {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/dumps/");
        let text = std::fs::read(format!("{folder}{seed}")).unwrap();
        mutate(&text, 100, readers::dump);
    }
}

#[test]
fn journals() {
    let record = br#"{"epoch":1,"boot":"b","generation":1,"changes":[{"do":"create","class":"pool",
        "reference":"OpaqueRef:1","fields":{"uuid":{"s":"u"},"ha_enabled":{"b":true}}},
        {"do":"set","class":"pool","reference":"OpaqueRef:1","field":"uuid","value":{"i":4}},
        {"do":"delete","class":"pool","reference":"OpaqueRef:2"}]}"#;
    let read: xe::pool::journal::Record = serde_json::from_slice(record).unwrap();
    let (sealed, _) = read.encode(&xe::pool::journal::Position::default()).unwrap();
    mutate(record, ROUNDS, readers::journal);
    mutate(&sealed, ROUNDS, readers::journal);
}

fn report() -> Vec<u8> {
    let peer = PeerReport {
        echo_life: Life::default(),
        echo_seq: 3,
        evidence_ms: 4,
        heard_ms: 5,
        unarmed: false,
    };
    let report = Report {
        life: Life { boot: 1, session: 2 },
        boot_id: uuid::Uuid::from_u128(9),
        seq: 1,
        epoch: 2,
        flags: ARMED,
        disk_ms: 10,
        disks: 1,
        rewound: 0,
        witness_ms: 3,
        promise: 1,
        network_gap: 100,
        disk_gap: 90,
        weight: 1,
        dead_within_ms: 0,
        decision_seq: 1,
        heir: Some(Slot(1)),
        peers: vec![peer; 3],
    };
    let mut writer = Writer::default();
    report.write(&mut writer);
    writer.finish()
}

#[test]
fn packets() {
    let body = [&[1, 0][..], &report(), &[0, 0, 0]].concat();
    mutate(&body, ROUNDS, readers::packet);
}

#[test]
fn blocks() {
    mutate(&report(), ROUNDS, readers::block);
}

#[test]
fn control_requests_and_sessions() {
    let config = xe::xhad::control::StartConfig {
        key_hex: "5a".repeat(32),
        boot_id: uuid::Uuid::nil().to_string(),
        statefiles: vec!["/s".into()],
        ..Default::default()
    };
    let request = xe::xhad::control::Request::Start(Box::new(config.clone()));
    mutate(&serde_json::to_vec(&request).unwrap(), ROUNDS, readers::control);
    mutate(&serde_json::to_vec(&config).unwrap(), ROUNDS, readers::session);
}

#[test]
fn toolstack_configurations() {
    let seed = b"<xhad-config version=\"1.0\"><common-config><GenerationUUID>9</GenerationUUID>\
        <UDPport>694</UDPport><host><HostID>1</HostID><IPaddress>::1</IPaddress></host>\
        </common-config><local-config><localhost><HostID>1</HostID></localhost></local-config>\
        </xhad-config>";
    mutate(seed, ROUNDS, readers::toolstack);
}

#[test]
fn command_lines() {
    let seed = b"vm-start\nuuid=1\n--force\n-s\nhost\n-pw\nx\0server=h,username=r\\,s\0port=1\n";
    mutate(seed, ROUNDS, readers::words);
}
