//! Tables and rows.

use super::change::Change;
use super::relations::{is_mirror, mirror_of};
use crate::xenapi::model::Class;
use crate::xenapi::types::Type;
use crate::xenapi::{Model, NULL_REF, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A row: one value for each field of its class, in the model's order.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    values: Vec<Value>,
}

impl Row {
    /// A row with every field at its default.
    pub fn blank(class: &Class) -> Self {
        Self { values: class.fields.iter().map(crate::xenapi::model::Field::initial).collect() }
    }

    /// The value of the field at a place of the class.
    pub fn at(&self, index: usize) -> &Value {
        &self.values[index]
    }

    /// Sets the value of the field at a place of the class.
    pub fn put(&mut self, index: usize, value: Value) {
        self.values[index] = value;
    }
}

/// The rows of one class by reference.
pub type Table = BTreeMap<String, Arc<Row>>;

/// The tables of the pool. A clone is cheap: tables and rows are shared until one changes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Database {
    tables: BTreeMap<String, Arc<Table>>,
}

static NO_ROWS: Table = Table::new();

impl Database {
    /// The rows of a class by reference.
    pub fn table(&self, class: &str) -> &Table {
        self.tables.get(class).map_or(&NO_ROWS, |table| table)
    }

    /// One row.
    pub fn row(&self, class: &str, reference: &str) -> Option<&Row> {
        self.table(class).get(reference).map(Arc::as_ref)
    }

    /// One field of one row.
    pub fn get(&self, class: &str, reference: &str, field: &str) -> Option<&Value> {
        let index = Model::get().class(class)?.index(field)?;
        Some(self.row(class, reference)?.at(index))
    }

    /// The reference of the row with this uuid.
    pub fn by_uuid(&self, class: &str, uuid: &str) -> Option<&str> {
        let index = Model::get().class(class)?.index("uuid")?;
        let found = |(_, row): &(&String, &Arc<Row>)| row.at(index).as_str() == Some(uuid);
        self.table(class).iter().find(found).map(|(reference, _)| reference.as_str())
    }

    /// All rows with their classes.
    pub fn rows(&self) -> impl Iterator<Item = (&str, &str, &Row)> {
        self.tables.iter().flat_map(|(class, rows)| {
            rows.iter().map(move |(reference, row)| (class.as_str(), reference.as_str(), &**row))
        })
    }

    /// Applies changes that were decided before. Changes that name an unknown class, field or row
    /// come from a newer member and are skipped: the journal keeps them.
    pub fn apply(&mut self, changes: &[Change]) {
        for change in changes {
            self.apply_one(change);
        }
    }

    fn apply_one(&mut self, change: &Change) {
        let (class_name, reference) = change.row();
        let Some(class) = Model::get().class(class_name) else { return };
        match change {
            Change::Create { fields, .. } => {
                let table = self.tables.entry(class_name.to_owned()).or_default();
                Arc::make_mut(table).insert(reference.to_owned(), Arc::new(Row::blank(class)));
                for (field, value) in fields {
                    self.set(class, reference, field, value.into());
                }
                self.collect_mirrors(class, reference);
            }
            Change::Set { field, value, .. } => self.set(class, reference, field, value.into()),
            Change::Delete { .. } => {
                for field in &class.fields {
                    if mirror_of(class_name, &field.name).is_some() {
                        self.set(class, reference, &field.name, field.ty.zero());
                    }
                }
                if let Some(table) = self.tables.get_mut(class_name) {
                    Arc::make_mut(table).remove(reference);
                }
            }
        }
    }

    fn set(&mut self, class: &Class, reference: &str, field: &str, value: Value) {
        let Some(index) = class.index(field) else { return };
        if is_mirror(&class.name, field) {
            return;
        }
        let Some(row) = self.row_mut(&class.name, reference) else { return };
        let old = std::mem::replace(&mut row.values[index], value.clone());
        if let Some((one, mirror)) = mirror_of(&class.name, field) {
            self.mirror(one, mirror, &old, |set| set.retain(|r| r.as_str() != Some(reference)));
            self.mirror(one, mirror, &value, |set| {
                set.retain(|r| r.as_str() != Some(reference));
                set.push(Value::from(reference));
            });
        }
    }

    fn row_mut(&mut self, class: &str, reference: &str) -> Option<&mut Row> {
        let table = Arc::make_mut(self.tables.get_mut(class)?);
        table.get_mut(reference).map(Arc::make_mut)
    }

    fn mirror(&mut self, one: &str, field: &str, target: &Value, edit: impl Fn(&mut Vec<Value>)) {
        let Some(index) = Model::get().class(one).and_then(|class| class.index(field)) else {
            return;
        };
        let targets: Vec<&str> = match target {
            Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
            other => other.as_str().into_iter().collect(),
        };
        for target in targets {
            let row = self.row_mut(one, target);
            if let Some(Value::Array(set)) = row.map(|row| &mut row.values[index]) {
                edit(set);
            }
        }
    }

    /// Fills the mirrors of a new row from rows that came before it.
    fn collect_mirrors(&mut self, class: &Class, reference: &str) {
        for (one, set, many, field) in super::relations::RELATIONS {
            if *one != class.name {
                continue;
            }
            let Some(index) = Model::get().class(many).and_then(|c| c.index(field)) else {
                continue;
            };
            let points_here = |row: &Row| match row.at(index) {
                Value::Array(items) => items.iter().any(|i| i.as_str() == Some(reference)),
                other => other.as_str() == Some(reference),
            };
            let sources: Vec<Value> = self
                .table(many)
                .iter()
                .filter(|(_, row)| points_here(row))
                .map(|(source, _)| Value::from(source.as_str()))
                .collect();
            if sources.is_empty() {
                continue;
            }
            if let Some(at) = class.index(set)
                && let Some(row) = self.row_mut(&class.name, reference)
            {
                row.values[at] = Value::Array(sources);
            }
        }
    }

    /// A record as `get_record` answers it: every published field of the row.
    pub fn record(&self, class: &Class, row: &Row) -> Value {
        use crate::xenapi::model::Qualifier;
        let fields = class.fields.iter().enumerate();
        let shown = fields.filter(|(_, field)| field.qualifier != Qualifier::Internal);
        Value::Struct(
            shown.map(|(index, field)| (field.name.clone(), row.at(index).clone())).collect(),
        )
    }

    /// Whether a reference stands for an existing row of the class (or for none at all).
    pub fn is_valid(&self, ty: &Type, reference: &str) -> bool {
        match ty {
            Type::Ref(class) => reference == NULL_REF || self.row(class, reference).is_some(),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::change::Stored;
    use super::*;

    fn create(class: &str, reference: &str, fields: &[(&str, &str)]) -> Change {
        Change::Create {
            class: class.to_owned(),
            reference: reference.to_owned(),
            fields: fields
                .iter()
                .map(|(k, v)| ((*k).to_owned(), Stored::S((*v).to_owned())))
                .collect(),
        }
    }

    fn vbds(db: &Database, vm: &str) -> Vec<String> {
        let set = db.get("VM", vm, "VBDs").unwrap().as_array().unwrap();
        set.iter().map(|r| r.as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn mirrors_follow_references_whatever_the_order_of_creation() {
        let mut db = Database::default();
        db.apply(&[create("VBD", "b1", &[("VM", "v1")]), create("VM", "v1", &[("uuid", "u")])]);
        db.apply(&[create("VBD", "b2", &[("VM", "v1")]), create("VM", "v2", &[])]);
        assert_eq!(vbds(&db, "v1"), ["b1", "b2"]);
        db.apply(&[Change::Set {
            class: "VBD".to_owned(),
            reference: "b1".to_owned(),
            field: "VM".to_owned(),
            value: Stored::S("v2".to_owned()),
        }]);
        assert_eq!((vbds(&db, "v1"), vbds(&db, "v2")), (vec!["b2".into()], vec!["b1".into()]));
        db.apply(&[Change::Delete { class: "VBD".to_owned(), reference: "b1".to_owned() }]);
        assert!(vbds(&db, "v2").is_empty());
        assert_eq!(db.by_uuid("VM", "u"), Some("v1"));
    }
}
