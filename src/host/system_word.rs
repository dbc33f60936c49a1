//! The system's word for a failure, without the numbers that Rust puts behind it.

/// What a person reads of an error.
pub fn system_word(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    let mut parts = text.split(" (os error ");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.split_once(')').map_or("", |(_, rest)| rest));
    }
    plain
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
        let nested = "/a: No such file or directory (os error 2); /b: it (is) fine (os error 5)";
        assert_eq!(system_word(&nested), "/a: No such file or directory; /b: it (is) fine");
    }
}
