//! Values and text as XML.

use super::Value;

pub(super) fn escape(text: &str, out: &mut String) {
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

pub(super) fn write_value(value: &Value, out: &mut String) {
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
