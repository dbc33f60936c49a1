//! Values that parameters may have: booleans and sizes.

use crate::cli::errors::CliError;

/// A boolean parameter: `true t yes y 1` or `false f no n 0`, any case.
pub fn boolean(name: &str, text: &str) -> Result<bool, CliError> {
    match text.to_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => Ok(true),
        "false" | "f" | "no" | "n" | "0" => Ok(false),
        _ => Err(CliError::Text(format!(
            "Failed to parse parameter '{name}': Expected \
             'true','t','yes','y','1','false','f','no','n','0' got {text}"
        ))),
    }
}

/// A size in bytes, with an optional binary suffix in any case.
pub fn size(field: &str, text: &str) -> Result<i64, CliError> {
    bytes(text).ok_or_else(|| {
        CliError::Text(format!(
            "Failed to parse field '{field}': expecting an integer (possibly with suffix KiB, \
             MiB, GiB, TiB), got '{text}'"
        ))
    })
}

/// A size in bytes, or nothing when the text is none or does not fit 63 bits.
pub fn bytes(text: &str) -> Option<i64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, suffix) = text.split_at(digits);
    let number: i64 = number.parse().ok()?;
    let shift = match suffix.trim().to_lowercase().as_str() {
        "" | "b" | "bytes" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_in_every_spelling() {
        for text in ["true", "T", "Yes", "y", "1"] {
            assert!(boolean("force", text).unwrap(), "{text}");
        }
        for text in ["false", "F", "No", "n", "0"] {
            assert!(!boolean("force", text).unwrap(), "{text}");
        }
        let error = boolean("force", "maybe").unwrap_err();
        assert_eq!(
            error.to_string(),
            "Error: Failed to parse parameter 'force': Expected \
             'true','t','yes','y','1','false','f','no','n','0' got maybe"
        );
    }

    #[test]
    fn sizes_are_binary_in_any_case() {
        for (text, value) in [
            ("4096", 4096),
            ("10b", 10),
            ("7bytes", 7),
            ("1k", 1 << 10),
            ("2MiB", 2 << 20),
            ("3gb", 3 << 30),
            ("1TIB", 1 << 40),
        ] {
            assert_eq!(size("memory-static-max", text).unwrap(), value, "{text}");
        }
        for text in ["-1", "", "GiB", "1x", "9999999999TiB", "1.5GiB"] {
            assert!(size("memory-static-max", text).is_err(), "{text}");
        }
    }
}
