//! message: what happened to objects.

use super::Methods;
use crate::agent::dispatch::Call;
use crate::agent::{mail, new_reference, new_uuid, now};
use crate::pool::Database;
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, Model, Value};

pub(super) const METHODS: Methods =
    &[("create", create), ("destroy", destroy), ("get", get), ("get_since", get_since)];

/// The classes that a message can be about, with their words.
const ABOUT: &[(&str, &str)] = &[
    ("VM", "VM"),
    ("Host", "host"),
    ("SR", "SR"),
    ("Pool", "pool"),
    ("VMPP", "VMPP"),
    ("VMSS", "VMSS"),
    ("PVS_proxy", "PVS_proxy"),
    ("VDI", "VDI"),
    ("Certificate", "Certificate"),
];

fn create(call: &Call<'_>) -> Answer {
    let (class, uuid) = (call.text(2), call.text(3));
    let db = call.agent.store.read();
    let table = ABOUT.iter().find(|(word, _)| word.eq_ignore_ascii_case(class));
    if let Some((_, table)) = table {
        db.require_uuid(table, uuid)?;
    }
    let message = new_reference();
    call.agent.store.commit(|tx| {
        tx.create(
            "message",
            &message,
            [
                ("uuid", Value::from(new_uuid())),
                ("name", call.params[0].clone()),
                ("priority", call.params[1].clone()),
                ("cls", call.params[2].clone()),
                ("obj_uuid", call.params[3].clone()),
                ("timestamp", now()),
                ("body", call.params[4].clone()),
            ],
        );
        Ok(())
    })?;
    call.agent.mail.offer(mail::Alert {
        name: call.text(0).to_owned(),
        priority: call.int(1),
        class: class.to_owned(),
        uuid: uuid.to_owned(),
        body: call.text(4).to_owned(),
        at: now().as_str().unwrap_or("").to_owned(),
    });
    Ok(Value::from(message))
}

fn destroy(call: &Call<'_>) -> Answer {
    call.agent.store.commit(|tx| {
        tx.row("message", call.text(0))?;
        tx.delete("message", call.text(0));
        Ok(Value::void())
    })
}

fn records(db: &Database, wanted: impl Fn(&str) -> bool) -> Answer {
    let class = Model::get().class("message").ok_or_else(|| Failure::internal("no messages"))?;
    let rows = db.table("message").iter().filter(|(reference, _)| wanted(reference));
    Ok(Value::Struct(rows.map(|(r, row)| (r.clone(), db.record(class, row))).collect()))
}

fn get(call: &Call<'_>) -> Answer {
    let (class, uuid, since) = (call.text(0), call.text(1), call.text(2));
    let db = call.agent.store.read();
    records(&db, |row| {
        db.text("message", row, "cls").eq_ignore_ascii_case(class)
            && db.text("message", row, "obj_uuid") == uuid
            && digits(db.text("message", row, "timestamp")) >= digits(since)
    })
}

fn get_since(call: &Call<'_>) -> Answer {
    let db = call.agent.store.read();
    records(&db, |row| digits(db.text("message", row, "timestamp")) >= digits(call.text(0)))
}

/// A date without its punctuation, so that its two spellings compare.
fn digits(date: &str) -> String {
    date.chars().filter(|c| !matches!(c, '-' | ':')).collect()
}
