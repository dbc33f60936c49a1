//! Messages about objects, as `message-list` shows them and mails tell them.
//!
//! While the storage that holds the database is away no row can be written. What a master has to
//! say then is kept in memory, and recorded with its own time when a record can be written again.

use super::{Agent, mail, new_reference, new_uuid, now, recover};
use crate::xenapi::Value;
use crate::xenapi::failure::Answer;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Messages that wait; of more the oldest are dropped.
const MOST: usize = 256;

/// Messages that could not be recorded yet.
#[derive(Debug, Default)]
pub struct Unposted(Mutex<VecDeque<Row>>);

/// The fields of a message.
type Row = Vec<(&'static str, Value)>;

/// Posts a message about an object.
pub fn message(agent: &Agent, name: &str, priority: i64, class: &str, uuid: &str, body: &str) {
    let at = now();
    agent.mail.offer(mail::Alert {
        name: name.to_owned(),
        priority,
        class: class.to_owned(),
        uuid: uuid.to_owned(),
        body: body.to_owned(),
        at: at.as_str().unwrap_or("").to_owned(),
    });
    let row = vec![
        ("uuid", Value::from(new_uuid())),
        ("name", Value::from(name)),
        ("priority", Value::Int(priority)),
        ("cls", Value::from(class)),
        ("obj_uuid", Value::from(uuid)),
        ("timestamp", at),
        ("body", Value::from(body)),
    ];
    let posted = post(agent, &row);
    let late = posted.as_ref().err().map(ToString::to_string);
    if posted.is_err() && agent.standing().is_master() {
        let mut waiting = agent.unposted.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push_back(row);
        while waiting.len() > MOST {
            waiting.pop_front();
        }
    }
    agent.history.note(
        "message",
        name,
        serde_json::json!({
            "object": uuid, "body": body, "later": late,
        }),
    );
}

fn post(agent: &Agent, row: &Row) -> Answer<()> {
    agent.store.commit(|tx| {
        tx.create("message", &new_reference(), row.clone());
        Ok(())
    })
}

/// Whether some wait: what the rows say of messages is behind what was told.
pub fn some_wait(agent: &Agent) -> bool {
    !agent.unposted.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
}

/// Records what could not be recorded before; to be called now and then on a master.
pub fn post_late(agent: &Agent) {
    loop {
        let next = {
            let waiting = agent.unposted.0.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.front().cloned()
        };
        let Some(row) = next.filter(|row| post(agent, row).is_ok()) else { return };
        let mut waiting = agent.unposted.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.front() == Some(&row) {
            waiting.pop_front();
        }
        drop(waiting);
        recover::wake(agent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::in_process;
    use crate::xenapi::Failure;

    #[test]
    fn what_cannot_be_recorded_now_is_recorded_later_with_its_own_time() {
        let agent = in_process::of_two_hosts();
        let lost = || Err(Failure::internal("the storage is away"));
        agent.store.set_lease(Some(Box::new(lost)));
        message(&agent, "HA_STATEFILE_LOST", 2, "Host", "h", "all have lost it");
        let told = |agent: &Agent| {
            let db = agent.store.read();
            let rows = db.table("message").keys();
            let bodies = rows.map(|row| db.text("message", row, "body").to_owned());
            bodies.filter(|body| body == "all have lost it").count()
        };
        post_late(&agent);
        assert_eq!(told(&agent), 0);
        agent.store.set_lease(Some(Box::new(|| Ok(1))));
        post_late(&agent);
        post_late(&agent);
        assert_eq!(told(&agent), 1);
    }
}
