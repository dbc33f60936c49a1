//! Commands that pick their objects by words: `vm=`, `host=`, `sr=`, and field filters.

use super::context::Context;
use super::table::{Outcome, Selector};
use crate::cli::errors::{CliError, explain};
use crate::cli::records::filter::{is_filter, keep};
use crate::cli::records::{Class, Row, Rows, host, sr, vm};
use crate::xenapi::codes;

impl Selector {
    fn class(self) -> &'static Class {
        match self {
            Self::Vms { .. } => &vm::VM,
            Self::Hosts => &host::HOST,
            Self::Srs => &sr::SR,
        }
    }

    /// The word that names an object directly.
    pub fn word(self) -> &'static str {
        self.class().name
    }

    /// The fields that this word may match.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Vms { .. } | Self::Srs => &["uuid", "name_label"],
            Self::Hosts => &["uuid", "hostname", "name_label"],
        }
    }

    fn none_found(self) -> CliError {
        CliError::text(match self {
            Self::Vms { .. } => "No matching VMs found",
            // The peer says hosts also of storage.
            Self::Hosts | Self::Srs => "No matching hosts found",
        })
    }

    fn several_found(self, may_be_several: bool) -> CliError {
        let (found, one) = match self {
            Self::Vms { .. } => ("Multiple matches VMs found.", "VM"),
            Self::Hosts => ("Multiple matching hosts found.", "host"),
            Self::Srs => ("Multiple matching SRs found.", "SR"),
        };
        CliError::text(if may_be_several {
            format!("{found} --multiple required to complete the operation")
        } else {
            format!("{found} Operation can only be performed on one {one} at a time")
        })
    }
}

impl Context<'_, '_> {
    /// The objects that the words pick; without a word: all.
    pub fn select(&self, selector: Selector) -> Result<Vec<Row>, CliError> {
        let rows = Rows::new(self.session, selector.class());
        let mut left = rows.all()?;
        if let Selector::Vms { control_domains, templates } = selector {
            for (field, allowed) in
                [("is-control-domain", control_domains), ("is-a-template", templates)]
            {
                if !allowed {
                    left = keep(&rows, left, field, "false")?;
                }
            }
        }
        let (word, fields) = (selector.word(), selector.names());
        for param in self.params.all() {
            let base = param.key.split(':').next().unwrap_or("");
            if param.key == word {
                left.retain(|row| fields.iter().any(|field| row.text(field) == param.value));
            } else if is_filter(&param.key) && !self.is_own(base) {
                left = keep(&rows, left, &param.key, &param.value)?;
            }
        }
        Ok(left)
    }

    fn is_own(&self, name: &str) -> bool {
        self.own.iter().any(|own| own == name)
    }

    /// The one object that the words pick.
    pub fn select_one(&self, selector: Selector) -> Result<Row, CliError> {
        let mut rows = self.select(selector)?;
        match (rows.pop(), rows.is_empty()) {
            (None, _) => Err(selector.none_found()),
            (Some(_), false) => Err(selector.several_found(false)),
            (Some(row), true) => Ok(row),
        }
    }

    /// Does something with every picked object. More than one need `--multiple`; then all are
    /// tried and the failures reported at the end.
    pub fn on_each<T>(
        &mut self,
        selector: Selector,
        mut act: impl FnMut(&mut Self, &Row) -> Result<T, CliError>,
    ) -> Result<Vec<T>, CliError> {
        let rows = self.select(selector)?;
        match rows.as_slice() {
            [] => return Err(selector.none_found()),
            [row] => return self.acted(selector, row, &mut act).map(|done| vec![done]),
            _ if self.params.flag("multiple", false)? => {}
            _ => return Err(selector.several_found(true)),
        }
        let (mut done, mut failures) = (Vec::new(), Vec::new());
        for row in &rows {
            match self.acted(selector, row, &mut act) {
                Ok(result) => done.push(result),
                Err(CliError::Exit(code)) => return Err(CliError::Exit(code)),
                Err(error) => failures.push((row.text("uuid").to_owned(), error)),
            }
        }
        if failures.is_empty() {
            return Ok(done);
        }
        for (uuid, error) in failures.into_iter().rev() {
            self.report(&uuid, error);
        }
        Err(CliError::Exit(1))
    }

    fn acted<T>(
        &mut self,
        selector: Selector,
        row: &Row,
        act: &mut impl FnMut(&mut Self, &Row) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        let since = super::messages::now();
        let done = act(self, row)?;
        if matches!(selector, Selector::Vms { .. }) {
            self.show_messages(row.text("uuid"), &since)?;
        }
        Ok(done)
    }

    /// One failure of several, on stdout.
    fn report(&mut self, uuid: &str, error: CliError) {
        let (message, params) = match error {
            CliError::Server(failure) => codes::parts(&explain::references(self.session, failure)),
            CliError::Text(text) => (text, Vec::new()),
            other => (other.to_string(), Vec::new()),
        };
        let lines: Vec<String> =
            params.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        self.console
            .direct(&format!("operation failed on {uuid}: {message}\n{}\n", lines.join("\n")));
    }

    /// The same for a call without parameters of its own.
    pub fn call_on_each(&mut self, selector: Selector, method: &str) -> Outcome {
        self.on_each(selector, |ctx, row| ctx.call(method, &[row.reference.as_str().into()]))?;
        Ok(())
    }
}
