//! Giving back the pages of the program file that only its start has used: the rest of the program
//! is in the same file, and locking would hold all of it.

use std::ffi::c_void;

use rustix::mm::{Advice, madvise};

/// A mapped part of a file, as `/proc/self/smaps` tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    start: usize,
    length: usize,
}

/// The parts that are in memory exactly as they are in their files: not writable, and no page
/// written since. (What the linker relocated is not writable either, yet it is in no file.)
fn unchanged(smaps: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut candidate = None;
    for line in smaps.lines() {
        let mut words = line.split_whitespace();
        let (first, second) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        if let Some(range) = first.split_once('-')
            && let Ok(start) = usize::from_str_radix(range.0, 16)
            && let Ok(end) = usize::from_str_radix(range.1, 16)
        {
            let file = words.nth(3).is_some_and(|path| path.starts_with('/'));
            let fixed = second.starts_with('r') && second.as_bytes().get(1) == Some(&b'-');
            candidate = (file && fixed && second.ends_with('p') && end > start)
                .then(|| Part { start, length: end - start });
        } else if first == "Anonymous:"
            && second == "0"
            && let Some(part) = candidate.take()
        {
            parts.push(part);
        }
    }
    parts
}

/// Gives those pages back; what is used again is read again. To be called before memory is
/// locked.
pub fn forget_startup() {
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    for part in unchanged(&smaps) {
        let start = std::ptr::with_exposed_provenance_mut::<c_void>(part.start);
        // SAFETY: the part is a private mapping of a file that nobody writes to and that holds no
        // page of its own, so what is read there afterwards is what is read there now.
        let _kept = unsafe { madvise(start, part.length, Advice::LinuxDontNeed) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_parts_that_are_as_in_their_files_are_given_back() {
        let smaps = "\
1000-3000 r-xp 00000000 08:01 5   /bin/xe
Rss: 8 kB
Anonymous:             0 kB
3000-4000 r--p 00002000 08:01 5   /bin/xe
Anonymous:             4 kB
4000-5000 rw-p 00003000 08:01 5   /bin/xe
Anonymous:             0 kB
5000-6000 r--p 00000000 00:00 0
Anonymous:             0 kB
6000-7000 r--s 00000000 08:01 6   /lib/cache
Anonymous:             0 kB
";
        assert_eq!(unchanged(smaps), [Part { start: 0x1000, length: 0x2000 }]);
    }

    #[test]
    fn the_program_goes_on_without_its_pages() {
        forget_startup();
        let own = std::fs::read_to_string("/proc/self/smaps").unwrap();
        assert!(!unchanged(&own).is_empty(), "the program itself is such a part");
    }
}
