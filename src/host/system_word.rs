//! The system's word for a failure, without the number that Rust puts behind it.

/// What a person reads of an error.
pub fn system_word(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    let Some((before, rest)) = text.split_once(" (os error ") else { return text };
    let after = rest.split_once(')').map_or("", |(_, after)| after);
    format!("{before}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_left_out() {
        let error = std::io::Error::from_raw_os_error(2);
        assert_eq!(system_word(&error), "No such file or directory");
        let inside = format!("{error}; the rest");
        assert_eq!(system_word(&inside), "No such file or directory; the rest");
        assert_eq!(system_word(&"full"), "full");
    }
}
