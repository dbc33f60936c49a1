//! XML-RPC documents as XenAPI writes them.
//!
//! Integers go out as plain text, dates as `20260101T00:00:00Z`, and every answer is a record
//! `{Status, Value}` or `{Status, ErrorDescription}`. Reading is bounded: depth, size and number of
//! values have limits, and entities other than the five of XML itself are refused.

use super::{Failure, Value};
use quick_xml::Reader;
use quick_xml::events::Event;
use std::collections::BTreeMap;

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

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // A bare carriage return would be read back as a newline.
            '\r' => out.push_str("&#13;"),
            // XML has no form for the other control characters.
            c if c < ' ' && c != '\n' && c != '\t' => out.push('\u{fffd}'),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}

fn write_value(value: &Value, out: &mut String) {
    out.push_str("<value>");
    match value {
        Value::String(text) => escape(text, out),
        Value::Int(number) => out.push_str(&number.to_string()),
        Value::Bool(flag) => {
            out.push_str("<boolean>");
            out.push(if *flag { '1' } else { '0' });
            out.push_str("</boolean>");
        }
        Value::Float(number) => {
            out.push_str("<double>");
            out.push_str(&number.to_string());
            out.push_str("</double>");
        }
        Value::DateTime(date) => {
            out.push_str("<dateTime.iso8601>");
            escape(date, out);
            out.push_str("</dateTime.iso8601>");
        }
        Value::Array(items) => {
            out.push_str("<array><data>");
            for item in items {
                write_value(item, out);
            }
            out.push_str("</data></array>");
        }
        Value::Struct(entries) => {
            out.push_str("<struct>");
            for (name, entry) in entries {
                out.push_str("<member><name>");
                escape(name, out);
                out.push_str("</name>");
                write_value(entry, out);
                out.push_str("</member>");
            }
            out.push_str("</struct>");
        }
    }
    out.push_str("</value>");
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let text = "[ -~\n\tä\u{1f600}]{0,12}";
        let leaf = prop_oneof![
            text.prop_map(Value::String),
            any::<bool>().prop_map(Value::Bool),
            (-1.0e9..1.0e9f64).prop_map(Value::Float),
            Just(Value::DateTime("20260101T00:00:00Z".to_owned())),
        ];
        leaf.prop_recursive(4, 64, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                prop::collection::btree_map("[a-z&<>]{0,6}", inner, 0..6).prop_map(Value::Struct),
            ]
        })
    }

    proptest! {
        #[test]
        fn calls_come_back_as_they_went(params in prop::collection::vec(any_value(), 0..4)) {
            let bytes = encode_call("VM.get_all", &params);
            let (method, back) = decode_call(&bytes).unwrap();
            prop_assert_eq!(method, "VM.get_all");
            prop_assert_eq!(back, params);
        }

        #[test]
        fn answers_come_back_as_they_went(value in any_value()) {
            let bytes = encode_response(&Ok(value.clone()));
            prop_assert_eq!(decode_response(&bytes).unwrap().unwrap(), value);
        }
    }

    #[test]
    fn ten_thousand_mutated_documents_never_panic() {
        let record = Value::text_map([("name", "a&b"), ("uuid", "x")]);
        let whole = encode_call("VM.create", &["session".into(), record, Value::Bool(true)]);
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % below as u64).unwrap()
        };
        let mut refused = 0;
        for _ in 0..10_000 {
            let mut bytes = whole.clone();
            for _ in 0..=random(4) {
                if bytes.is_empty() {
                    break;
                }
                let at = random(bytes.len());
                match random(4) {
                    0 => bytes[at] = u8::try_from(random(256)).unwrap(),
                    1 => {
                        bytes.remove(at);
                    }
                    2 => bytes.insert(at, b"<>/&;v"[random(6)]),
                    _ => bytes.truncate(at.max(1)),
                }
            }
            refused += usize::from(decode_call(&bytes).is_err());
            let _ = decode_response(&bytes);
        }
        assert!(refused > 2_000, "mutations must be noticed, {refused} were");
    }

    #[test]
    fn limits_hold() {
        let deep = format!("{}{}", "<value><array><data>".repeat(40), "<value>x</value>");
        let call = format!("<methodCall><methodName>m</methodName><params><param>{deep}");
        assert!(matches!(decode_call(call.as_bytes()), Err(XmlRpcError::TooMuch(_))));
        let entity = "<!DOCTYPE x [<!ENTITY a \"b\">]><methodCall/>";
        assert!(decode_call(entity.as_bytes()).is_err());
        let unknown = "<methodCall><methodName>a&b;</methodName></methodCall>";
        assert!(decode_call(unknown.as_bytes()).is_err());
    }

    #[test]
    fn integers_travel_as_text_and_failures_as_lists() {
        let bytes = encode_response(&Ok(Value::Int(1 << 40)));
        assert!(String::from_utf8_lossy(&bytes).contains("<value>1099511627776</value>"));
        let failure = Failure::new("UUID_INVALID", ["VM", "x"]);
        let bytes = encode_response(&Err(failure.clone()));
        assert_eq!(decode_response(&bytes).unwrap(), Err(failure));
    }
}
