//! The data model as data: every class with its fields, enumerations and methods.
//!
//! The files under `model/` hold one class each, a line a fact:
//!
//! ```text
//! class NAME [transient] [deprecated|removed|prototyped] [create=ROLE] [destroy=ROLE] [read=ROLE]
//! enum NAME WORD…
//! field NAME TYPE runtime|init|rw|internal [transient] [write=ROLE] [state] [= DEFAULT]
//! method NAME(param:TYPE[?]…) -> TYPE role=ROLE [no-session] [sync] [hidden] [state] [errors=…]
//! ```
//! `runtime` is set by the server, `init` given at create, `rw` settable, `internal` never shown.
//! `transient` values are not journalled. Methods that follow from a field are not listed.

use super::model_files::CLASSES;
use super::roles::Role;
use super::types::Type;
use super::value::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

/// Who may set a field, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qualifier {
    /// Only the server.
    Runtime,
    /// Given at create, afterwards only the server.
    Init,
    /// Anybody with the role.
    ReadWrite,
    /// Kept for dumps, never shown.
    Internal,
}

/// How far a member is part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lifecycle {
    /// Published, or still a prototype: works.
    #[default]
    Present,
    /// Works, but scripts should move away from it.
    Deprecated,
    /// Answers MESSAGE_REMOVED.
    Removed,
}

/// A field of a class.
#[derive(Debug, Clone)]
pub struct Field {
    /// Its name, `name_label`.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// Who may set it.
    pub qualifier: Qualifier,
    /// The role that may set it, when it is settable by a derived setter.
    pub write: Option<Role>,
    /// Whether its changes are left out of the journal.
    pub transient: bool,
    /// How far it is part of the interface.
    pub lifecycle: Lifecycle,
    /// What it holds when a record does not say.
    pub default: Option<Value>,
}

impl Field {
    /// The value of a new row that does not give one.
    pub fn initial(&self) -> Value {
        self.default.clone().unwrap_or_else(|| self.ty.zero())
    }
}

/// A parameter of a method.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// Whether a call may leave it out (with all that follow).
    pub optional: bool,
}

/// A method that does not simply follow from a field.
#[derive(Debug, Clone)]
pub struct Method {
    /// Its name without the class.
    pub name: String,
    /// Parameters after the session.
    pub params: Vec<Parameter>,
    /// What it answers.
    pub result: Type,
    /// The least role that may call it; none = no role is asked for.
    pub role: Option<Role>,
    /// Whether the first parameter is a session.
    pub session: bool,
    /// Whether `Async.` forms exist.
    pub asynchronous: bool,
    /// How far it is part of the interface.
    pub lifecycle: Lifecycle,
}

/// A class.
#[derive(Debug)]
pub struct Class {
    /// Its name as methods spell it.
    pub name: String,
    /// Fields in the model's order.
    pub fields: Vec<Field>,
    /// Enumerations by name.
    pub enums: BTreeMap<String, Vec<String>>,
    /// Methods with behaviour, by name.
    pub methods: BTreeMap<String, Method>,
    /// The role for a plain `create`, if the class has one.
    pub create: Option<Role>,
    /// The role for a plain `destroy`, if the class has one.
    pub destroy: Option<Role>,
    /// The role for reading.
    pub read: Role,
    /// Whether rows live in memory only.
    pub transient: bool,
    /// How far it is part of the interface.
    pub lifecycle: Lifecycle,
    by_name: HashMap<String, usize>,
}

impl Class {
    /// The place of a field in [`Class::fields`].
    pub fn index(&self, field: &str) -> Option<usize> {
        self.by_name.get(field).copied()
    }

    /// A field by name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.index(name).map(|at| &self.fields[at])
    }
}

/// All classes.
#[derive(Debug)]
pub struct Model {
    classes: BTreeMap<String, Class>,
    words: HashMap<String, Vec<String>>,
}

impl Model {
    /// The model that is built into the binary, read once.
    pub fn get() -> &'static Model {
        static MODEL: OnceLock<Model> = OnceLock::new();
        MODEL.get_or_init(|| Model::read(CLASSES))
    }

    /// A class by its exact name.
    pub fn class(&self, name: &str) -> Option<&Class> {
        self.classes.get(name)
    }

    /// All classes by name.
    pub fn classes(&self) -> impl Iterator<Item = &Class> {
        self.classes.values()
    }

    /// The words of an enumeration.
    pub fn words(&self, name: &str) -> Option<&[String]> {
        self.words.get(name).map(Vec::as_slice)
    }

    /// Takes a wire value as a type.
    pub fn accept(&self, ty: &Type, value: &Value) -> Option<Value> {
        ty.accept(value, &|name| self.words(name))
    }

    fn read(files: &[(&str, &str)]) -> Self {
        let mut classes = BTreeMap::new();
        let mut words = HashMap::new();
        for (name, text) in files {
            let class = read_class(name, text);
            words.extend(class.enums.clone());
            classes.insert(class.name.clone(), class);
        }
        Self { classes, words }
    }
}

fn read_class(name: &str, text: &str) -> Class {
    let mut class = Class {
        name: name.to_owned(),
        fields: Vec::new(),
        enums: BTreeMap::new(),
        methods: BTreeMap::new(),
        create: None,
        destroy: None,
        read: Role::ReadOnly,
        transient: false,
        lifecycle: Lifecycle::Present,
        by_name: HashMap::new(),
    };
    for line in text.lines() {
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        match kind {
            "class" => read_marks(rest, &mut class),
            "enum" => {
                let mut names = rest.split(' ').map(str::to_owned);
                let name = names.next().unwrap_or_default();
                class.enums.insert(name, names.collect());
            }
            "field" => {
                let field = read_field(rest);
                class.by_name.insert(field.name.clone(), class.fields.len());
                class.fields.push(field);
            }
            "method" => {
                let method = read_method(rest);
                class.methods.insert(method.name.clone(), method);
            }
            _ => debug_assert!(line.is_empty(), "unreadable line in the model of {name}: {line}"),
        }
    }
    class
}

fn read_marks(rest: &str, class: &mut Class) {
    for word in rest.split(' ').skip(1) {
        match word.split_once('=') {
            Some(("create", role)) => class.create = Role::parse(role),
            Some(("destroy", role)) => class.destroy = Role::parse(role),
            Some(("read", role)) => class.read = Role::parse(role).unwrap_or(Role::PoolAdmin),
            _ if word == "transient" => class.transient = true,
            _ => class.lifecycle = lifecycle(word),
        }
    }
}

fn lifecycle(word: &str) -> Lifecycle {
    match word {
        "deprecated" => Lifecycle::Deprecated,
        "removed" => Lifecycle::Removed,
        _ => Lifecycle::Present,
    }
}

fn read_field(rest: &str) -> Field {
    let (head, default) = match rest.split_once(" = ") {
        Some((head, default)) => (head, Some(default)),
        None => (rest, None),
    };
    let mut words = head.split(' ');
    let name = words.next().unwrap_or_default().to_owned();
    let ty = words.next().and_then(Type::parse).unwrap_or(Type::Any);
    let qualifier = match words.next() {
        Some("rw") => Qualifier::ReadWrite,
        Some("init") => Qualifier::Init,
        Some("internal") => Qualifier::Internal,
        _ => Qualifier::Runtime,
    };
    let default = default.and_then(|text| read_default(text, &ty));
    let mut field = Field {
        name,
        ty,
        qualifier,
        write: None,
        transient: false,
        lifecycle: Lifecycle::Present,
        default,
    };
    for word in words {
        match word.split_once('=') {
            Some((_, role)) => field.write = Role::parse(role),
            None if word == "transient" => field.transient = true,
            None => field.lifecycle = lifecycle(word),
        }
    }
    field
}

/// Reads a default: `{}`, `"text"`, `0.`, `Halted`, `{"k" -> "v"}`.
fn read_default(text: &str, ty: &Type) -> Option<Value> {
    let plain = text.trim_matches('"');
    Some(match ty {
        Type::Int => Value::Int(plain.parse().ok()?),
        Type::Float => Value::Float(plain.parse().ok()?),
        Type::Bool => Value::Bool(plain == "true"),
        Type::DateTime => Value::DateTime(plain.to_owned()),
        Type::Text | Type::Enum(_) | Type::Ref(_) => {
            if plain == "Null" {
                return None;
            }
            Value::from(plain)
        }
        Type::Map(..) => Value::text_map(
            inner_items(text)
                .filter_map(|item| item.split_once(" -> "))
                .map(|(key, value)| (key.trim_matches('"'), value.trim_matches('"'))),
        ),
        Type::Set(item) => {
            Value::Array(inner_items(text).filter_map(|entry| read_default(entry, item)).collect())
        }
        _ => return None,
    })
}

fn inner_items(text: &str) -> impl Iterator<Item = &str> {
    let inner = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or("");
    inner.split(", ").filter(|item| !item.is_empty())
}

fn read_method(rest: &str) -> Method {
    let (head, tail) = rest.split_once(" -> ").unwrap_or((rest, "void"));
    let (name, params) = head.split_once('(').unwrap_or((head, ")"));
    let params = params.strip_suffix(')').unwrap_or(params);
    let mut words = tail.split(' ');
    let mut method = Method {
        name: name.to_owned(),
        params: params.split(' ').filter(|p| !p.is_empty()).map(read_parameter).collect(),
        result: words.next().and_then(Type::parse).unwrap_or(Type::Any),
        role: Some(Role::PoolAdmin),
        session: true,
        asynchronous: true,
        lifecycle: Lifecycle::Present,
    };
    for word in words {
        match word.split_once('=') {
            Some(("role", role)) => method.role = Role::parse(role),
            Some(_) => {}
            None if word == "no-session" => method.session = false,
            None if word == "sync" => method.asynchronous = false,
            None => method.lifecycle = lifecycle(word),
        }
    }
    method
}

fn read_parameter(text: &str) -> Parameter {
    let (name, ty) = text.split_once(':').unwrap_or((text, "any"));
    let (ty, optional) = match ty.strip_suffix('?') {
        Some(ty) => (ty, true),
        None => (ty, false),
    };
    Parameter { name: name.to_owned(), ty: Type::parse(ty).unwrap_or(Type::Any), optional }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_model_files_is_understood() {
        for (name, text) in CLASSES {
            for line in text.lines() {
                let (kind, rest) = line.split_once(' ').unwrap();
                match kind {
                    "field" => {
                        let ty = rest.split(' ').nth(1).unwrap();
                        // The one field without a type of its own is event.snapshot.
                        assert!(Type::parse(ty).is_some(), "{name}: {line}");
                    }
                    "method" => {
                        let method = read_method(rest);
                        assert!(
                            method.params.iter().all(|p| p.ty != Type::Any)
                                || line.contains(":any"),
                            "{name}: {line}"
                        );
                    }
                    "class" | "enum" => {}
                    other => panic!("{name}: {other}"),
                }
            }
        }
    }

    #[test]
    fn the_model_holds_the_whole_interface() {
        let model = Model::get();
        let published = || model.classes().filter(|class| !class.name.starts_with("xe_"));
        assert_eq!(published().count(), 72);
        let ours = |field: &&Field| !field.name.starts_with("xe_");
        let fields: usize = published().map(|c| c.fields.iter().filter(ours).count()).sum();
        assert_eq!(fields, 922 + 9, "922 published fields and nine internal ones");
        let vm = model.class("VM").unwrap();
        assert_eq!(vm.field("order").unwrap().initial(), Value::Int(0));
        assert_eq!(vm.field("power_state").unwrap().initial(), Value::from("Halted"));
        assert_eq!(vm.methods["start"].params.len(), 3);
        assert_eq!(vm.methods["start"].role, Some(Role::VmOperator));
        assert!(!model.class("session").unwrap().methods["login_with_password"].session);
        let host = model.class("host").unwrap();
        assert_eq!(
            host.field("license_server").unwrap().initial(),
            Value::text_map([("address", "localhost"), ("port", "27000")])
        );
    }
}
