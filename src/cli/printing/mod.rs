//! What a command prints: tables, lists, messages; or one line with `--minimal`.

pub mod ha;
pub mod spelling;
pub mod table;

use std::io::{BufRead, Write};

use table::Record;

/// The three streams of a command, and how results are printed.
pub struct Console<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    input: &'a mut dyn BufRead,
    minimal: bool,
    buffer: Vec<String>,
    /// Whether stderr is a terminal (bars are drawn only there).
    pub terminal: bool,
    /// Whether a person sits at stdin, who may edit an answer.
    pub keyboard: bool,
}

impl<'a> Console<'a> {
    /// A console on three streams.
    pub fn new(
        out: &'a mut dyn Write,
        err: &'a mut dyn Write,
        input: &'a mut dyn BufRead,
        terminal: bool,
    ) -> Self {
        Self { out, err, input, minimal: false, buffer: Vec::new(), terminal, keyboard: false }
    }

    /// Switches to one line of values, joined by commas.
    pub fn set_minimal(&mut self, minimal: bool) {
        self.minimal = minimal;
    }

    /// Whether results are printed as one line.
    pub fn is_minimal(&self) -> bool {
        self.minimal
    }

    /// Records, one below the other; minimal: the first value of each.
    pub fn table(&mut self, records: &[Record]) {
        if !self.minimal {
            let text: String = records.iter().map(table::layout).collect();
            self.direct(&text);
        } else if let Some(values) = table::first_values(records) {
            self.keep(values);
        }
    }

    /// Results, one a line.
    pub fn list(&mut self, values: &[String]) {
        if self.minimal {
            self.keep(values.to_vec());
        } else {
            let text: String = values.iter().map(|value| format!("{value}\n")).collect();
            self.direct(&text);
        }
    }

    /// One result.
    pub fn result(&mut self, value: impl Into<String>) {
        self.list(&[value.into()]);
    }

    /// A free text for people; nothing when minimal.
    pub fn message(&mut self, text: &str) {
        if !self.minimal {
            self.direct(&format!("{text}\n"));
        }
    }

    /// Text straight to stdout, minimal or not.
    pub fn direct(&mut self, text: &str) {
        // A reader that has gone away is no reason to fail.
        let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
    }

    /// One line on stderr.
    pub fn note(&mut self, text: &str) {
        let _ = writeln!(self.err, "{text}").and_then(|()| self.err.flush());
    }

    /// Bytes straight to stdout.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let _ = self.out.write_all(bytes).and_then(|()| self.out.flush());
    }

    /// One line of stdin without its end; nothing at the end of the input.
    pub fn line(&mut self) -> Option<String> {
        if self.keyboard {
            let prompt = dialoguer::Input::<String>::new().allow_empty(true);
            return prompt.interact_text().ok();
        }
        let mut line = String::new();
        match self.input.read_line(&mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(line.trim_end_matches(['\n', '\r']).to_owned()),
        }
    }

    /// Has a person at a terminal choose; nothing without one, or when nothing is chosen. What is
    /// read from a pipe must be one of the choices as it stands.
    pub fn choose(&mut self, question: &str, choices: &[&str]) -> Option<usize> {
        if !self.terminal {
            return None;
        }
        if self.keyboard {
            let select = dialoguer::Select::new().with_prompt(question).items(choices).default(0);
            return select.interact_opt().ok().flatten();
        }
        self.note(&format!("{question} ({})", choices.join(", ")));
        let answer = self.line()?;
        choices.iter().position(|choice| *choice == answer.trim())
    }

    /// Several prints of one command come out last first.
    fn keep(&mut self, mut values: Vec<String>) {
        values.append(&mut self.buffer);
        self.buffer = values;
    }

    /// Prints what minimal has kept back: one line, also when there is nothing.
    pub fn flush_minimal(&mut self) {
        if self.minimal {
            let values: Vec<String> =
                self.buffer.drain(..).map(|value| table::escape(&value)).collect();
            self.direct(&format!("{}\n", values.join(",")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(minimal: bool, act: impl FnOnce(&mut Console<'_>)) -> String {
        let (mut out, mut err, mut input) = (Vec::new(), Vec::new(), std::io::empty());
        let mut console = Console::new(&mut out, &mut err, &mut input, false);
        console.set_minimal(minimal);
        act(&mut console);
        console.flush_minimal();
        String::from_utf8(out).unwrap()
    }

    fn record(pairs: &[(&str, &str)]) -> Record {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn minimal_takes_first_values_and_escapes_them() {
        let text = printed(true, |console| {
            console.table(&[record(&[("uuid ( RO)", "a,b"), ("x", "1")]), record(&[("u", "c\\")])]);
        });
        assert_eq!(text, "a\\,b,c\\\\\n");
    }

    #[test]
    fn minimal_without_results_is_one_newline_and_drops_messages() {
        assert_eq!(printed(true, |console| console.message("true")), "\n");
        assert_eq!(printed(true, |console| console.table(&[])), "\n");
    }

    #[test]
    fn minimal_drops_a_table_that_has_an_empty_record() {
        let text = printed(true, |console| {
            console.table(&[record(&[("uuid ( RO)", "a")]), Vec::new()]);
        });
        assert_eq!(text, "\n");
    }

    #[test]
    fn minimal_prints_come_out_in_reverse_order() {
        let text = printed(true, |console| {
            console.result("vbd0");
            console.list(&["a".to_owned(), "b".to_owned()]);
            console.direct("straight\n");
        });
        assert_eq!(text, "straight\na,b,vbd0\n");
    }

    #[test]
    fn without_minimal_lists_have_one_value_a_line() {
        let text = printed(false, |console| console.list(&["a,b".to_owned(), "c".to_owned()]));
        assert_eq!(text, "a,b\nc\n");
        assert_eq!(printed(false, |console| console.table(&[])), "");
    }
}
