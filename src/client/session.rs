//! A logged-in session: calls with the session reference put in front.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::{CallError, Transport};
use crate::xenapi::{Failure, Value};

/// The records of one class by reference.
pub type Records = Rc<BTreeMap<String, Value>>;

/// Which root account a session is checked against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    /// The pool's: `session.login_with_password`.
    Pool,
    /// This host's own, also when it has lost its master: `slave_local_login_with_password`.
    Local,
}

/// A session with a server.
pub struct Session<'a> {
    transport: &'a dyn Transport,
    reference: String,
    account: Account,
    fetched: RefCell<BTreeMap<String, Records>>,
}

impl<'a> Session<'a> {
    /// Logs in.
    ///
    /// Errors: what the server answers, or why it could not be reached.
    pub fn login(
        transport: &'a dyn Transport,
        account: Account,
        username: &str,
        password: &str,
    ) -> Result<Self, CallError> {
        let mut params: Vec<Value> = vec![username.into(), password.into()];
        let method = match account {
            Account::Pool => {
                params.extend(["1.0".into(), "cli".into()]);
                "session.login_with_password"
            }
            Account::Local => "session.slave_local_login_with_password",
        };
        let answer = transport.call(method, &params)?;
        let reference = text(&answer)?;
        Ok(Self { transport, reference, account, fetched: RefCell::default() })
    }

    /// Ends the session; an error is of no use to anybody then.
    pub fn logout(self) {
        let method = match self.account {
            Account::Pool => "session.logout",
            Account::Local => "session.local_logout",
        };
        let _ = self.transport.call(method, &[self.reference.as_str().into()]);
    }

    /// The session's reference, as HTTP paths want it.
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// What carries the calls.
    pub fn transport(&self) -> &dyn Transport {
        self.transport
    }

    /// One call; the session is put in front of the parameters.
    pub fn call(&self, method: &str, params: &[Value]) -> Result<Value, CallError> {
        let mut all: Vec<Value> = vec![self.reference.as_str().into()];
        all.extend_from_slice(params);
        self.transport.call(method, &all)
    }

    /// A call that answers a text or a reference.
    pub fn text(&self, method: &str, params: &[Value]) -> Result<String, CallError> {
        text(&self.call(method, params)?)
    }

    /// The reference of the object that has this uuid.
    pub fn by_uuid(&self, class: &str, uuid: &str) -> Result<String, CallError> {
        self.text(&format!("{class}.get_by_uuid"), &[uuid.into()])
    }

    /// A fresh picture of all objects of a class.
    pub fn records(&self, class: &str) -> Result<Records, CallError> {
        let method = format!("{class}.get_all_records_where");
        let answer = self.call(&method, &["true".into()])?;
        let Value::Struct(entries) = answer else {
            return Err(unexpected(&method, "a map of records").into());
        };
        let records = Rc::new(entries);
        self.fetched.borrow_mut().insert(class.to_owned(), Rc::clone(&records));
        Ok(records)
    }

    /// All objects of a class, fetched once in this session: for names of other objects.
    pub fn records_once(&self, class: &str) -> Result<Records, CallError> {
        if let Some(records) = self.fetched.borrow().get(class) {
            return Ok(Rc::clone(records));
        }
        self.records(class)
    }
}

/// A text or reference in an answer.
fn text(answer: &Value) -> Result<String, CallError> {
    match answer.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(unexpected("the answer", "a text").into()),
    }
}

fn unexpected(what: &str, wanted: &str) -> Failure {
    Failure::internal(format!("{what} should have been {wanted}"))
}
