//! The XML of a XenServer pool database, as `pool-dump-database` writes it.
//!
//! A dump that was read is kept as it was beside the rows made from it: what did not change is
//! written back byte for byte, so that one changed field is one changed attribute.

mod read;
mod text;
mod write;

use super::Database;
use crate::xenapi::Model;

/// A row as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRow {
    /// Its reference.
    pub reference: String,
    /// Its attributes in order, `%` escapes still in.
    pub attributes: Vec<(String, String)>,
}

/// A table as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawTable {
    /// The class.
    pub name: String,
    /// The rows in order.
    pub rows: Vec<RawRow>,
}

/// A dump: the file, and the rows it stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct Dump {
    /// The manifest's pairs. Some are secrets: never print them.
    pub manifest: Vec<(String, String)>,
    /// The tables.
    pub tables: Vec<RawTable>,
    /// The rows as this version understands them.
    pub database: Database,
}

/// Why a file is no dump.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DumpError {
    /// It is not XML.
    #[error("line {line}: this is not well-formed XML: {reason}")]
    Xml {
        /// The line, from 1.
        line: usize,
        /// What the parser says.
        reason: String,
    },
    /// It is XML of something else.
    #[error("line {line}: this is no pool database: {reason}")]
    Shape {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A field holds what its type does not allow.
    #[error("line {line}: {class} {reference}: the field {field} is not a valid {ty}")]
    Field {
        /// The line, from 1.
        line: usize,
        /// The class.
        class: String,
        /// The row.
        reference: String,
        /// The attribute.
        field: String,
        /// The type it should have.
        ty: String,
    },
}

impl Dump {
    /// Reads a dump.
    pub fn parse(bytes: &[u8]) -> Result<Self, DumpError> {
        read::parse(bytes)
    }

    /// Writes the dump with the rows as they are now: a row or field that is as it was read is
    /// written as it stood.
    pub fn write(&self, now: &Database) -> String {
        write::with_original(self, now)
    }

    /// A pair of the manifest.
    pub fn manifest(&self, key: &str) -> Option<&str> {
        self.manifest.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

/// Writes a database that came from no dump.
pub fn write_new(now: &Database, generation: u64) -> String {
    write::from_rows(now, generation)
}

/// The dump's name of a field: the interface's `name_label` is `name__label` there.
fn dump_name(class: &str, field: &str) -> String {
    let group = GROUPS
        .iter()
        .find(|group| field.strip_prefix(**group).is_some_and(|rest| rest.starts_with('_')));
    match group {
        Some(group) if !matches!(class, "pool" | "role") => {
            format!("{group}_{}", &field[group.len()..])
        }
        _ => field.to_owned(),
    }
}

/// Groups of fields, whose names the database parts by two underscores.
const GROUPS: &[&str] =
    &["API_version", "HVM", "PV", "VCPUs", "actions", "io", "memory", "name", "qos"];

/// The field of the model that an attribute of a dump stands for.
fn field_of(class: &str, attribute: &str) -> Option<&'static crate::xenapi::model::Field> {
    let class = Model::get().class(class)?;
    class.field(attribute).or_else(|| class.field(&attribute.replace("__", "_")))
}
