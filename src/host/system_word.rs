//! The system's word for an error, without the number that only programmers read.

/// What administrators are told of an error of the system.
pub fn system_word(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_left_out() {
        assert_eq!(system_word(&std::io::Error::from_raw_os_error(5)), "Input/output error");
        assert_eq!(system_word(&std::io::Error::other("no room")), "no room");
    }
}
