//! session: logging in and out.

use super::Methods;
use crate::agent::dispatch::Call;
use crate::agent::session::authenticate;
use crate::xenapi::Value;
use crate::xenapi::failure::Answer;

pub(super) const METHODS: Methods = &[
    ("login_with_password", |call| login(call, false)),
    ("slave_local_login_with_password", |call| login(call, true)),
    ("logout", logout),
    ("local_logout", logout),
];

fn login(call: &Call<'_>, local: bool) -> Answer {
    let (user, password) = (call.text(0), call.text(1));
    let role = authenticate(call.agent, call.caller, user, password)?;
    Ok(Value::from(call.agent.sessions.open(call.agent, role, local, user)))
}

fn logout(call: &Call<'_>) -> Answer {
    if let Some(session) = &call.session {
        call.agent.sessions.close(call.agent, &session.reference);
    }
    Ok(Value::void())
}
