//! A reader and a comparer of XML of our own, for dumps: tags and attributes, nothing else.

/// An element with its attributes and the elements in it.
#[derive(Debug, Clone, Default)]
pub struct Element {
    /// Its name.
    pub name: String,
    /// Its attributes in order; references resolved, blanks normalised as XML asks.
    pub attributes: Vec<(String, String)>,
    /// The elements in it.
    pub children: Vec<Element>,
}

impl Element {
    /// An attribute as it stands.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The rows of a table of a dump.
    pub fn table(&self, name: &str) -> &[Element] {
        let tables = self.children.iter().filter(|child| child.name == "table");
        let found = tables.into_iter().find(|table| table.raw("name") == Some(name));
        found.map_or(&[], |table| &table.children)
    }
}

fn resolved(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['&', '\r', '\n', '\t']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if !rest.starts_with('&') {
            let end = if rest.starts_with("\r\n") { 2 } else { 1 };
            out.push(' ');
            rest = &rest[end..];
            continue;
        }
        let end = rest.find(';').expect("a reference ends");
        let name = &rest[1..end];
        out.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let digits = name.strip_prefix('#').expect("a known reference");
                let code = match digits.strip_prefix('x') {
                    Some(hex) => u32::from_str_radix(hex, 16),
                    None => digits.parse(),
                };
                char::from_u32(code.unwrap()).unwrap()
            }
        });
        rest = &rest[end + 1..];
    }
    out + rest
}

fn attributes(mut text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    while let Some((name, rest)) = text.split_once('=') {
        let rest = rest.trim_start();
        let quote = rest.chars().next().unwrap();
        assert!(quote == '"' || quote == '\'', "an attribute without quotes: {name}");
        let (value, rest) = rest[1..].split_once(quote).unwrap();
        found.push((name.trim().to_owned(), resolved(value)));
        text = rest;
    }
    found
}

/// Reads a whole document.
pub fn parse(text: &str) -> Element {
    let mut open = vec![Element::default()];
    let mut rest = text;
    while let Some(begin) = rest.find('<') {
        assert!(rest[..begin].trim().is_empty(), "text between elements: {}", &rest[..begin]);
        let end = rest.find('>').expect("a tag ends");
        let tag = &rest[begin + 1..end];
        rest = &rest[end + 1..];
        if tag.starts_with('?') {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            let done = open.pop().unwrap();
            assert_eq!(done.name, name.trim());
            open.last_mut().unwrap().children.push(done);
            continue;
        }
        let inside = tag.trim_end_matches('/');
        let (name, words) = inside.split_once(char::is_whitespace).unwrap_or((inside, ""));
        let name = name.to_owned();
        let element = Element { name, attributes: attributes(words), children: Vec::new() };
        if tag.ends_with('/') {
            open.last_mut().unwrap().children.push(element);
        } else {
            open.push(element);
        }
    }
    assert!(rest.trim().is_empty() && open.len() == 1, "the document is whole");
    open.pop().unwrap().children.pop().unwrap()
}

/// The `%` escapes of a dump undone.
pub fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let known = match rest[at + 1..].chars().next() {
            Some('.') => " ",
            Some('_') => "  ",
            Some('t') => "\t",
            Some('n') => "\n",
            Some('r') => "\r",
            Some('%') => "%",
            _ => "",
        };
        out.push_str(if known.is_empty() { "%" } else { known });
        rest = &rest[at + if known.is_empty() { 1 } else { 2 }..];
    }
    out + rest
}

/// Every difference of two elements, each as a line.
pub fn differences(left: &Element, right: &Element) -> Vec<String> {
    let mut found = Vec::new();
    compare("", left, right, &mut found);
    found
}

fn compare(path: &str, left: &Element, right: &Element, found: &mut Vec<String>) {
    let name = left.raw("ref").or(left.raw("name")).or(left.raw("key")).unwrap_or("");
    let path = format!("{path}/{}[{name}]", left.name);
    if left.name != right.name {
        found.push(format!("{path}: <{}> became <{}>", left.name, right.name));
        return;
    }
    for (key, value) in &left.attributes {
        match right.raw(key) {
            Some(other) if plain(other) == plain(value) => {}
            other => found.push(format!("{path}@{key}: {value:?} became {other:?}")),
        }
    }
    for (key, value) in &right.attributes {
        if left.raw(key).is_none() {
            found.push(format!("{path}@{key}: {value:?} is new"));
        }
    }
    if left.children.len() != right.children.len() {
        let (before, after) = (left.children.len(), right.children.len());
        found.push(format!("{path}: {before} elements became {after}"));
    }
    for (one, other) in left.children.iter().zip(&right.children) {
        compare(&path, one, other, found);
    }
}
