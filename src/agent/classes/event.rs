//! event: waiting for changes.

use super::Methods;
use crate::agent::dispatch::Call;
use crate::agent::event_log::Operation;
use crate::pool::Database;
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, Model, Value};
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) const METHODS: Methods = &[
    ("from", from),
    ("get_current_id", |call| Ok(Value::Int(as_int(call.agent.store.events.next())))),
    ("register", |_| Ok(Value::void())),
    ("unregister", |_| Ok(Value::void())),
];

/// The longest wait, in seconds: a client asks again.
const LONGEST: f64 = 60.0;

fn as_int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What a client subscribed to: `*`, `vm`, `task/OpaqueRef:…`.
struct Subscription {
    class: String,
    reference: Option<String>,
}

impl Subscription {
    fn parse(text: &str) -> Answer<Self> {
        let (class, reference) = match text.split_once('/') {
            Some((class, reference)) => (class, Some(reference.to_owned())),
            None => (text, None),
        };
        let known = Model::get().classes().any(|known| known.name.eq_ignore_ascii_case(class));
        if class != "*" && !known {
            return Err(Failure::new("EVENT_SUBSCRIPTION_PARSE_FAILURE", [text]));
        }
        Ok(Self { class: class.to_ascii_lowercase(), reference })
    }

    fn covers(&self, class: &str, reference: &str) -> bool {
        let hidden = class.starts_with("xe_") || class == "session";
        let this_class = self.class == "*" || self.class == class.to_ascii_lowercase();
        this_class && !hidden && self.reference.as_deref().is_none_or(|wanted| wanted == reference)
    }
}

fn from(call: &Call<'_>) -> Answer {
    let wanted: Vec<Subscription> =
        call.refs(0).iter().map(|text| Subscription::parse(text)).collect::<Answer<_>>()?;
    // Events hold whole records: only of classes that this session may read.
    let role = call.session.as_ref().map(|session| session.role);
    let readable =
        |class: &str| Model::get().class(class).is_some_and(|class| role >= Some(class.read));
    let covers =
        |class: &str, row: &str| readable(class) && wanted.iter().any(|w| w.covers(class, row));
    let patience = call.params[2].as_float().unwrap_or(0.0).clamp(0.0, LONGEST);
    let store = &call.agent.store;
    let token = call.text(1);
    let waited = match token.parse::<u64>() {
        Ok(from) => store.events.wait(from, Duration::from_secs_f64(patience), covers),
        Err(_) if token.is_empty() => None,
        Err(_) => return Err(Failure::new("EVENT_FROM_TOKEN_PARSE_FAILURE", [token])),
    };
    let (events, next) = match waited {
        Some((touched, next)) => {
            let db = store.read();
            let events = touched
                .iter()
                .map(|((class, row), operation)| event(&db, class, row, *operation, next))
                .collect();
            (events, next)
        }
        // A first call, or one that fell too far behind, begins with everything there is.
        None => {
            let next = store.events.next();
            let db = store.read();
            let all = db
                .rows()
                .filter(|(class, row, _)| covers(class, row))
                .map(|(class, row, _)| event(&db, class, row, Operation::Add, next))
                .collect();
            (all, next)
        }
    };
    let answer: BTreeMap<String, Value> = [
        ("events".to_owned(), Value::Array(events)),
        ("valid_ref_counts".to_owned(), Value::Struct(BTreeMap::new())),
        ("token".to_owned(), Value::from(next.to_string())),
    ]
    .into();
    Ok(Value::Struct(answer))
}

fn event(db: &Database, class: &str, row: &str, operation: Operation, id: u64) -> Value {
    let mut event: BTreeMap<String, Value> = [
        ("id".to_owned(), Value::Int(as_int(id))),
        ("timestamp".to_owned(), crate::agent::now()),
        ("class".to_owned(), Value::from(class.to_ascii_lowercase())),
        ("operation".to_owned(), Value::from(operation.word())),
        ("ref".to_owned(), Value::from(row)),
        ("obj_uuid".to_owned(), Value::from(db.text(class, row, "uuid"))),
    ]
    .into();
    if let (Some(class), Some(row)) = (Model::get().class(class), db.row(class, row)) {
        event.insert("snapshot".to_owned(), db.record(class, row));
    }
    Value::Struct(event)
}
