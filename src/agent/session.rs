//! Sessions: who is logged in, with which role.

use super::Agent;
use crate::xenapi::failure::Answer;
use crate::xenapi::roles::Role;
use crate::xenapi::{Failure, NULL_REF, Value};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// How a call reached this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// Over the unix socket, by root or the agent's own user: trusted as root.
    Local,
    /// Over the network: a password is asked for.
    Network,
    /// In this process.
    InProcess,
}

/// One session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The session's reference.
    pub reference: String,
    /// What it may do.
    pub role: Role,
    /// Whether it was opened for calls about this host only.
    pub local: bool,
}

/// The sessions of this agent.
#[derive(Debug, Default)]
pub struct Sessions {
    open: Mutex<HashMap<String, Session>>,
}

impl Sessions {
    /// The session of a reference, or SESSION_INVALID.
    pub fn get(&self, reference: &str) -> Answer<Session> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let invalid = || Failure::new("SESSION_INVALID", [reference]);
        open.get(reference).cloned().ok_or_else(invalid)
    }

    fn add(&self, session: Session) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(session.reference.clone(), session);
    }

    fn remove(&self, reference: &str) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(reference);
    }

    /// Opens a session.
    pub fn open(&self, agent: &Agent, role: Role, local: bool, user: &str) -> String {
        let reference = super::new_reference();
        self.add(Session { reference: reference.clone(), role, local });
        if !local {
            let now = super::now();
            agent.store.touch(|tx| {
                let host = agent.host_ref(tx.db());
                tx.create(
                    "session",
                    &reference,
                    [
                        ("uuid", Value::from(super::new_uuid())),
                        ("this_host", Value::from(host.unwrap_or(NULL_REF.to_owned()))),
                        ("is_local_superuser", Value::Bool(true)),
                        ("auth_user_name", Value::from(user)),
                        ("last_active", now.clone()),
                        ("validation_time", now),
                    ],
                );
            });
        }
        reference
    }

    /// Ends a session.
    pub fn close(&self, agent: &Agent, reference: &str) {
        self.remove(reference);
        agent.store.touch(|tx| {
            if tx.db().row("session", reference).is_some() {
                tx.delete("session", reference);
            }
        });
    }
}

/// Checks a login: local callers are trusted, others need root's password.
pub fn authenticate(agent: &Agent, caller: Caller, user: &str, password: &str) -> Answer<Role> {
    let refused = |why: &str| Err(Failure::new("SESSION_AUTHENTICATION_FAILED", [user, why]));
    if caller != Caller::Network {
        return Ok(Role::PoolAdmin);
    }
    if user != "root" {
        return refused("only root is known here");
    }
    match &agent.identity {
        Some(identity) if identity.accepts_password(password) => Ok(Role::PoolAdmin),
        _ => refused("the password is wrong"),
    }
}
