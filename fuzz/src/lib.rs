//! One function for each reader of bytes from outside: whatever comes, it returns.
//!
//! What a reader takes must also survive being written and read again. The fuzz targets call these
//! with what libFuzzer makes up, `tests/made_up_input.rs` with mutations from a fixed seed.

use uuid::Uuid;
use xe::cli::dialect::{self, Environment, Opening, words as grammar};
use xe::clusterstack::config::Config;
use xe::heartbeat::auth::Key;
use xe::heartbeat::block::{self, Kind, Layout};
use xe::heartbeat::packet::{LONGEST, Packet};
use xe::heartbeat::view::Slot;
use xe::pool::dump::Dump;
use xe::pool::journal::{Position, Record, replay};
use xe::xenapi::xmlrpc;
use xe::xhad::control::{Request, StartConfig};

/// The session that packets and blocks belong to.
pub const GENERATION: Uuid = Uuid::from_u128(5);

/// The key that seals them.
pub fn key() -> Key {
    Key::new([3; 32])
}

/// Calls and answers: what is read is written and read as the same.
pub fn xmlrpc(bytes: &[u8]) {
    if let Ok((method, params)) = xmlrpc::decode_call(bytes) {
        let again = xmlrpc::decode_call(&xmlrpc::encode_call(&method, &params));
        assert_eq!(again.ok().map(|(method, _)| method), Some(method));
    }
    if let Ok(answer) = xmlrpc::decode_response(bytes) {
        let again = xmlrpc::decode_response(&xmlrpc::encode_response(&answer));
        assert_eq!(again.ok().map(|answer| answer.is_ok()), Some(answer.is_ok()));
    }
}

/// A pool's database: what is read can be exported, and the export read.
pub fn dump(bytes: &[u8]) {
    if let Ok(dump) = Dump::parse(bytes) {
        let again = Dump::parse(dump.write(&dump.database).as_bytes());
        assert!(again.is_ok_and(|again| again.database == dump.database));
    }
}

/// A journal of any bytes; and one with a whole record whose content is these bytes.
pub fn journal(bytes: &[u8]) {
    let (found, _) = replay(bytes);
    assert!(found.length <= bytes.len());
    let Ok(record) = serde_json::from_slice::<Record>(bytes) else { return };
    if let Ok((sealed, _)) = record.encode(&Position::default()) {
        let _ = replay(&sealed);
    }
}

/// A packet of any bytes; and one from a member of the pool that has gone mad.
pub fn packet(bytes: &[u8]) {
    let _ = Packet::open(bytes, &key(), GENERATION);
    let mut sealed = [b"XEHB", xe::heartbeat::PROTOCOL.to_le_bytes().as_slice()].concat();
    sealed.extend_from_slice(GENERATION.as_bytes());
    sealed.extend_from_slice(bytes);
    let code = key().code(b"heartbeat packet", &sealed);
    sealed.extend_from_slice(&code);
    if let Ok(packet) = Packet::open(&sealed, &key(), GENERATION) {
        assert!(sealed.len() <= LONGEST);
        assert_eq!(Packet::open(&packet.seal(&key()), &key(), GENERATION), Ok(packet));
    }
}

/// A statefile of any bytes; and blocks of it that a member sealed which has gone mad.
pub fn block(bytes: &[u8]) {
    let layout = Layout { hosts: 3 };
    let slot = Slot(1);
    let mut image = bytes.to_vec();
    image.resize(layout.len(), 0);
    read_blocks(layout, slot, &image);
    for kind in [Kind::Header, Kind::Beat, Kind::Decision(0), Kind::Decision(1)] {
        let of = if kind == Kind::Header { Slot(0) } else { slot };
        let place = (kind, of, layout.size(kind));
        if let Ok(sealed) = block::seal(&key(), GENERATION, place, |w| w.raw(bytes)) {
            let at = layout.offset(kind, of) as usize;
            image[at..at + sealed.len()].copy_from_slice(&sealed);
        }
    }
    read_blocks(layout, slot, &image);
}

fn read_blocks(layout: Layout, slot: Slot, image: &[u8]) {
    let _ = block::claimed_generation(image);
    let _ = block::header_size(image);
    let part = |kind, slot| layout.part(image, kind, slot).unwrap_or_default();
    let _ = block::open_header(&key(), GENERATION, part(Kind::Header, Slot(0)));
    let _ = block::open_decision(&key(), GENERATION, layout, slot, image);
    if let Ok(report) = block::open_beat(&key(), GENERATION, slot, part(Kind::Beat, slot)) {
        let again = block::seal_beat(&key(), GENERATION, layout, slot, &report)
            .and_then(|sealed| block::open_beat(&key(), GENERATION, slot, &sealed));
        assert_eq!(again, Ok(report));
    }
}

/// A line of the heartbeat daemon's control socket; what is read is written and read as the same.
pub fn control(bytes: &[u8]) {
    if let Ok(request) = Request::read(bytes) {
        let line = serde_json::to_vec(&request).unwrap_or_default();
        assert_eq!(Request::read(&line), Ok(request));
    }
}

/// A session's configuration, as a request and as the record of an upgrade hold it: every check
/// before anything is opened returns.
pub fn session(bytes: &[u8]) {
    if let Ok(config) = serde_json::from_slice::<StartConfig>(bytes) {
        let _ = xe::xhad::start::check(&config);
    }
}

/// The configuration that a foreign toolstack writes.
pub fn toolstack(bytes: &[u8]) {
    let _ = Config::parse(&String::from_utf8_lossy(bytes));
}

/// Three parts, apart by a zero byte: words a line each, the extras, `~/.xe`.
pub fn words(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.split('\0').map(str::to_owned);
    let typed: Vec<String> = parts.next().unwrap_or_default().lines().map(str::to_owned).collect();
    let environment =
        Environment { extra_args: parts.next(), rc: parts.next(), ..Environment::default() };
    let Opening::Run { words, .. } = dialect::read(&typed, &environment).opening else { return };
    if let Ok(line) = grammar::parse(&words) {
        let _ = xe::cli::commands::find(&line.name);
    }
}
