//! From rows to the file.

use super::read::NOT_FIELDS;
use super::{Dump, RawRow, dump_name, field_of, text};
use crate::pool::{Database, Row};
use crate::xenapi::Model;
use crate::xenapi::model::{Class, Lifecycle};
use std::collections::BTreeSet;
use std::fmt::Write;

/// The schema that this version writes.
const SCHEMA: (u32, u32) = (5, 57);

fn attribute(out: &mut String, name: &str, value: &str) {
    let mut quoted = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '&' => quoted.push_str("&amp;"),
            '<' => quoted.push_str("&lt;"),
            '>' => quoted.push_str("&gt;"),
            '"' => quoted.push_str("&quot;"),
            '\'' => quoted.push_str("&apos;"),
            // A line end that stands for itself would come back as a blank.
            '\n' => quoted.push_str("&#10;"),
            '\r' => quoted.push_str("&#13;"),
            '\t' => quoted.push_str("&#9;"),
            other => quoted.push(other),
        }
    }
    // Writing to a String cannot fail.
    let _ = write!(out, " {name}=\"{quoted}\"");
}

fn pair(out: &mut String, key: &str, value: &str) {
    out.push_str("<pair");
    attribute(out, "key", key);
    attribute(out, "value", value);
    out.push_str("/>\n");
}

/// Writes a dump again with the rows as they are now.
pub fn with_original(dump: &Dump, now: &Database) -> String {
    let mut out = String::from("<database>\n<manifest>\n");
    for (key, value) in &dump.manifest {
        pair(&mut out, key, value);
    }
    out.push_str("</manifest>\n");
    let mut written = BTreeSet::new();
    for table in &dump.tables {
        out.push_str("<table");
        attribute(&mut out, "name", &table.name);
        out.push_str(">\n");
        let class = Model::get().class(&table.name);
        for row in &table.rows {
            match class.filter(|class| !class.transient) {
                None => raw_row(&mut out, row, |_, _| None),
                Some(class) => changed_row(&mut out, class, row, dump, now),
            }
        }
        if let Some(class) = class.filter(|class| !class.transient) {
            let known = dump.database.table(&table.name);
            for (reference, row) in now.table(&table.name) {
                if !known.contains_key(reference) {
                    new_row(&mut out, class, reference, row);
                }
            }
        }
        written.insert(table.name.as_str());
        out.push_str("</table>\n");
    }
    tables(&mut out, now, |class| !written.contains(class) && !now.table(class).is_empty());
    out.push_str("</database>\n");
    out
}

/// Writes a database that was never a file.
pub fn from_rows(now: &Database, generation: u64) -> String {
    let mut out = String::from("<database>\n<manifest>\n");
    pair(&mut out, "pool_conf", "master");
    pair(&mut out, "schema_major_vsn", &SCHEMA.0.to_string());
    pair(&mut out, "schema_minor_vsn", &SCHEMA.1.to_string());
    pair(&mut out, "generation_count", &generation.to_string());
    out.push_str("</manifest>\n");
    tables(&mut out, now, |_| true);
    out.push_str("</database>\n");
    out
}

fn tables(out: &mut String, now: &Database, wanted: impl Fn(&str) -> bool) {
    let ours = |class: &&Class| class.transient || class.name.starts_with("xe_");
    for class in Model::get().classes().filter(|class| !ours(class) && wanted(&class.name)) {
        out.push_str("<table");
        attribute(out, "name", &class.name);
        out.push_str(">\n");
        for (reference, row) in now.table(&class.name) {
            new_row(out, class, reference, row);
        }
        out.push_str("</table>\n");
    }
}

fn raw_row(out: &mut String, row: &RawRow, change: impl Fn(&str, &str) -> Option<String>) {
    out.push_str("<row");
    for (name, raw) in &row.attributes {
        attribute(out, name, change(name, raw).as_deref().unwrap_or(raw));
    }
    out.push_str("/>\n");
}

fn changed_row(out: &mut String, class: &Class, row: &RawRow, dump: &Dump, now: &Database) {
    let before = dump.database.row(&class.name, &row.reference);
    let (Some(before), Some(now)) = (before, now.row(&class.name, &row.reference)) else { return };
    let changed = |index: usize| before.at(index) != now.at(index);
    let fresh = |index: usize| text::escape(&text::write(now.at(index)));
    let named = |attribute: &str| {
        let known = field_of(&class.name, attribute)?;
        class.index(&known.name).filter(|_| !NOT_FIELDS.contains(&attribute))
    };
    out.push_str("<row");
    for (name, raw) in &row.attributes {
        match named(name).filter(|index| changed(*index)) {
            Some(index) => attribute(out, name, &fresh(index)),
            None => attribute(out, name, raw),
        }
    }
    let present: BTreeSet<usize> = row.attributes.iter().filter_map(|(n, _)| named(n)).collect();
    for (index, field) in class.fields.iter().enumerate() {
        let ours = field.name.starts_with("xe_");
        if changed(index) && !present.contains(&index) && !ours {
            attribute(out, &dump_name(&class.name, &field.name), &fresh(index));
        }
    }
    out.push_str("/>\n");
}

fn new_row(out: &mut String, class: &Class, reference: &str, row: &Row) {
    out.push_str("<row");
    attribute(out, "ref", reference);
    for (index, field) in class.fields.iter().enumerate() {
        if field.name.starts_with("xe_") || field.lifecycle == Lifecycle::Removed {
            continue;
        }
        let value = text::escape(&text::write(row.at(index)));
        attribute(out, &dump_name(&class.name, &field.name), &value);
    }
    attribute(out, "_ref", reference);
    out.push_str("/>\n");
}
