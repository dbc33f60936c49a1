//! From the file to rows.

use super::{Dump, DumpError, RawRow, RawTable, field_of, text};
use crate::pool::change::Stored;
use crate::pool::{Change, Database, relations};
use crate::xenapi::{Model, Value};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::collections::BTreeMap;

/// Attributes that are not fields.
pub const NOT_FIELDS: &[&str] = &["ref", "_ref", "__ctime", "__mtime"];

struct Parser<'a> {
    bytes: &'a [u8],
    reader: Reader<&'a [u8]>,
}

impl Parser<'_> {
    /// How many bytes have been read so far.
    fn offset(&self) -> usize {
        usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX)
    }

    /// The line that has been read so far.
    fn line(&self) -> usize {
        self.line_at(self.offset())
    }

    /// The line of a byte. Line ends may be CR, LF or both.
    fn line_at(&self, offset: usize) -> usize {
        let read = &self.bytes[..offset.min(self.bytes.len())];
        let ends = |pair: (usize, &u8)| match pair.1 {
            b'\n' => true,
            b'\r' => read.get(pair.0 + 1) != Some(&b'\n'),
            _ => false,
        };
        1 + read.iter().enumerate().filter(|pair| ends(*pair)).count()
    }

    fn shape(&self, reason: impl Into<String>) -> DumpError {
        DumpError::Shape { line: self.line(), reason: reason.into() }
    }

    fn xml(&self, reason: impl ToString) -> DumpError {
        DumpError::Xml { line: self.line(), reason: reason.to_string() }
    }

    fn attributes(&self, tag: &BytesStart<'_>) -> Result<Vec<(String, String)>, DumpError> {
        let mut found = Vec::new();
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(|error| self.xml(error))?;
            let value = quick_xml::escape::unescape(&attribute.value).map_err(|e| self.xml(e))?;
            found.push((attribute.key.as_ref().to_owned(), value.into_owned()));
        }
        Ok(found)
    }
}

fn take(attributes: &[(String, String)], name: &str) -> Option<String> {
    attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
}

/// Reads the whole file.
pub fn parse(bytes: &[u8]) -> Result<Dump, DumpError> {
    let content = std::str::from_utf8(bytes).map_err(|error| DumpError::Xml {
        line: 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count(),
        reason: "the text is not UTF-8".to_owned(),
    })?;
    let mut reader = Reader::from_str(content);
    reader.config_mut().expand_empty_elements = true;
    let mut parser = Parser { bytes, reader };
    let mut dump = Dump { manifest: vec![], tables: vec![], database: Database::default() };
    let (mut changes, mut open, mut complete) = (Vec::new(), Vec::<String>::new(), false);
    loop {
        let begun = parser.offset();
        let event = match parser.reader.read_event() {
            Ok(event) => event,
            Err(error) => return Err(parser.xml(error)),
        };
        match event {
            Event::Start(tag) => {
                let name = tag.name().as_ref().to_owned();
                let path: Vec<&str> = open.iter().map(String::as_str).collect();
                let attributes = parser.attributes(&tag)?;
                match (path.as_slice(), name.as_str()) {
                    ([], "database") | (["database"], "manifest") => {}
                    (["database", "manifest"], "pair") => {
                        let pair = (take(&attributes, "key"), take(&attributes, "value"));
                        let (Some(key), Some(value)) = pair else {
                            return Err(parser.shape("a pair of the manifest without key or value"));
                        };
                        dump.manifest.push((key, value));
                    }
                    (["database"], "table") => {
                        let name = take(&attributes, "name")
                            .ok_or_else(|| parser.shape("a table without a name"))?;
                        dump.tables.push(RawTable { name, rows: Vec::new() });
                    }
                    (["database", "table"], "row") => {
                        let Some(table) = dump.tables.last_mut() else { continue };
                        changes.extend(row(&parser, table, attributes)?);
                    }
                    ([], other) => {
                        let why = format!("it begins with <{other}>, not with <database>");
                        return Err(parser.shape(why));
                    }
                    (_, other) => {
                        return Err(parser.shape(format!("<{other}> is not expected here")));
                    }
                }
                open.push(name);
            }
            Event::End(_) => {
                open.pop();
                complete |= open.is_empty();
            }
            Event::Text(words) if !words.trim().is_empty() => {
                let line = parser.line_at(begun + words.len() - words.trim_start().len());
                return Err(DumpError::Shape { line, reason: "text between the elements".into() });
            }
            Event::DocType(_) => return Err(parser.xml("a document type is refused")),
            Event::Eof => break,
            _ => {}
        }
    }
    if !complete {
        return Err(parser.shape("the file ends before </database>"));
    }
    dump.database.apply(&changes);
    Ok(dump)
}

/// Takes one row into its table; gives the change that makes it.
fn row(
    parser: &Parser<'_>,
    table: &mut RawTable,
    attributes: Vec<(String, String)>,
) -> Result<Option<Change>, DumpError> {
    let reference = take(&attributes, "ref")
        .or_else(|| take(&attributes, "_ref"))
        .ok_or_else(|| parser.shape(format!("a row of {} without a reference", table.name)))?;
    let mut fields: BTreeMap<String, Stored> = BTreeMap::new();
    for (name, raw) in attributes.iter().filter(|(name, _)| !NOT_FIELDS.contains(&name.as_str())) {
        let Some(field) = field_of(&table.name, name) else { continue };
        if relations::is_mirror(&table.name, &field.name) {
            continue;
        }
        let read = text::read(&text::unescape(raw), &field.ty);
        if read.is_none() && field.transient {
            // Computed by the server: one public dump holds a cut-off list here.
            continue;
        }
        let value = read.ok_or_else(|| DumpError::Field {
            line: parser.line(),
            class: table.name.clone(),
            reference: reference.clone(),
            field: name.clone(),
            ty: field.ty.name(),
        })?;
        fields.insert(field.name.clone(), Stored::from(&value));
    }
    if table.name == "VM" {
        upgrade_priority(&mut fields);
    }
    let change = Model::get().class(&table.name).map(|_| Change::Create {
        class: table.name.clone(),
        reference: reference.clone(),
        fields,
    });
    table.rows.push(RawRow { reference, attributes });
    Ok(change)
}

/// Old priorities 0 to 3 are `restart` with that order; `best-effort` has order 0; what else stands
/// there protects nothing.
fn upgrade_priority(fields: &mut BTreeMap<String, Stored>) {
    let Some(Stored::S(priority)) = fields.get("ha_restart_priority").cloned() else { return };
    let (priority, order) = match priority.as_str() {
        "0" | "1" | "2" | "3" => ("restart", priority.parse().ok()),
        "restart" => ("restart", None),
        "best-effort" => ("best-effort", Some(0)),
        _ => ("", None),
    };
    fields.insert("ha_restart_priority".to_owned(), Stored::from(&Value::from(priority)));
    if let Some(order) = order {
        fields.insert("order".to_owned(), Stored::I(order));
    }
}
