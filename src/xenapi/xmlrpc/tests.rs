//! Documents there and back, harmed on the way, and the limits.

use super::*;
use proptest::prelude::*;

fn any_value() -> impl Strategy<Value = Value> {
    let text = "[ -~\n\tä\u{1f600}]{0,12}";
    let leaf = prop_oneof![
        text.prop_map(Value::String),
        any::<bool>().prop_map(Value::Bool),
        (-1.0e9..1.0e9f64).prop_map(Value::Float),
        Just(Value::DateTime("20260101T00:00:00Z".to_owned())),
    ];
    leaf.prop_recursive(4, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::btree_map("[a-z&<>]{0,6}", inner, 0..6).prop_map(Value::Struct),
        ]
    })
}

proptest! {
    #[test]
    fn calls_come_back_as_they_went(params in prop::collection::vec(any_value(), 0..4)) {
        let bytes = encode_call("VM.get_all", &params);
        let (method, back) = decode_call(&bytes).unwrap();
        prop_assert_eq!(method, "VM.get_all");
        prop_assert_eq!(back, params);
    }

    #[test]
    fn answers_come_back_as_they_went(value in any_value()) {
        let bytes = encode_response(&Ok(value.clone()));
        prop_assert_eq!(decode_response(&bytes).unwrap().unwrap(), value);
    }
}

#[test]
fn ten_thousand_mutated_documents_never_panic() {
    let record = Value::text_map([("name", "a&b"), ("uuid", "x")]);
    let whole = encode_call("VM.create", &["session".into(), record, Value::Bool(true)]);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    let mut refused = 0;
    for _ in 0..10_000 {
        let mut bytes = whole.clone();
        for _ in 0..=random(4) {
            if bytes.is_empty() {
                break;
            }
            let at = random(bytes.len());
            match random(4) {
                0 => bytes[at] = u8::try_from(random(256)).unwrap(),
                1 => {
                    bytes.remove(at);
                }
                2 => bytes.insert(at, b"<>/&;v"[random(6)]),
                _ => bytes.truncate(at.max(1)),
            }
        }
        refused += usize::from(decode_call(&bytes).is_err());
        let _ = decode_response(&bytes);
    }
    assert!(refused > 2_000, "mutations must be noticed, {refused} were");
}

#[test]
fn limits_hold() {
    let deep = format!("{}{}", "<value><array><data>".repeat(40), "<value>x</value>");
    let call = format!("<methodCall><methodName>m</methodName><params><param>{deep}");
    assert!(matches!(decode_call(call.as_bytes()), Err(XmlRpcError::TooMuch(_))));
    let entity = "<!DOCTYPE x [<!ENTITY a \"b\">]><methodCall/>";
    assert!(decode_call(entity.as_bytes()).is_err());
    let unknown = "<methodCall><methodName>a&b;</methodName></methodCall>";
    assert!(decode_call(unknown.as_bytes()).is_err());
}

#[test]
fn integers_travel_as_text_and_failures_as_lists() {
    let bytes = encode_response(&Ok(Value::Int(1 << 40)));
    assert!(String::from_utf8_lossy(&bytes).contains("<value>1099511627776</value>"));
    let failure = Failure::new("UUID_INVALID", ["VM", "x"]);
    let bytes = encode_response(&Err(failure.clone()));
    assert_eq!(decode_response(&bytes).unwrap(), Err(failure));
}
