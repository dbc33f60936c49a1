//! The error codes of the data model with the names of their parameters.

use std::collections::HashMap;
use std::sync::OnceLock;

/// The names of a code's parameters in order; none when the data model does not know the code.
pub fn parameters(code: &str) -> Option<&'static [&'static str]> {
    static CODES: OnceLock<HashMap<&'static str, Vec<&'static str>>> = OnceLock::new();
    CODES
        .get_or_init(|| {
            include_str!("model/errors.model")
                .lines()
                .map(|line| match line.split_once(' ') {
                    Some((code, names)) => (code, names.split('|').collect()),
                    None => (line, Vec::new()),
                })
                .collect()
        })
        .get(code)
        .map(Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_parameters_in_order() {
        assert_eq!(parameters("MAP_DUPLICATE_KEY").unwrap().len(), 4);
        assert_eq!(parameters("HA_IS_ENABLED"), Some(&[][..]));
        assert_eq!(parameters("UUID_INVALID"), Some(&["type", "uuid"][..]));
        assert_eq!(parameters("SR_BACKEND_FAILURE_40"), None);
    }
}
