//! XML-RPC documents as XenAPI writes them.
//!
//! Integers go out as plain text, dates as `20260101T00:00:00Z`, and every answer is a record
//! `{Status, Value}` or `{Status, ErrorDescription}`. Reading is bounded: depth, size and number of
//! values have limits, and entities other than the five of XML itself are refused.

mod write;

use super::{Failure, Value};
use quick_xml::Reader;
use quick_xml::events::Event;
use std::collections::BTreeMap;
use write::{escape, write_value};

/// How deep values may nest.
const MAX_DEPTH: usize = 32;
/// How many values one document may hold; a pool of 64 hosts and 5,000 VMs needs under a million.
const MAX_VALUES: usize = 8_000_000;
/// The largest document taken, in bytes.
pub const MAX_BYTES: usize = 256 << 20;

/// Why a document is no XML-RPC.
#[derive(Debug, thiserror::Error)]
pub enum XmlRpcError {
    /// It is not well-formed.
    #[error("not well-formed XML at byte {at}: {reason}")]
    Xml {
        /// Where.
        at: u64,
        /// What the parser says.
        reason: String,
    },
    /// It is well-formed but something else.
    #[error("not an XML-RPC document at byte {at}: {reason}")]
    Shape {
        /// Where.
        at: u64,
        /// What was expected.
        reason: &'static str,
    },
    /// It is deeper, larger or fuller than the limits allow.
    #[error("an XML-RPC document beyond the limits: {0}")]
    TooMuch(&'static str),
}

/// Writes a call.
pub fn encode_call(method: &str, params: &[Value]) -> Vec<u8> {
    let mut out = String::with_capacity(256);
    out.push_str("<?xml version=\"1.0\"?>\n<methodCall><methodName>");
    escape(method, &mut out);
    out.push_str("</methodName><params>");
    for param in params {
        out.push_str("<param>");
        write_value(param, &mut out);
        out.push_str("</param>");
    }
    out.push_str("</params></methodCall>\n");
    out.into_bytes()
}

/// Writes an answer.
pub fn encode_response(answer: &Result<Value, Failure>) -> Vec<u8> {
    let mut record = BTreeMap::new();
    match answer {
        Ok(value) => {
            record.insert("Status".to_owned(), Value::from("Success"));
            record.insert("Value".to_owned(), value.clone());
        }
        Err(failure) => {
            let words = std::iter::once(&failure.code).chain(&failure.params);
            record.insert("Status".to_owned(), Value::from("Failure"));
            record.insert("ErrorDescription".to_owned(), Value::text_set(words.cloned()));
        }
    }
    let mut out = String::with_capacity(256);
    out.push_str("<?xml version=\"1.0\"?>\n<methodResponse><params><param>");
    write_value(&Value::Struct(record), &mut out);
    out.push_str("</param></params></methodResponse>\n");
    out.into_bytes()
}

/// Writes one value alone, as the results of tasks hold it.
pub fn encode_value(value: &Value) -> String {
    let mut out = String::new();
    write_value(value, &mut out);
    out
}

/// Reads what [`encode_value`] wrote.
pub fn decode_value(text: &str) -> Result<Value, XmlRpcError> {
    Parser::new(text.as_bytes())?.value()
}

/// Reads a call: the method and its parameters.
pub fn decode_call(bytes: &[u8]) -> Result<(String, Vec<Value>), XmlRpcError> {
    let mut parser = Parser::new(bytes)?;
    parser.open("methodCall")?;
    let method = parser.text_of("methodName")?;
    let mut params = Vec::new();
    match parser.next()? {
        Token::Open(name) if name == "params" => loop {
            match parser.next()? {
                Token::Open(name) if name == "param" => {
                    params.push(parser.value()?);
                    parser.close()?;
                }
                Token::Close => break,
                _ => return Err(parser.shape("a parameter")),
            }
        },
        Token::Close => return Ok((method, params)),
        _ => return Err(parser.shape("parameters")),
    }
    Ok((method, params))
}

/// Reads an answer: the value, or the failure that the server reported.
pub fn decode_response(bytes: &[u8]) -> Result<Result<Value, Failure>, XmlRpcError> {
    let mut parser = Parser::new(bytes)?;
    parser.open("methodResponse")?;
    match parser.next()? {
        Token::Open(name) if name == "params" => parser.open("param")?,
        Token::Open(name) if name == "fault" => {
            let fault = parser.value()?;
            let text = fault.get("faultString").and_then(Value::as_str).unwrap_or("").to_owned();
            return Ok(Err(Failure::internal(text)));
        }
        _ => return Err(parser.shape("a result")),
    }
    let Value::Struct(mut record) = parser.value()? else {
        return Err(parser.shape("a record with a Status"));
    };
    match record.get("Status").and_then(Value::as_str) {
        Some("Success") => Ok(Ok(record.remove("Value").unwrap_or_else(Value::void))),
        Some("Failure") => {
            let words = record.get("ErrorDescription").and_then(Value::as_array).unwrap_or(&[]);
            let mut words = words.iter().filter_map(Value::as_str).map(str::to_owned);
            let code = words.next().unwrap_or_else(|| "INTERNAL_ERROR".to_owned());
            Ok(Err(Failure { code, params: words.collect() }))
        }
        _ => Err(parser.shape("a Status")),
    }
}

enum Token {
    Open(String),
    Close,
    Text(String),
    End,
}

struct Parser<'a> {
    reader: Reader<&'a [u8]>,
    ahead: Option<Token>,
    values: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, XmlRpcError> {
        if bytes.len() > MAX_BYTES {
            return Err(XmlRpcError::TooMuch("too many bytes"));
        }
        let text = std::str::from_utf8(bytes).map_err(|reason| XmlRpcError::Xml {
            at: reason.valid_up_to() as u64,
            reason: reason.to_string(),
        })?;
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        Ok(Self { reader, ahead: None, values: 0, depth: 0 })
    }

    fn shape(&self, reason: &'static str) -> XmlRpcError {
        XmlRpcError::Shape { at: self.reader.buffer_position(), reason }
    }

    fn bad_xml(&self, reason: impl ToString) -> XmlRpcError {
        XmlRpcError::Xml { at: self.reader.buffer_position(), reason: reason.to_string() }
    }

    /// The next token, with runs of text joined and blank text between elements left in.
    fn raw(&mut self) -> Result<Token, XmlRpcError> {
        if let Some(token) = self.ahead.take() {
            return Ok(token);
        }
        let mut text = String::new();
        loop {
            let event = match self.reader.read_event() {
                Ok(event) => event,
                Err(reason) => return Err(self.bad_xml(reason)),
            };
            let token = match event {
                Event::Text(part) => {
                    text.push_str(&part);
                    continue;
                }
                Event::CData(part) => {
                    text.push_str(&part);
                    continue;
                }
                Event::GeneralRef(name) => {
                    text.push(entity(&name).ok_or_else(|| self.bad_xml("an unknown entity"))?);
                    continue;
                }
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => continue,
                Event::DocType(_) => return Err(self.bad_xml("a document type is refused")),
                Event::Start(tag) => Token::Open(tag.name().as_ref().to_owned()),
                Event::Empty(_) => return Err(self.shape("an expanded element")),
                Event::End(_) => Token::Close,
                Event::Eof => Token::End,
            };
            if text.is_empty() {
                return Ok(token);
            }
            self.ahead = Some(token);
            return Ok(Token::Text(text));
        }
    }

    /// The next token where only elements may stand.
    fn next(&mut self) -> Result<Token, XmlRpcError> {
        loop {
            match self.raw()? {
                Token::Text(text) if text.trim().is_empty() => {}
                Token::Text(_) => return Err(self.shape("an element, not text")),
                token => return Ok(token),
            }
        }
    }

    fn open(&mut self, wanted: &'static str) -> Result<(), XmlRpcError> {
        match self.next()? {
            Token::Open(name) if name == wanted => Ok(()),
            _ => Err(self.shape(wanted)),
        }
    }

    fn close(&mut self) -> Result<(), XmlRpcError> {
        match self.next()? {
            Token::Close => Ok(()),
            _ => Err(self.shape("the end of an element")),
        }
    }

    fn text_of(&mut self, wanted: &'static str) -> Result<String, XmlRpcError> {
        self.open(wanted)?;
        self.text()
    }

    /// Text up to the end of the element that is open.
    fn text(&mut self) -> Result<String, XmlRpcError> {
        match self.raw()? {
            Token::Close => Ok(String::new()),
            Token::Text(text) => match self.raw()? {
                Token::Close => Ok(text),
                _ => Err(self.shape("the end of an element")),
            },
            _ => Err(self.shape("text")),
        }
    }

    fn value(&mut self) -> Result<Value, XmlRpcError> {
        self.open("value")?;
        self.inside_value()
    }

    fn inside_value(&mut self) -> Result<Value, XmlRpcError> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(XmlRpcError::TooMuch("too many values"));
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(XmlRpcError::TooMuch("values nested too deep"));
        }
        let value = match self.raw()? {
            Token::Close => {
                self.depth -= 1;
                return Ok(Value::void());
            }
            Token::Text(text) => match self.raw()? {
                Token::Close => {
                    self.depth -= 1;
                    return Ok(Value::String(text));
                }
                Token::Open(name) if text.trim().is_empty() => self.typed(&name)?,
                _ => return Err(self.shape("a value")),
            },
            Token::Open(name) => self.typed(&name)?,
            Token::End => return Err(self.shape("a value")),
        };
        self.close()?;
        self.depth -= 1;
        Ok(value)
    }

    fn typed(&mut self, name: &str) -> Result<Value, XmlRpcError> {
        Ok(match name {
            "string" => Value::String(self.text()?),
            "int" | "i4" | "i8" => match self.text()?.trim().parse() {
                Ok(number) => Value::Int(number),
                Err(_) => return Err(self.shape("an integer")),
            },
            "boolean" => match self.text()?.trim() {
                "1" | "true" => Value::Bool(true),
                "0" | "false" => Value::Bool(false),
                _ => return Err(self.shape("a boolean")),
            },
            "double" => match self.text()?.trim().parse() {
                Ok(number) => Value::Float(number),
                Err(_) => return Err(self.shape("a double")),
            },
            "dateTime.iso8601" => Value::DateTime(self.text()?.trim().to_owned()),
            "nil" => {
                self.close()?;
                Value::void()
            }
            "array" => self.array()?,
            "struct" => self.record()?,
            _ => return Err(self.shape("a type of value")),
        })
    }

    fn array(&mut self) -> Result<Value, XmlRpcError> {
        self.open("data")?;
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Token::Open(name) if name == "value" => items.push(self.inside_value()?),
                Token::Close => break,
                _ => return Err(self.shape("a value of an array")),
            }
        }
        self.close()?;
        Ok(Value::Array(items))
    }

    fn record(&mut self) -> Result<Value, XmlRpcError> {
        let mut entries = BTreeMap::new();
        loop {
            match self.next()? {
                Token::Open(name) if name == "member" => {
                    let name = self.text_of("name")?;
                    let value = self.value()?;
                    self.close()?;
                    entries.insert(name, value);
                }
                Token::Close => return Ok(Value::Struct(entries)),
                _ => return Err(self.shape("a member of a struct")),
            }
        }
    }
}

/// The five entities of XML and character references; nothing else is ever expanded.
fn entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let digits = name.strip_prefix('#')?;
            let code = match digits.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => digits.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod tests;
