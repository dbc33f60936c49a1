//! XML-RPC: a thousand records written and read, beside copying the same bytes.

mod side_by_side;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use xe::xenapi::{Value, xmlrpc};

const RECORDS: usize = 1000;

/// What `VM.get_all_records` gives in form: text, words, integers as text, a map, a set.
fn records() -> Value {
    let record = |index: usize| {
        let fields = [
            ("uuid", Value::from(format!("{index:032x}"))),
            ("name_label", format!("virtual machine <{index}> & co").into()),
            ("power_state", "Running".into()),
            ("memory_static_max", Value::Int(1 << 33)),
            ("is_a_template", Value::Bool(false)),
            ("other_config", Value::text_map([("folder", "/a"), ("base", "b")])),
            ("VBDs", Value::text_set(["OpaqueRef:1", "OpaqueRef:2", "OpaqueRef:3"])),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value));
        (format!("OpaqueRef:{index}"), Value::Struct(fields.into()))
    };
    Value::Struct((0..RECORDS).map(record).collect())
}

fn codec(criterion: &mut Criterion) {
    let answer = Ok(records());
    let bytes = xmlrpc::encode_response(&answer);
    println!("a thousand records are {} bytes", bytes.len());
    let copy = || {
        black_box(black_box(&bytes).clone());
    };
    side_by_side::compare(
        criterion,
        "a thousand records written",
        ("a copy", copy),
        ("the codec", || {
            black_box(xmlrpc::encode_response(black_box(&answer)));
        }),
    );
    side_by_side::compare(
        criterion,
        "a thousand records read",
        ("a copy", copy),
        ("the codec", || assert!(black_box(xmlrpc::decode_response(&bytes)).is_ok())),
    );
}

criterion_group!(benches, codec);
criterion_main!(benches);
