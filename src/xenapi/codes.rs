//! The error codes of the API: our sentence and the names of the parameters.
//!
//! The table is text, one code a line: `CODE | parameter, names | sentence`. Codes without a
//! sentence of ours get the general one. It is read only when something has gone wrong.

use super::Failure;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// What is known of a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// Our sentence; empty when there is none.
    pub sentence: &'static str,
    /// The names of its parameters, in order.
    pub params: Vec<&'static str>,
}

const TABLE: &str = include_str!("codes.txt");

fn lines() -> impl Iterator<Item = (&'static str, Code)> {
    TABLE.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).filter_map(|line| {
        let mut parts = line.splitn(3, '|').map(str::trim);
        let (code, params, sentence) = (parts.next()?, parts.next()?, parts.next()?);
        let params = params.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        Some((code, Code { sentence, params }))
    })
}

/// What is known of a code; nothing for one that is not in the data model.
pub fn find(code: &str) -> Option<&'static Code> {
    static CODES: OnceLock<BTreeMap<&'static str, Code>> = OnceLock::new();
    CODES.get_or_init(|| lines().collect()).get(code)
}

/// The first line, and the named parameters of a known code.
pub fn parts(failure: &Failure) -> (String, Vec<(String, String)>) {
    let Some(code) = find(&failure.code) else {
        let text = format!(
            "Error code: {}\nError parameters: {}",
            failure.code,
            failure.params.join(", ")
        );
        return (text, Vec::new());
    };
    let sentence = if code.sentence.is_empty() {
        format!("The server reported {}.", failure.code)
    } else {
        let values = failure.params.iter().enumerate();
        values.fold(code.sentence.to_owned(), |text, (at, value)| {
            text.replace(&format!("{{{at}}}"), value)
        })
    };
    (sentence, named(&failure.code, &code.params, &failure.params))
}

/// Values without a name are `<extra>`, names without a value get `<unknown>`.
fn named(code: &str, names: &[&str], values: &[String]) -> Vec<(String, String)> {
    // Every value of this code is a VM, however many there are.
    let all_vms = code == "VMS_FAILED_TO_COOPERATE";
    // A name that ends so is of ours: another server does not say it, and nothing is missing then.
    let needed = names.iter().filter(|name| !name.ends_with('?')).count();
    let count = if all_vms { values.len() } else { needed.max(values.len()) };
    (0..count)
        .map(|at| {
            let name = if all_vms {
                "VM"
            } else {
                names.get(at).map_or("<extra>", |name| name.trim_end_matches('?'))
            };
            let value = values.get(at).map_or("<unknown>", String::as_str);
            (name.to_owned(), value.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read_once_and_in_order() {
        let names: Vec<&str> = lines().map(|(name, _)| name).collect();
        let written = TABLE.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).count();
        assert_eq!(names.len(), written);
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "sorted, no code twice");
    }

    #[test]
    fn every_ha_host_vm_and_sr_code_has_a_sentence() {
        for (name, code) in lines() {
            let ours = ["HA_", "HOST_", "VM_", "SR_", "SESSION_", "MESSAGE_"];
            if ours.iter().any(|prefix| name.starts_with(prefix)) {
                assert!(code.sentence.ends_with('.'), "{name} has no sentence");
            }
        }
    }

    #[test]
    fn parameters_come_in_order() {
        let code = find("MAP_DUPLICATE_KEY").unwrap();
        assert_eq!(code.params, ["type", "param_name", "uuid", "key"]);
        assert!(find("SR_BACKEND_FAILURE_40").is_none());
    }
}
