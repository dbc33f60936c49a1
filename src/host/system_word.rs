//! The system's words for an error, without the numbers that only programmers read.

/// What administrators are told of an error of the system.
pub fn system_word(error: &std::io::Error) -> String {
    without_numbers(&error.to_string())
}

/// A sentence that may have such words in it.
pub fn without_numbers(text: &str) -> String {
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
        assert_eq!(system_word(&std::io::Error::from_raw_os_error(5)), "Input/output error");
        assert_eq!(system_word(&std::io::Error::other("no room")), "no room");
        let nested = "/a: No such file or directory (os error 2); /b: it (is) fine";
        assert_eq!(without_numbers(nested), "/a: No such file or directory; /b: it (is) fine");
    }
}
