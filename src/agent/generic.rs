//! Methods that follow from the data model alone: reading, field setters, plain create and destroy.

use super::Agent;
use super::filter::Filter;
use crate::pool::{Database, Row, relations};
use crate::xenapi::failure::Answer;
use crate::xenapi::model::{Class, Field, Lifecycle, Model, Parameter, Qualifier};
use crate::xenapi::roles::Role;
use crate::xenapi::types::Type;
use crate::xenapi::{Failure, Value, settings};
use std::collections::BTreeMap;

/// What a derived method does.
#[derive(Debug, Clone, Copy)]
pub enum Generic {
    /// `get_all`
    All,
    /// `get_all_records`
    AllRecords,
    /// `get_all_records_where`
    RecordsWhere,
    /// `get_all_where`
    AllWhere,
    /// `get_record`
    Record,
    /// `get_by_uuid`
    ByUuid,
    /// `get_by_name_label`
    ByNameLabel,
    /// `get_<field>`
    Get(&'static Field),
    /// `set_<field>`
    Set(&'static Field),
    /// `add_to_<map>` or `add_<set>`
    Add(&'static Field),
    /// `remove_from_<map>` or `remove_<set>`
    Remove(&'static Field),
    /// `create`
    Create,
    /// `destroy`
    Destroy,
}

/// A derived method with what dispatch must know of it.
#[derive(Debug, Clone)]
pub struct Derived {
    /// What it does.
    pub what: Generic,
    /// Its parameters after the session.
    pub params: Vec<Parameter>,
    /// The role it asks for.
    pub role: Role,
    /// How far it is part of the interface.
    pub lifecycle: Lifecycle,
}

fn parameter(name: &str, ty: Type) -> Parameter {
    Parameter { name: name.to_owned(), ty, optional: false }
}

/// Finds the derived method of a name.
pub fn find(class: &'static Class, method: &str) -> Option<Derived> {
    let itself = || parameter("self", Type::Ref(class.name.clone()));
    // A reference of a session is all that one needs to act in it.
    let reader = if class.name == "session" { Role::PoolAdmin } else { class.read };
    let read = |what, params| Derived { what, params, role: reader, lifecycle: class.lifecycle };
    Some(match method {
        "get_all" => read(Generic::All, vec![]),
        "get_all_records" => read(Generic::AllRecords, vec![]),
        "get_all_records_where" => read(Generic::RecordsWhere, vec![parameter("expr", Type::Text)]),
        "get_all_where" => read(Generic::AllWhere, vec![parameter("expr", Type::Text)]),
        "get_record" => read(Generic::Record, vec![itself()]),
        "get_by_uuid" => read(Generic::ByUuid, vec![parameter("uuid", Type::Text)]),
        "get_by_name_label" if class.field("name_label").is_some() => {
            read(Generic::ByNameLabel, vec![parameter("label", Type::Text)])
        }
        "create" => Derived {
            what: Generic::Create,
            params: vec![parameter("args", Type::Record(class.name.clone()))],
            role: class.create?,
            lifecycle: class.lifecycle,
        },
        "destroy" => Derived {
            what: Generic::Destroy,
            params: vec![itself()],
            role: class.destroy?,
            lifecycle: class.lifecycle,
        },
        _ => return find_field_method(class, method, itself()),
    })
}

fn find_field_method(class: &'static Class, method: &str, itself: Parameter) -> Option<Derived> {
    let (verb, name) = method.split_once('_')?;
    let name = match verb {
        "add" => name.strip_prefix("to_").unwrap_or(name),
        "remove" => name.strip_prefix("from_").unwrap_or(name),
        _ => name,
    };
    let field = class.field(name).filter(|field| field.qualifier != Qualifier::Internal)?;
    let explicit = class.methods.get(method).and_then(|m| m.role);
    let lifecycle = match (class.lifecycle, field.lifecycle) {
        (Lifecycle::Removed, _) | (_, Lifecycle::Removed) => Lifecycle::Removed,
        (_, other) => other,
    };
    let write = field.write.or(explicit);
    let (what, mut params, role) = match (verb, &field.ty) {
        ("get", _) => (Generic::Get(field), vec![], class.read),
        ("set", ty) => (Generic::Set(field), vec![parameter("value", ty.clone())], write?),
        ("add", Type::Map(key, value)) => {
            let params =
                vec![parameter("key", (**key).clone()), parameter("value", (**value).clone())];
            (Generic::Add(field), params, write?)
        }
        ("add", Type::Set(item)) => {
            (Generic::Add(field), vec![parameter("value", (**item).clone())], write?)
        }
        ("remove", Type::Map(key, _)) => {
            (Generic::Remove(field), vec![parameter("key", (**key).clone())], write?)
        }
        ("remove", Type::Set(item)) => {
            (Generic::Remove(field), vec![parameter("value", (**item).clone())], write?)
        }
        _ => return None,
    };
    params.insert(0, itself);
    Some(Derived { what, params, role, lifecycle })
}

fn records<'a>(
    db: &'a Database,
    class: &'a Class,
    filter: &'a Filter,
) -> impl Iterator<Item = (&'a String, &'a Row)> + 'a {
    let rows = db.table(&class.name).iter().map(|(reference, row)| (reference, &**row));
    rows.filter(|(_, row)| filter.matches(class, row))
}

/// Runs a derived method; parameters have been checked already.
pub fn run(agent: &Agent, class: &Class, what: Generic, params: &[Value]) -> Answer {
    let db = agent.store.read();
    let text = |at: usize| params.get(at).and_then(Value::as_str).unwrap_or("");
    let all = Filter::Always(true);
    let references = |filter: &Filter| {
        Value::text_set(records(&db, class, filter).map(|(reference, _)| reference.as_str()))
    };
    let full = |filter: &Filter| {
        let rows = records(&db, class, filter);
        Value::Struct(rows.map(|(r, row)| (r.clone(), db.record(class, row))).collect())
    };
    Ok(match what {
        Generic::All => references(&all),
        Generic::AllRecords => full(&all),
        Generic::RecordsWhere => full(&Filter::parse(text(0))?),
        Generic::AllWhere => references(&Filter::parse(text(0))?),
        Generic::Record => db.record(class, db.require(&class.name, text(0))?),
        Generic::ByUuid => Value::from(db.require_uuid(&class.name, text(0))?),
        Generic::ByNameLabel => {
            let index = class.index("name_label");
            let named = db.table(&class.name).iter().filter(|(_, row)| {
                index.is_some_and(|index| row.at(index).as_str() == Some(text(0)))
            });
            Value::text_set(named.map(|(reference, _)| reference.as_str()))
        }
        Generic::Get(field) => {
            db.require(&class.name, text(0))?;
            db.get(&class.name, text(0), &field.name).cloned().unwrap_or_else(Value::void)
        }
        Generic::Set(field) => return set(agent, class, field, params),
        Generic::Add(field) => return add(agent, class, field, params),
        Generic::Remove(field) => return remove(agent, class, field, params),
        Generic::Create => return create(agent, class, params),
        Generic::Destroy => {
            agent.store.commit(|tx| {
                tx.row(&class.name, text(0))?;
                tx.delete(&class.name, text(0));
                Ok(())
            })?;
            Value::void()
        }
    })
}

/// Refuses a setting of ours that has a new word which would be taken for none.
fn assert_settings(class: &Class, field: &Field, old: Option<&Value>, new: &Value) -> Answer<()> {
    if field.name != "other_config" {
        return Ok(());
    }
    for (key, value) in new.as_struct().into_iter().flatten() {
        let (word, before) = (value.as_str().unwrap_or(""), old.and_then(|map| map.get(key)));
        let setting = settings::find(&class.name, key).filter(|_| before != Some(value));
        if let Some(why) = setting.and_then(|setting| setting.refuses(word)) {
            return Err(Failure::new(
                "INVALID_VALUE",
                [&format!("other_config:{key}"), word, &why],
            ));
        }
    }
    Ok(())
}

fn set(agent: &Agent, class: &Class, field: &Field, params: &[Value]) -> Answer {
    let (reference, value) = (params[0].as_str().unwrap_or(""), params[1].clone());
    agent.store.commit(|tx| {
        tx.row(&class.name, reference)?;
        assert_settings(class, field, tx.db().get(&class.name, reference, &field.name), &value)?;
        if let Some(target) = value.as_str().filter(|_| matches!(field.ty, Type::Ref(_)))
            && !tx.db().is_valid(&field.ty, target)
            && let Type::Ref(other) = &field.ty
        {
            return Err(Failure::new("HANDLE_INVALID", [other.as_str(), target]));
        }
        tx.set(&class.name, reference, &field.name, value);
        Ok(Value::void())
    })
}

fn add(agent: &Agent, class: &Class, field: &Field, params: &[Value]) -> Answer {
    let (reference, key) = (params[0].as_str().unwrap_or(""), params[1].clone());
    agent.store.commit(|tx| {
        tx.row(&class.name, reference)?;
        let mut value = tx.db().get(&class.name, reference, &field.name).cloned();
        match &mut value {
            Some(Value::Struct(map)) => {
                let key = key.as_str().unwrap_or("").to_owned();
                if map.contains_key(&key) {
                    let uuid = tx.db().text(&class.name, reference, "uuid").to_owned();
                    let names = [class.name.clone(), field.name.clone(), uuid, key];
                    return Err(Failure::new("MAP_DUPLICATE_KEY", names));
                }
                map.insert(key, params[2].clone());
            }
            Some(Value::Array(items)) if !items.contains(&key) => items.push(key),
            _ => {}
        }
        if let Some(value) = value {
            let old = tx.db().get(&class.name, reference, &field.name);
            assert_settings(class, field, old, &value)?;
            tx.set(&class.name, reference, &field.name, value);
        }
        Ok(Value::void())
    })
}

fn remove(agent: &Agent, class: &Class, field: &Field, params: &[Value]) -> Answer {
    let (reference, key) = (params[0].as_str().unwrap_or(""), &params[1]);
    agent.store.commit(|tx| {
        tx.row(&class.name, reference)?;
        let mut value = tx.db().get(&class.name, reference, &field.name).cloned();
        match &mut value {
            Some(Value::Struct(map)) => {
                map.remove(key.as_str().unwrap_or(""));
            }
            Some(Value::Array(items)) => items.retain(|item| item != key),
            _ => {}
        }
        if let Some(value) = value {
            tx.set(&class.name, reference, &field.name, value);
        }
        Ok(Value::void())
    })
}

/// Takes the fields of a record that a client may give at create, checked one by one.
pub fn checked_record(
    db: &Database,
    class: &Class,
    record: &BTreeMap<String, Value>,
) -> Answer<BTreeMap<String, Value>> {
    let mut fields = BTreeMap::new();
    for field in &class.fields {
        let settable = matches!(field.qualifier, Qualifier::Init | Qualifier::ReadWrite);
        let Some(given) = record.get(&field.name).filter(|_| settable) else { continue };
        if relations::is_mirror(&class.name, &field.name) {
            continue;
        }
        let value = Model::get()
            .accept(&field.ty, given)
            .ok_or_else(|| Failure::new("FIELD_TYPE_ERROR", [field.name.as_str()]))?;
        if let (Type::Ref(other), Some(target)) = (&field.ty, value.as_str())
            && !db.is_valid(&field.ty, target)
        {
            return Err(Failure::new("HANDLE_INVALID", [other.as_str(), target]));
        }
        fields.insert(field.name.clone(), value);
    }
    Ok(fields)
}

fn create(agent: &Agent, class: &Class, params: &[Value]) -> Answer {
    let empty = BTreeMap::new();
    let record = params[0].as_struct().unwrap_or(&empty);
    let reference = super::new_reference();
    agent.store.commit(|tx| {
        let mut fields = checked_record(tx.db(), class, record)?;
        fields.insert("uuid".to_owned(), Value::from(super::new_uuid()));
        tx.create(&class.name, &reference, fields);
        Ok(())
    })?;
    Ok(Value::from(reference))
}
