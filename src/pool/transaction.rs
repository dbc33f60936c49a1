//! A change of the database in the making: it sees its own writes, nobody else does.

use super::change::{Change, Stored};
use super::database::{Database, Row};
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, Model, NULL_REF, Value};
use std::collections::BTreeMap;

/// Changes over a database that nobody else has seen yet.
#[derive(Debug)]
pub struct Transaction {
    view: Database,
    changes: Vec<Change>,
}

impl Transaction {
    /// Starts over the database as it is.
    pub fn over(database: &Database) -> Self {
        Self { view: database.clone(), changes: Vec::new() }
    }

    /// The database with the changes made so far.
    pub fn db(&self) -> &Database {
        &self.view
    }

    /// The changes, to be written and applied.
    pub fn into_changes(self) -> Vec<Change> {
        self.changes
    }

    /// The changes made so far.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    fn push(&mut self, change: Change) {
        self.view.apply(std::slice::from_ref(&change));
        self.changes.push(change);
    }

    /// Creates a row; fields that are not named have their defaults.
    pub fn create(
        &mut self,
        class: &str,
        reference: &str,
        fields: impl IntoIterator<Item = (impl Into<String>, Value)>,
    ) {
        let fields: BTreeMap<String, Stored> =
            fields.into_iter().map(|(name, value)| (name.into(), Stored::from(&value))).collect();
        self.push(Change::Create {
            class: class.to_owned(),
            reference: reference.to_owned(),
            fields,
        });
    }

    /// Deletes a row.
    pub fn delete(&mut self, class: &str, reference: &str) {
        self.push(Change::Delete { class: class.to_owned(), reference: reference.to_owned() });
    }

    /// Sets a field; nothing is recorded when it has that value already.
    pub fn set(&mut self, class: &str, reference: &str, field: &str, value: impl Into<Value>) {
        let value = value.into();
        if self.view.get(class, reference, field) == Some(&value) {
            return;
        }
        self.push(Change::Set {
            class: class.to_owned(),
            reference: reference.to_owned(),
            field: field.to_owned(),
            value: Stored::from(&value),
        });
    }

    /// Puts a key into a map field.
    pub fn put_key(&mut self, class: &str, reference: &str, field: &str, key: &str, value: &str) {
        let mut map = match self.view.get(class, reference, field) {
            Some(Value::Struct(map)) => map.clone(),
            _ => BTreeMap::new(),
        };
        map.insert(key.to_owned(), Value::from(value));
        self.set(class, reference, field, Value::Struct(map));
    }

    /// Takes a key out of a map field.
    pub fn remove_key(&mut self, class: &str, reference: &str, field: &str, key: &str) {
        if let Some(Value::Struct(map)) = self.view.get(class, reference, field) {
            let mut map = map.clone();
            if map.remove(key).is_some() {
                self.set(class, reference, field, Value::Struct(map));
            }
        }
    }

    /// Replaces every row that is journalled by the rows of another database; VMs come halted.
    pub fn replace_by(&mut self, other: &Database) {
        let kept = |class: &str| {
            let transient = Model::get().class(class).is_none_or(|class| class.transient);
            transient || class.starts_with("xe_")
        };
        let before = self.view.clone();
        for (class, reference, _) in before.rows().filter(|(class, ..)| !kept(class)) {
            self.delete(class, reference);
        }
        for (class, reference, row) in other.rows().filter(|(class, ..)| !kept(class)) {
            let Some(fields) = Model::get().class(class).map(|class| class.fields.iter()) else {
                continue;
            };
            let values = fields.enumerate().map(|(at, f)| (f.name.clone(), row.at(at).clone()));
            self.create(class, reference, values.collect::<BTreeMap<_, _>>());
            let machine = class == "VM" && !other.flag("VM", reference, "is_control_domain");
            if machine && other.text("VM", reference, "power_state") != "Suspended" {
                self.set(class, reference, "power_state", "Halted");
                self.set(class, reference, "resident_on", NULL_REF);
            }
        }
    }

    /// The row, or HANDLE_INVALID.
    pub fn row(&self, class: &str, reference: &str) -> Answer<&Row> {
        self.view.require(class, reference)
    }
}

impl Database {
    /// The row, or HANDLE_INVALID with the class and the reference.
    pub fn require(&self, class: &str, reference: &str) -> Answer<&Row> {
        self.row(class, reference).ok_or_else(|| Failure::new("HANDLE_INVALID", [class, reference]))
    }

    /// The reference of a uuid, or UUID_INVALID.
    pub fn require_uuid(&self, class: &str, uuid: &str) -> Answer<&str> {
        self.by_uuid(class, uuid).ok_or_else(|| Failure::new("UUID_INVALID", [class, uuid]))
    }

    /// The text of a field; empty when there is none.
    pub fn text(&self, class: &str, reference: &str, field: &str) -> &str {
        self.get(class, reference, field).and_then(Value::as_str).unwrap_or("")
    }

    /// A boolean field; false when there is none.
    pub fn flag(&self, class: &str, reference: &str, field: &str) -> bool {
        self.get(class, reference, field).and_then(Value::as_bool).unwrap_or(false)
    }

    /// An integer field; 0 when there is none.
    pub fn int(&self, class: &str, reference: &str, field: &str) -> i64 {
        self.get(class, reference, field).and_then(Value::as_int).unwrap_or(0)
    }

    /// The members of a set field.
    pub fn set_of(&self, class: &str, reference: &str, field: &str) -> Vec<&str> {
        let items = self.get(class, reference, field).and_then(Value::as_array).unwrap_or(&[]);
        items.iter().filter_map(Value::as_str).collect()
    }

    /// The value of a key of a map field.
    pub fn key(&self, class: &str, reference: &str, field: &str, key: &str) -> Option<&str> {
        self.get(class, reference, field)?.get(key)?.as_str()
    }

    /// A reference field as the row it stands for; none for the null reference.
    pub fn target(&self, class: &str, reference: &str, field: &str) -> Option<&str> {
        Some(self.text(class, reference, field)).filter(|r| *r != NULL_REF && !r.is_empty())
    }

    /// Whether every change only touches fields that are not journalled.
    pub fn is_transient(change: &Change) -> bool {
        let Some(class) = Model::get().class(change.row().0) else { return false };
        match change {
            Change::Set { field, .. } => {
                class.transient || class.field(field).is_some_and(|f| f.transient)
            }
            _ => class.transient,
        }
    }
}
