//! The manual page, made from the command table.

use std::io;

use super::commands::entry::{self, Entry};
use super::commands::table::Kind;
use super::help::USAGE;
use super::tree;

/// The page `xe.1`.
///
/// Errors: only those of writing to memory, which do not happen.
pub fn page() -> io::Result<String> {
    let man = clap_mangen::Man::new(tree::whole()).section("1").manual("xe");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    let mut text = String::from_utf8_lossy(&page).into_owned();
    text.push_str(&format!(".SH SYNOPSIS\n.nf\n{}\n.fi\n", escaped(USAGE)));
    text.push_str(".SH DESCRIPTION\n");
    text.push_str(&paragraph(
        "A command is a name, words of the form name=value, and flags of the form --name, which \
         mean name=true. Results go to stdout, errors to stderr; the exit code is 0 when all went \
         well. Lists show records; --minimal shows their first values on one line.",
    ));
    text.push_str(".SH COMMANDS\n");
    let mut entries: Vec<Entry> = entry::all()
        .filter(|entry| !entry.is_hidden() && matches!(entry, Entry::Single(_)))
        .collect();
    entries.sort_by_key(Entry::name);
    text.extend(entries.iter().map(section));
    text.push_str(".SH RECORDS\n");
    text.push_str(&paragraph(
        "Every class below has CLASS-list, CLASS-param-list and CLASS-param-get; where fields \
         can be changed also CLASS-param-set, -add, -remove and -clear.",
    ));
    for class in super::records::CLASSES {
        let names: Vec<String> =
            class.shown(Some("all")).iter().map(|field| field.label()).collect();
        text.push_str(&format!(".TP\n.B {}\n{}\n", class.name, escaped(&names.join(", "))));
    }
    text.push_str(".SH SETTINGS\n");
    text.push_str(&paragraph(
        "These keys of other-config are settings, as in \
         'xe pool-param-set uuid=UUID other-config:xe-vms-per-host=20'.",
    ));
    for setting in crate::xenapi::settings::SETTINGS {
        let key = format!("{} other-config:{}", setting.class.to_lowercase(), setting.key);
        text.push_str(&format!(".TP\n.B {}\n{}\n", escaped(&key), escaped(setting.meaning)));
    }
    text.push_str(".SH FILES\n.TP\n.I ~/.xe\nWords of the form name=value, one a line.\n");
    text.push_str(".SH ENVIRONMENT\n.TP\n.B XE_EXTRA_ARGS\nWords with commas between.\n");
    text.push_str(".TP\n.B XE_SOCKET\nThe agent's socket, if it is not the usual one.\n");
    Ok(text)
}

fn section(entry: &Entry) -> String {
    let words: Vec<String> = entry
        .parameters()
        .iter()
        .map(|parameter| {
            let word = match parameter.kind {
                Kind::Map => format!("{}:key=", parameter.name),
                _ => format!("{}=", parameter.name),
            };
            if parameter.required { word } else { format!("[{word}]") }
        })
        .collect();
    let mut text = format!(".TP\n.B {}\n", escaped(&entry.name()));
    if !words.is_empty() {
        text.push_str(&format!("{}\n.br\n", escaped(&words.join(" "))));
    }
    text.push_str(&format!("{}\n", escaped(&entry.help())));
    text
}

fn paragraph(text: &str) -> String {
    format!(".PP\n{}\n", escaped(text))
}

/// Text that roff does not take for a request.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('-', "\\-");
    let lines = text.lines().map(|line| match line.chars().next() {
        Some('.' | '\'') => format!("\\&{line}"),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}
