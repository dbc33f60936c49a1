//! The API of real agents: everything that follows from the data model, sessions, roles, tasks,
//! events, and what members and strangers are told.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail loudly")]
#![allow(dead_code, reason = "what tests share is not used whole by each of them")]

#[path = "support/machine.rs"]
mod machine;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::slice::from_ref;

use machine::{HTTP, HTTPS, Machine, PASSWORD, call, err, out, plain};
use xe::agent::config::Config;
use xe::agent::dispatch::dispatch;
use xe::agent::identity::Identity;
use xe::agent::peers::Peers;
use xe::agent::session::Caller;
use xe::agent::standing::Standing;
use xe::agent::{classes, generic, init, start};
use xe::client::Transport;
use xe::client::http::HttpTransport;
use xe::host::faults::Faults;
use xe::host::hypervisor::Kind;
use xe::xenapi::model::{Class, Field, Lifecycle, Qualifier};
use xe::xenapi::roles::Role;
use xe::xenapi::types::Type;
use xe::xenapi::{Failure, Model, Value};

const NOBODY: &str = "OpaqueRef:nobody";

/// A session of root over the socket of an agent.
struct Api {
    transport: HttpTransport,
    session: String,
}

impl Api {
    fn new(machine: &Machine) -> Self {
        Self { transport: machine.root(), session: machine.session() }
    }

    fn call(&self, method: &str, params: &[Value]) -> Result<Value, Failure> {
        call(&self.transport, &self.session, method, params)
    }

    fn ok(&self, method: &str, params: &[Value]) -> Value {
        self.call(method, params).unwrap_or_else(|failure| panic!("{method}: {failure:?}"))
    }

    fn text(&self, method: &str, params: &[Value]) -> String {
        self.ok(method, params).as_str().unwrap().to_owned()
    }

    #[track_caller]
    fn fails(&self, method: &str, params: &[Value], code: &str, words: &[&str]) {
        assert_eq!(
            self.call(method, params),
            Err(Failure::new(code, words.iter().copied())),
            "{method}"
        );
    }
}

fn code(answer: Result<Value, Failure>) -> String {
    answer.map_or_else(|failure| failure.code, |value| format!("{value:?}"))
}

fn is_removed(class: &Class, field: &Field) -> bool {
    [class.lifecycle, field.lifecycle].contains(&Lifecycle::Removed)
}

/// Reads a class in every way that the model gives it.
fn read_everything(api: &Api, class: &Class) {
    let name = |method: &str| format!("{}.{method}", class.name);
    if class.lifecycle == Lifecycle::Removed {
        for method in ["get_all", "get_all_records"] {
            assert_eq!(code(api.call(&name(method), &[])), "MESSAGE_REMOVED", "{}", class.name);
        }
        return;
    }
    let records = api.ok(&name("get_all_records"), &[]);
    let records = records.as_struct().unwrap();
    let all = api.ok(&name("get_all"), &[]);
    let all: Vec<&str> = all.as_array().unwrap().iter().map(|r| r.as_str().unwrap()).collect();
    assert!(records.keys().map(String::as_str).eq(all), "{}", class.name);
    let same = api.ok(&name("get_all_records_where"), &["true".into()]);
    assert_eq!(same.as_struct().unwrap(), records, "{}", class.name);
    let none = api.ok(&name("get_all_records_where"), &["false".into()]);
    assert!(none.as_struct().unwrap().is_empty());
    for (reference, record) in records {
        assert_eq!(api.ok(&name("get_record"), &[reference.as_str().into()]), *record);
        if let Some(uuid) = record.get("uuid").and_then(Value::as_str).filter(|u| !u.is_empty()) {
            assert_eq!(api.text(&name("get_by_uuid"), &[uuid.into()]), *reference);
        }
    }
    let class_name = class.name.as_str();
    if class.field("uuid").is_some() {
        let refused = ["UUID_INVALID", class_name, "nobody"];
        api.fails(&name("get_by_uuid"), &["nobody".into()], refused[0], &refused[1..]);
    }
    api.fails(&name("get_record"), &[NOBODY.into()], "HANDLE_INVALID", &[class_name, NOBODY]);
    if class.field("name_label").is_some() {
        let named = api.ok(&name("get_by_name_label"), &["nobody is called so".into()]);
        assert_eq!(named, Value::Array(vec![]));
    }
    let row = records.iter().next();
    for field in &class.fields {
        let getter = name(&format!("get_{}", field.name));
        if field.qualifier == Qualifier::Internal {
            assert_eq!(code(api.call(&getter, &[NOBODY.into()])), "MESSAGE_METHOD_UNKNOWN");
        } else if is_removed(class, field) {
            assert_eq!(code(api.call(&getter, &[NOBODY.into()])), "MESSAGE_REMOVED", "{getter}");
        } else {
            api.fails(&getter, &[NOBODY.into()], "HANDLE_INVALID", &[class_name, NOBODY]);
            if let Some((reference, record)) = row {
                let value = api.ok(&getter, &[reference.as_str().into()]);
                assert_eq!(Some(&value), record.get(&field.name), "{getter}");
            }
        }
    }
}

/// A value that the type does not take.
fn misfit(ty: &Type) -> Value {
    match ty {
        Type::Map(..) | Type::Record(_) | Type::Set(_) => Value::from("no collection"),
        Type::Int | Type::Float => Value::from("many"),
        _ => Value::Struct(BTreeMap::from([("a".to_owned(), Value::Int(1))])),
    }
}

/// Sets every settable field of one row to what it has, and to what it cannot have.
fn set_everything(api: &Api, class: &Class, reference: &str) {
    let row = Value::from(reference);
    for field in class.fields.iter().filter(|field| !is_removed(class, field)) {
        let setter = format!("set_{}", field.name);
        let derived = class_of(class).and_then(|class| generic::find(class, &setter));
        if derived.is_none() || class.methods.contains_key(&setter) {
            continue;
        }
        let method = format!("{}.{setter}", class.name);
        if !matches!(field.ty, Type::Option(_) | Type::Any) {
            let params = [row.clone(), misfit(&field.ty)];
            api.fails(&method, &params, "FIELD_TYPE_ERROR", &["value"]);
        }
        if classes::find(&class.name, &setter).is_none() {
            let value = api.ok(&format!("{}.get_{}", class.name, field.name), from_ref(&row));
            if Model::get().accept(&field.ty, &value).is_some() {
                assert_eq!(api.ok(&method, &[row.clone(), value]), Value::void());
            }
        }
        api.fails(&method, &[], "MESSAGE_PARAMETER_COUNT_MISMATCH", &[&method, "3", "1"]);
    }
}

fn class_of(class: &Class) -> Option<&'static Class> {
    Model::get().class(&class.name)
}

/// Every method of the model with too many parameters, and those without behaviour as they should
/// be called.
fn call_everything(api: &Api, class: &Class) -> usize {
    let mut missing = 0;
    for method in class.methods.values().filter(|method| method.session) {
        let full = format!("{}.{}", class.name, method.name);
        let many = vec![Value::from("x"); 30];
        let outcome = code(api.call(&full, &many));
        if method.lifecycle == Lifecycle::Removed {
            assert_eq!(outcome, "MESSAGE_REMOVED", "{full}");
            continue;
        }
        assert_eq!(outcome, "MESSAGE_PARAMETER_COUNT_MISMATCH", "{full}");
        let written = classes::find(&class.name, &method.name).is_some()
            || class_of(class).is_some_and(|class| generic::find(class, &method.name).is_some());
        let value = |ty: &Type| match ty {
            Type::Enum(name) => Value::from(Model::get().words(name).unwrap()[0].as_str()),
            other => other.zero(),
        };
        if !written {
            let params: Vec<Value> = method.params.iter().map(|p| value(&p.ty)).collect();
            api.fails(&full, &params, "NOT_IMPLEMENTED", &[&full]);
            missing += 1;
        }
    }
    missing
}

#[test]
fn every_class_is_read_set_and_called_as_the_model_says() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Machine::new(dir.path(), "solo", "127.0.40.11");
    let api = Api::new(&machine);
    let mut missing = 0;
    for class in Model::get().classes() {
        read_everything(&api, class);
        missing += call_everything(&api, class);
        let first = match class.lifecycle {
            Lifecycle::Removed => None,
            _ => {
                api.ok(&format!("{}.get_all", class.name), &[]).as_array().unwrap().first().cloned()
            }
        };
        if let Some(reference) = first.as_ref().and_then(Value::as_str) {
            set_everything(&api, class, reference);
        }
    }
    assert!(missing > 100, "{missing}");
    fields_are_set(&api);
    calls_that_nobody_answers(&api);
    tasks_and_events(&api);
    sessions_and_passwords(&machine, &api);
}

/// Plain fields, maps and sets of one row.
fn fields_are_set(api: &Api) {
    let pool = api.ok("pool.get_all", &[]).as_array().unwrap()[0].clone();
    api.ok("pool.set_name_label", &[pool.clone(), "a  pool & <more>\n".into()]);
    assert_eq!(api.text("pool.get_name_label", from_ref(&pool)), "a  pool & <more>\n");
    let named = api.ok("pool.get_by_name_label", &["a  pool & <more>\n".into()]);
    // Only classes that have such a method in the model answer it.
    assert_eq!(named, Value::Array(vec![pool.clone()]));
    let add = [pool.clone(), "k".into(), "v".into()];
    api.ok("pool.add_to_other_config", &add);
    let uuid = api.text("pool.get_uuid", from_ref(&pool));
    let words = ["pool", "other_config", &uuid, "k"];
    api.fails("pool.add_to_other_config", &add, "MAP_DUPLICATE_KEY", &words);
    let map = api.ok("pool.get_other_config", from_ref(&pool));
    assert_eq!(map.get("k"), Some(&"v".into()));
    api.ok("pool.remove_from_other_config", &[pool.clone(), "k".into()]);
    // A key that is not there is as good as removed.
    api.ok("pool.remove_from_other_config", &[pool.clone(), "k".into()]);
    assert_eq!(api.ok("pool.get_other_config", from_ref(&pool)).get("k"), None);
    for _ in 0..2 {
        api.ok("pool.add_tags", &[pool.clone(), "t".into()]);
    }
    assert_eq!(api.ok("pool.get_tags", from_ref(&pool)), Value::text_set(["t"]));
    api.ok("pool.remove_tags", &[pool.clone(), "t".into()]);
    assert_eq!(api.ok("pool.get_tags", from_ref(&pool)), Value::text_set([""; 0]));
    let sr = [pool.clone(), NOBODY.into()];
    api.fails("pool.set_default_SR", &sr, "HANDLE_INVALID", &["SR", NOBODY]);
    let named = api.ok("pool.get_all_records_where", &[r#"field "name__label" = "no""#.into()]);
    assert!(named.as_struct().unwrap().is_empty());
    let broken = api.call("pool.get_all_records_where", &["field = (".into()]);
    assert_eq!(broken.unwrap_err().code, "INTERNAL_ERROR");
}

fn calls_that_nobody_answers(api: &Api) {
    for method in ["VM.fly", "nothing.get_all", "VM", "", "Async.VM.get_all", "VM.get_fly", "xe"] {
        api.fails(method, &[], "MESSAGE_METHOD_UNKNOWN", &[method]);
    }
    let nobody = Failure::new("SESSION_INVALID", [NOBODY]);
    assert_eq!(plain(&api.transport, "VM.get_all", &[NOBODY.into()]), Err(nobody));
    let refused = plain(&api.transport, "VM.get_all", &[]).unwrap_err();
    assert_eq!(refused.code, "MESSAGE_PARAMETER_COUNT_MISMATCH");
    let record = [Value::text_map([("name_label", "x")])];
    api.fails("VM.get_all", &record, "MESSAGE_PARAMETER_COUNT_MISMATCH", &["VM.get_all", "1", "2"]);
}

/// A task of an asynchronous call, and the events that tell of it.
fn tasks_and_events(api: &Api) {
    let from = |classes: &[&str], token: &str, patience: f64| {
        let params =
            [Value::text_set(classes.iter().copied()), token.into(), Value::Float(patience)];
        let answer = api.ok("event.from", &params);
        let token = answer.get("token").unwrap().as_str().unwrap().to_owned();
        (answer.get("events").unwrap().as_array().unwrap().to_vec(), token)
    };
    let (events, token) = from(&["pool", "host"], "", 0.0);
    let classes: Vec<&str> =
        events.iter().map(|event| event.get("class").unwrap().as_str().unwrap()).collect();
    assert_eq!(classes, ["host", "pool"], "a first call tells what there is");
    let pool = api.ok("pool.get_all", &[]).as_array().unwrap()[0].clone();
    let task = api.text("Async.network.create", &[Value::text_map([("name_label", "n")])]);
    machine::wait_for("the task's end", || {
        api.text("task.get_status", &[task.as_str().into()]) != "pending"
    });
    let record = api.ok("task.get_record", &[task.as_str().into()]);
    assert_eq!(record.get("status"), Some(&"success".into()));
    assert_eq!(record.get("name_label"), Some(&"Async.network.create".into()));
    assert_eq!(record.get("progress"), Some(&Value::Float(1.0)));
    let result = record.get("result").unwrap().as_str().unwrap();
    assert!(result.contains("<value>OpaqueRef:"), "{result}");
    let failing = api.text("Async.VM.start", &[NOBODY.into(), false.into(), false.into()]);
    machine::wait_for("the task's failure", || {
        api.text("task.get_status", &[failing.as_str().into()]) == "failure"
    });
    let info = api.ok("task.get_error_info", &[failing.as_str().into()]);
    assert_eq!(info, Value::text_set(["HANDLE_INVALID", "VM", NOBODY]));
    api.ok("task.destroy", &[task.as_str().into()]);
    api.ok("pool.set_name_description", &[pool.clone(), "changed".into()]);
    let (events, next) = from(&["pool"], &token, 5.0);
    assert_eq!(events.len(), 1, "only what was asked for, once: {events:?}");
    let event = &events[0];
    assert_eq!(event.get("operation"), Some(&"mod".into()));
    assert_eq!(event.get("ref"), Some(&pool));
    let shown = event.get("snapshot").unwrap().get("name_description");
    assert_eq!(shown, Some(&"changed".into()));
    let one = format!("task/{failing}");
    let (events, _) = from(&[&one], &token, 5.0);
    assert!(events.iter().all(|event| event.get("ref") == Some(&failing.as_str().into())));
    assert_eq!(from(&["pool"], &next, 0.1).0.len(), 0, "nothing new");
    let params =
        |classes: &str, token: &str| [Value::text_set([classes]), token.into(), Value::Float(0.0)];
    let refused = api.call("event.from", &params("dogs", ""));
    assert_eq!(code(refused), "EVENT_SUBSCRIPTION_PARSE_FAILURE");
    assert_eq!(code(api.call("event.from", &params("vm", "x"))), "EVENT_FROM_TOKEN_PARSE_FAILURE");
    let all = from(&["*"], "", 0.0).0;
    assert!(all.iter().all(|event| event.get("class") != Some(&"session".into())), "no secrets");
}

fn sessions_and_passwords(machine: &Machine, api: &Api) {
    let login = |transport: &dyn Transport, user: &str, password: &str| {
        let words = [user.into(), password.into(), "1.0".into(), "test".into()];
        plain(transport, "session.login_with_password", &words)
    };
    let clear = HttpTransport::tcp(&machine.address, HTTP, false).unwrap();
    for transport in [&machine.remote(), &clear] {
        for (user, password) in [("root", "wrong"), ("root", ""), ("toor", PASSWORD), ("", "")] {
            let refused = login(transport, user, password).unwrap_err();
            assert_eq!(refused.code, "SESSION_AUTHENTICATION_FAILED", "{user} {password}");
            assert!(!refused.params.contains(&PASSWORD.to_owned()));
        }
        let session = login(transport, "root", PASSWORD).unwrap();
        let session = session.as_str().unwrap();
        assert!(call(transport, session, "pool.get_all", &[]).is_ok());
        assert_eq!(call(transport, session, "session.logout", &[]), Ok(Value::void()));
        assert_eq!(code(call(transport, session, "pool.get_all", &[])), "SESSION_INVALID");
    }
    // Over the socket root of this host needs no password.
    assert!(login(&api.transport, "root", "wrong").is_ok());
    for params in [&[][..], &["".into()], &["guess".into()], &["guess".into(), "{}".into()]] {
        for name in ["is_master", "login", "follow", "job", "new_master", "become_master", "x"] {
            let refused = plain(&clear, &format!("internal.{name}"), params).unwrap_err();
            let known = ["SESSION_AUTHENTICATION_FAILED", "MESSAGE_METHOD_UNKNOWN"];
            assert!(known.contains(&refused.code.as_str()), "internal.{name}: {refused:?}");
        }
    }
    let words = ["-s", &machine.address, "-p", &HTTPS.to_string(), "-u", "root", "-pw", "wrong"];
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_xe"));
    let done = command.env_clear().args(words).arg("vm-list").output().unwrap();
    assert_eq!(err(&done), "Authentication failed\nFor usage run: 'xe help'\n");
    assert_eq!((out(&done), done.status.code()), ("", Some(1)));
}

#[test]
fn a_lower_role_may_read_but_not_write() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let config = Config {
        host: uuid::Uuid::new_v4(),
        name: "roles".to_owned(),
        address: IpAddr::from([127, 0, 40, 12]),
        https_port: HTTPS,
        http_port: None,
        socket: state.join("xapi.sock"),
        udp_port: 7694,
        hypervisor: Kind::Sim,
        accelerator: String::new(),
        memory: 1 << 30,
        cpus: 1,
        watchdog: serde_json::Value::Null,
    };
    init::create(&state, &config, PASSWORD).unwrap();
    let agent = start::open(&state, Faults::default()).unwrap();
    agent.store.set_lease(Some(Box::new(|| Ok(1))));
    agent.set_standing(Standing::Master { epoch: 1 });
    let ask = |session: &str, method: &str, params: &[Value]| {
        let mut all = vec![Value::from(session)];
        all.extend_from_slice(params);
        dispatch(&agent, Caller::Network, method, &all)
    };
    let admin = agent.sessions.open(&agent, Role::PoolAdmin, false, "root");
    let pool = ask(&admin, "pool.get_all", &[]).unwrap().as_array().unwrap()[0].clone();
    let reader = agent.sessions.open(&agent, Role::ReadOnly, false, "reader");
    assert!(ask(&reader, "pool.get_record", from_ref(&pool)).is_ok());
    let label = [pool.clone(), "mine".into()];
    for method in ["pool.set_name_label", "Async.VM.start", "VM.create", "pool.enable_ha"] {
        let refused = ask(&reader, method, &label).unwrap_err();
        assert_eq!(
            (refused.code.as_str(), refused.params[0].as_str()),
            ("RBAC_PERMISSION_DENIED", method)
        );
    }
    // Nor does a reader find the session of somebody else, in which it could do everything.
    for method in ["session.get_all", "session.get_all_records", "xe_intent.get_all"] {
        assert_eq!(code(ask(&reader, method, &[])), "RBAC_PERMISSION_DENIED", "{method}");
    }
    let seen = |session: &str| {
        let params = [Value::text_set(["*"]), "".into(), Value::Float(0.0)];
        let answer = ask(session, "event.from", &params).unwrap();
        let events = answer.get("events").unwrap().as_array().unwrap().to_vec();
        events.iter().any(|event| event.get("class") == Some(&"secret".into()))
    };
    ask(&admin, "secret.create", &[Value::text_map([("value", "hush")])]).unwrap();
    assert!(seen(&admin) && !seen(&reader), "events hold records");
    let guess = |value: &str| {
        let filter = format!(r#"field "wlb_password" = "{value}""#);
        let found = ask(&reader, "pool.get_all_records_where", &[filter.into()]).unwrap();
        found.as_struct().unwrap().len()
    };
    assert_eq!((guess(""), guess("x")), (0, 0), "what is not shown cannot be compared");
    let operator = agent.sessions.open(&agent, Role::PoolOperator, false, "operator");
    assert!(ask(&operator, "pool.set_name_label", &label).is_ok());
    agent.sessions.close(&agent, &reader);
    assert_eq!(code(ask(&reader, "pool.get_all", &[])), "SESSION_INVALID");
}

#[test]
fn members_pass_their_users_on_and_tell_strangers_who_the_master_is() {
    let dir = tempfile::tempdir().unwrap();
    let master = Machine::new(dir.path(), "first", "127.0.40.13");
    let member = Machine::new(dir.path(), "second", "127.0.40.14");
    let stranger = Machine::new(dir.path(), "stranger", "127.0.40.15");
    let done = member.xe(&[
        "pool-join",
        "master-address=127.0.40.13",
        "master-username=root",
        "master-password=no",
    ]);
    assert_eq!(done.status.code(), Some(1));
    assert!(err(&done).starts_with("The user name or the password is wrong."), "{}", err(&done));
    let done = member.xe(&[
        "pool-join",
        "master-address=127.0.40.99",
        "master-username=root",
        "master-password=no",
    ]);
    assert_eq!(done.status.code(), Some(1));
    assert!(err(&done).contains("127.0.40.99"), "{}", err(&done));
    member.join(&master);

    let words = ["root".into(), PASSWORD.into(), "1.0".into(), "test".into()];
    let slave = Failure::new("HOST_IS_SLAVE", ["127.0.40.13"]);
    assert_eq!(plain(&member.remote(), "session.login_with_password", &words), Err(slave.clone()));
    assert_eq!(plain(&member.remote(), "VM.get_all", &["any".into()]), Err(slave));
    // The member's own root is passed on to the master: what it writes is there.
    let api = Api::new(&member);
    let pool = api.ok("pool.get_all", &[]).as_array().unwrap()[0].clone();
    api.ok("pool.set_name_label", &[pool, "by the member".into()]);
    assert_eq!(master.done(&["pool-list", "params=name-label", "--minimal"]), "by the member");
    // A session of the member's own, for what concerns it alone.
    let local = plain(&member.remote(), "session.slave_local_login_with_password", &words[..2]);
    let local = local.unwrap().as_str().unwrap().to_owned();
    let emergency = call(&member.remote(), &local, "host.is_in_emergency_mode", &[]);
    assert_eq!(emergency, Ok(Value::Bool(false)));
    let slave = call(&member.remote(), &local, "pool.is_slave", &[Value::from(NOBODY)]);
    assert_eq!(slave, Ok(Value::Bool(true)));
    assert_eq!(code(call(&master.remote(), &local, "pool.get_all", &[])), "SESSION_INVALID");

    let peers = |identity: &Identity| Peers::new(identity, HTTPS, Faults::default()).unwrap();
    let pool = Identity::load(&member.dir).unwrap();
    assert_eq!(peers(&pool).call(&master.address, "is_master", &[]), Ok(Value::Bool(true)));
    // Another pool's certificate is not talked to, whatever secret it would take.
    let other = peers(&pool).call(&stranger.address, "is_master", &[]);
    assert_eq!(other, Err(Failure::new("HOST_OFFLINE", [stranger.address.as_str()])));
    let mut guess = Identity::load(&member.dir).unwrap();
    guess.secret = "00".repeat(32);
    let refused = peers(&guess).call(&master.address, "follow", &[]).unwrap_err();
    assert_eq!(refused.code, "SESSION_AUTHENTICATION_FAILED");
}
