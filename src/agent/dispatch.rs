//! From a method's name to the function that answers it: role, arity and types are checked here.

use super::session::{Caller, Session};
use super::{Agent, classes, generic};
use crate::xenapi::failure::Answer;
use crate::xenapi::model::{Class, Lifecycle, Method, Model, Parameter};
use crate::xenapi::roles::Role;
use crate::xenapi::{Failure, Value};
use std::sync::Arc;

/// One call on its way to its handler.
pub struct Call<'a> {
    /// The agent that answers.
    pub agent: &'a Arc<Agent>,
    /// How the call came.
    pub caller: Caller,
    /// Its session; the methods that open one have none.
    pub session: Option<Session>,
    /// The task that an `Async.` call reports to.
    pub task: Option<&'a str>,
    /// Parameters after the session, each of the type that the model gives; optional ones that the
    /// caller left out have the zero of their type.
    pub params: Vec<Value>,
    /// How many parameters the caller really gave.
    pub given: usize,
}

impl Call<'_> {
    /// A text or reference parameter.
    pub fn text(&self, at: usize) -> &str {
        self.params.get(at).and_then(Value::as_str).unwrap_or("")
    }

    /// A boolean parameter.
    pub fn flag(&self, at: usize) -> bool {
        self.params.get(at).and_then(Value::as_bool).unwrap_or(false)
    }

    /// An integer parameter.
    pub fn int(&self, at: usize) -> i64 {
        self.params.get(at).and_then(Value::as_int).unwrap_or(0)
    }

    /// A parameter that is a set of references.
    pub fn refs(&self, at: usize) -> Vec<String> {
        let items = self.params.get(at).and_then(Value::as_array).unwrap_or(&[]);
        items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
    }

    /// A parameter that is a map of texts.
    pub fn map(&self, at: usize) -> std::collections::BTreeMap<String, String> {
        let entries = self.params.get(at).and_then(Value::as_struct);
        entries
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect()
    }
}

/// A hand-written method.
pub type Handler = fn(&Call<'_>) -> Answer;

enum Target {
    Hand(Handler),
    Derived(generic::Generic),
    Missing,
}

/// Answers a call.
pub fn dispatch(agent: &Arc<Agent>, caller: Caller, method: &str, params: &[Value]) -> Answer {
    if let Some(name) = method.strip_prefix("internal.") {
        return super::internal::dispatch(agent, name, params);
    }
    let (plain, asynchronous) = match method.strip_prefix("Async.") {
        Some(plain) => (plain, true),
        None => (method, false),
    };
    let unknown = || Failure::new("MESSAGE_METHOD_UNKNOWN", [method]);
    let (class_name, name) = plain.split_once('.').ok_or_else(unknown)?;
    let class = Model::get().class(class_name).ok_or_else(unknown)?;
    let resolved = resolve(class, name).ok_or_else(unknown)?;
    if asynchronous && !resolved.asynchronous {
        return Err(unknown());
    }
    if let Some(answer) = super::forward::elsewhere(agent, caller, plain, method, params) {
        return answer;
    }
    if resolved.lifecycle == Lifecycle::Removed {
        return Err(Failure::new("MESSAGE_REMOVED", [] as [&str; 0]));
    }
    let (session, rest) = session_of(agent, &resolved, method, params)?;
    let params = checked(method, &resolved.params, rest)?;
    let given = rest.len();
    if asynchronous {
        let (target, name) = (resolved.target, plain.to_owned());
        return super::tasks::start(agent, session, plain, move |agent, task, session| {
            let call = Call { agent, caller, session, task: Some(task), params, given };
            run(&call, class, &target, &name)
        });
    }
    let call = Call { agent, caller, session, task: None, params, given };
    run(&call, class, &resolved.target, plain)
}

fn run(call: &Call<'_>, class: &Class, target: &Target, method: &str) -> Answer {
    super::forbidden::assert_allowed(&call.agent.store.read(), method, &call.params)?;
    match target {
        Target::Hand(handler) => handler(call),
        Target::Derived(what) => generic::run(call.agent, class, *what, &call.params),
        Target::Missing => Err(Failure::new("NOT_IMPLEMENTED", [method])),
    }
}

struct Resolved {
    target: Target,
    params: Vec<Parameter>,
    role: Option<Role>,
    session: bool,
    asynchronous: bool,
    lifecycle: Lifecycle,
}

fn resolve(class: &'static Class, name: &str) -> Option<Resolved> {
    let hand = classes::find(&class.name, name);
    if let Some(method) = class.methods.get(name) {
        let derived = generic::find(class, name).map(|derived| Target::Derived(derived.what));
        let Method { params, role, session, asynchronous, lifecycle, .. } = method.clone();
        let target = hand.map(Target::Hand).or(derived).unwrap_or(Target::Missing);
        return Some(Resolved { target, params, role, session, asynchronous, lifecycle });
    }
    let derived = generic::find(class, name)?;
    Some(Resolved {
        target: hand.map_or(Target::Derived(derived.what), Target::Hand),
        params: derived.params,
        role: Some(derived.role),
        session: true,
        asynchronous: matches!(derived.what, generic::Generic::Create | generic::Generic::Destroy),
        lifecycle: derived.lifecycle,
    })
}

/// Takes the session off the parameters and checks its role.
fn session_of<'p>(
    agent: &Agent,
    resolved: &Resolved,
    method: &str,
    params: &'p [Value],
) -> Answer<(Option<Session>, &'p [Value])> {
    if !resolved.session {
        return Ok((None, params));
    }
    let Some((first, rest)) = params.split_first() else {
        let expected = (resolved.params.len() + 1).to_string();
        let words = [method, &expected, "0"];
        return Err(Failure::new("MESSAGE_PARAMETER_COUNT_MISMATCH", words));
    };
    let session = agent.sessions.get(first.as_str().unwrap_or(""))?;
    match resolved.role {
        Some(needed) if session.role < needed => {
            let why = format!("the role {} or above is needed", needed.name());
            Err(Failure::new("RBAC_PERMISSION_DENIED", [method, &why]))
        }
        _ => Ok((Some(session), rest)),
    }
}

/// Checks number and types of parameters; fills in optional ones that were left out.
fn checked(method: &str, declared: &[Parameter], given: &[Value]) -> Answer<Vec<Value>> {
    let needed = declared.iter().filter(|parameter| !parameter.optional).count();
    if given.len() < needed || given.len() > declared.len() {
        // The session counts as a parameter, as in the peer's numbers.
        let words =
            [method.to_owned(), (declared.len() + 1).to_string(), (given.len() + 1).to_string()];
        return Err(Failure::new("MESSAGE_PARAMETER_COUNT_MISMATCH", words));
    }
    let mut params = Vec::with_capacity(declared.len());
    for (at, parameter) in declared.iter().enumerate() {
        params.push(match given.get(at) {
            Some(value) => Model::get()
                .accept(&parameter.ty, value)
                .ok_or_else(|| Failure::new("FIELD_TYPE_ERROR", [parameter.name.as_str()]))?,
            None => parameter.ty.zero(),
        });
    }
    Ok(params)
}
