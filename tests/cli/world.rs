//! A server whose state is a table of records, and a way to run one command against it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::Value as Json;
use xe::cli::dialect::{self, Environment};
use xe::cli::printing::Console;
use xe::cli::run::run;
use xe::client::{CallError, Transport};
use xe::xenapi::{Failure, Value};

/// What one command did.
#[derive(Debug)]
pub struct Done {
    pub out: String,
    pub err: String,
    pub code: u8,
}

#[derive(Default)]
struct State {
    classes: BTreeMap<String, BTreeMap<String, Value>>,
    answers: BTreeMap<String, Result<Value, Failure>>,
    calls: Vec<(String, Vec<Value>)>,
}

/// The server.
#[derive(Clone, Default)]
pub struct World(Arc<Mutex<State>>);

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::void(),
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) => match number.as_i64() {
            Some(int) => Value::Int(int),
            None => Value::Float(number.as_f64().unwrap()),
        },
        Json::String(text) => Value::String(text.clone()),
        Json::Array(items) => Value::Array(items.iter().map(value).collect()),
        Json::Object(map) => {
            Value::Struct(map.iter().map(|(key, item)| (key.clone(), value(item))).collect())
        }
    }
}

impl World {
    /// A server that holds these records: class to reference to record.
    pub fn new(records: Json) -> Self {
        let world = Self::default();
        for (class, objects) in records.as_object().unwrap() {
            let Value::Struct(objects) = value(objects) else { panic!("{class}") };
            world.0.lock().unwrap().classes.insert(class.clone(), objects);
        }
        world
    }

    /// The small pool of the fixtures.
    pub fn pool() -> Self {
        let text = include_str!("../fixtures/cli/pool.json");
        Self::new(serde_json::from_str(text).unwrap())
    }

    /// This method answers so.
    pub fn answers(self, method: &str, answer: Json) -> Self {
        self.0.lock().unwrap().answers.insert(method.to_owned(), Ok(value(&answer)));
        self
    }

    /// This method fails so.
    pub fn fails(self, method: &str, code: &str, params: &[&str]) -> Self {
        let failure = Failure::new(code, params.iter().copied());
        self.0.lock().unwrap().answers.insert(method.to_owned(), Err(failure));
        self
    }

    /// The calls of a method so far, without the session.
    pub fn calls(&self, method: &str) -> Vec<Vec<Value>> {
        let state = self.0.lock().unwrap();
        let calls = state.calls.iter().filter(|(name, _)| name == method);
        calls.map(|(_, params)| params[1..].to_vec()).collect()
    }

    /// The names of all calls so far.
    pub fn called(&self) -> Vec<String> {
        self.0.lock().unwrap().calls.iter().map(|(name, _)| name.clone()).collect()
    }

    /// The references and uuids of a class.
    pub fn objects(&self, class: &str) -> Vec<(String, String)> {
        let objects = &self.0.lock().unwrap().classes[class];
        let uuid = |record: &Value| record.get("uuid").unwrap().as_str().unwrap().to_owned();
        objects.iter().map(|(reference, record)| (reference.clone(), uuid(record))).collect()
    }

    /// One field of one object.
    pub fn field(&self, class: &str, reference: &str, field: &str) -> Value {
        self.0.lock().unwrap().classes[class][reference].get(field).unwrap().clone()
    }

    /// Runs one command; the words are split at blanks.
    pub fn xe(&self, line: &str) -> Done {
        let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
        self.run(&words, &Environment::default(), "")
    }

    /// Runs one command with an answer on stdin.
    pub fn xe_answering(&self, line: &str, input: &str) -> Done {
        let words: Vec<&str> = line.split(' ').collect();
        self.run(&words, &Environment::default(), input)
    }

    /// Runs one command with all that surrounds it.
    pub fn run(&self, words: &[&str], environment: &Environment, input: &str) -> Done {
        let argv: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut input = input.as_bytes();
        let mut console = Console::new(&mut out, &mut err, &mut input, false);
        let connect =
            |_: &dialect::Switches| -> Result<Box<dyn Transport>, _> { Ok(Box::new(self.clone())) };
        let code = run(dialect::read(&argv, environment), &connect, &mut console);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Done { out: text(out), err: text(err), code }
    }
}

impl State {
    fn answer(&mut self, method: &str, params: &[Value]) -> Result<Value, Failure> {
        if let Some(answer) = self.answers.get(method) {
            return answer.clone();
        }
        let unknown = || Failure::new("MESSAGE_METHOD_UNKNOWN", [method]);
        match method {
            "session.login_with_password" | "session.slave_local_login_with_password" => {
                return if params[1] == "wrong".into() {
                    Err(Failure::new("SESSION_AUTHENTICATION_FAILED", ["root"]))
                } else {
                    Ok("OpaqueRef:session".into())
                };
            }
            "session.logout" | "session.local_logout" => return Ok(Value::void()),
            _ => {}
        }
        let (class, verb) = method.split_once('.').ok_or_else(unknown)?;
        let objects = self.classes.get_mut(class).ok_or_else(unknown)?;
        let params = &params[1..];
        let text = |at: usize| params.get(at).and_then(Value::as_str).unwrap_or("").to_owned();
        match verb {
            "get_all_records_where" | "get_all_records" => Ok(Value::Struct(objects.clone())),
            "get_all" => Ok(Value::text_set(objects.keys().cloned())),
            "get_by_uuid" | "get_by_name_label" => {
                let field = &verb["get_by_".len()..];
                let found = objects.iter().filter(|(_, r)| r.get(field) == params.first());
                let mut found = found.map(|(reference, _)| reference.clone());
                match (field, found.next()) {
                    ("uuid", Some(reference)) => Ok(reference.into()),
                    ("uuid", None) => {
                        Err(Failure::new("UUID_INVALID", [class.to_owned(), text(0)]))
                    }
                    (_, first) => Ok(Value::text_set(first.into_iter().chain(found))),
                }
            }
            _ => {
                let invalid = || Failure::new("HANDLE_INVALID", [class.to_owned(), text(0)]);
                let record = objects.get_mut(&text(0)).ok_or_else(invalid)?;
                if verb == "get_record" {
                    return Ok(record.clone());
                }
                let Value::Struct(fields) = record else { return Err(unknown()) };
                on_field(fields, verb, params).ok_or_else(unknown)?
            }
        }
    }
}

fn on_field(
    fields: &mut BTreeMap<String, Value>,
    verb: &str,
    params: &[Value],
) -> Option<Result<Value, Failure>> {
    let text = |at: usize| params.get(at).and_then(Value::as_str).unwrap_or("").to_owned();
    if let Some(name) = verb.strip_prefix("get_") {
        return fields.get(name).cloned().map(Ok);
    }
    let done = Some(Ok(Value::void()));
    if let Some(name) = verb.strip_prefix("set_") {
        *fields.get_mut(name)? = params.get(1)?.clone();
        return done;
    }
    if let Some(name) = verb.strip_prefix("add_to_") {
        let Value::Struct(map) = fields.get_mut(name)? else { return None };
        if map.contains_key(&text(1)) {
            let uuid = "the-uuid".to_owned();
            let params = ["VM".to_owned(), name.to_owned(), uuid, text(1)];
            return Some(Err(Failure::new("MAP_DUPLICATE_KEY", params)));
        }
        map.insert(text(1), params.get(2)?.clone());
        return done;
    }
    if let Some(name) = verb.strip_prefix("remove_from_") {
        let Value::Struct(map) = fields.get_mut(name)? else { return None };
        map.remove(&text(1));
        return done;
    }
    let (name, adding) = match verb.strip_prefix("add_") {
        Some(name) => (name, true),
        None => (verb.strip_prefix("remove_")?, false),
    };
    let Value::Array(items) = fields.get_mut(name)? else { return None };
    items.retain(|item| Some(item) != params.get(1));
    if adding {
        items.push(params.get(1)?.clone());
    }
    done
}

impl Transport for World {
    fn call(&self, method: &str, params: &[Value]) -> Result<Value, CallError> {
        let mut state = self.0.lock().unwrap();
        state.calls.push((method.to_owned(), params.to_vec()));
        Ok(state.answer(method, params)?)
    }

    fn download(&self, path: &str) -> Result<Vec<u8>, CallError> {
        self.0.lock().unwrap().calls.push((path.to_owned(), Vec::new()));
        Ok(b"<database/>".to_vec())
    }

    fn upload(&self, path: &str, body: &[u8]) -> Result<(), CallError> {
        let body = String::from_utf8_lossy(body).into_owned().into();
        self.0.lock().unwrap().calls.push((path.to_owned(), vec![Value::void(), body]));
        Ok(())
    }
}

/// What a command prints on the example pool, without a complaint.
#[track_caller]
pub fn out(line: &str) -> String {
    let done = World::pool().xe(line);
    assert_eq!((done.err.as_str(), done.code), ("", 0), "{line}");
    done.out
}

/// What a command that is refused on the example pool says.
#[track_caller]
pub fn refused(line: &str) -> String {
    let done = World::pool().xe(line);
    assert_eq!((done.out.as_str(), done.code), ("", 1), "{line}");
    done.err
}
