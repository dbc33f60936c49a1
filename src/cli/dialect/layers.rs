//! The two layers under the command line: `~/.xe` and `XE_EXTRA_ARGS`.

/// The lines of `~/.xe`: one `key=value` each, blank lines skipped, no comments, no trimming.
///
/// One line without `=` spoils the whole file: nothing is returned then.
pub fn rc_lines(text: &str) -> Option<Vec<String>> {
    let lines: Vec<String> =
        text.split('\n').filter(|line| !line.is_empty()).map(str::to_owned).collect();
    lines.iter().all(|line| line.contains('=')).then_some(lines)
}

/// The words of `XE_EXTRA_ARGS`: separated by commas, `\,` is a comma of the word, every
/// backslash is dropped, a leading comma is skipped.
pub fn extra_args(text: &str) -> Vec<String> {
    let text = text.strip_prefix(',').unwrap_or(text);
    if text.is_empty() {
        return Vec::new();
    }
    let mut words = vec![String::new()];
    let mut after_backslash = false;
    for character in text.chars() {
        match character {
            ',' if !after_backslash => words.push(String::new()),
            '\\' => {}
            other => {
                if let Some(word) = words.last_mut() {
                    word.push(other);
                }
            }
        }
        after_backslash = character == '\\';
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rc_takes_whole_lines_and_refuses_all_for_one_bad_line() {
        assert_eq!(
            rc_lines("server=h\n\nminimal=true\n"),
            Some(vec!["server=h".to_owned(), "minimal=true".to_owned()])
        );
        assert_eq!(rc_lines("server=h\n# a comment\n"), None);
        assert_eq!(rc_lines(" username = u "), Some(vec![" username = u ".to_owned()]));
    }

    #[test]
    fn extras_split_at_commas_and_keep_escaped_ones() {
        assert_eq!(extra_args("-s,host,-u,root"), ["-s", "host", "-u", "root"]);
        assert_eq!(extra_args(",server=h"), ["server=h"]);
        assert_eq!(extra_args(r"name-label=a\,b,x\\=y"), ["name-label=a,b", "x=y"]);
        assert!(extra_args("").is_empty());
    }
}
