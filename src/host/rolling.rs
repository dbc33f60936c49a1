//! A file of lines that does not grow for ever: when it is full it becomes `NAME.1`, in the place
//! of the one before, and a new one begins.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Bytes of a full file: some ten thousand lines.
const FULL: u64 = 4 << 20;
/// No line is longer than this, in bytes.
const LINE: u64 = 64 << 10;

/// The file, open at its end.
#[derive(Debug)]
pub struct Rolling {
    path: PathBuf,
    file: File,
    size: u64,
}

impl Rolling {
    /// Opens the file, which may not be there yet.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let size = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, size })
    }

    /// Adds a line, in one write.
    pub fn add(&mut self, line: &str) -> io::Result<()> {
        let line = format!("{line}\n");
        // A file that cannot be put aside is filled further.
        if self.size > 0
            && self.size + line.len() as u64 > FULL
            && std::fs::rename(&self.path, older(&self.path)).is_ok()
        {
            *self = Self::open(&self.path)?;
        }
        self.file.write_all(line.as_bytes())?;
        self.size += line.len() as u64;
        Ok(())
    }
}

/// Where the lines before those of the file are.
pub fn older(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

/// The last line of such a file, without reading what stands before it.
pub fn last_line(path: &Path) -> io::Result<Option<String>> {
    let mut file = File::open(path)?;
    let begin = file.metadata()?.len().saturating_sub(LINE);
    file.seek(SeekFrom::Start(begin))?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    Ok(text.lines().last().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_is_put_aside_and_no_line_is_torn() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines");
        let line = |n: u64| format!("{n} {}", "x".repeat(1000));
        let count = 3 * FULL / 1000;
        let mut file = Rolling::open(&path).unwrap();
        for n in 0..count {
            if n == count / 2 {
                file = Rolling::open(&path).unwrap();
            }
            file.add(&line(n)).unwrap();
        }
        let size = |path: &Path| std::fs::metadata(path).unwrap().len();
        assert!(size(&path) <= FULL && size(&older(&path)) <= FULL);
        let text = [older(&path), path.clone()].map(|path| std::fs::read_to_string(path).unwrap());
        let kept: Vec<&str> = text.iter().flat_map(|text| text.lines()).collect();
        let first = count - kept.len() as u64;
        assert!(kept.iter().zip(first..).all(|(kept, n)| *kept == line(n)), "from {first}");
        assert_eq!(last_line(&path).unwrap(), Some(line(count - 1)));
    }

    #[test]
    fn a_file_that_is_not_there_has_no_last_line() {
        let dir = tempfile::tempdir().unwrap();
        assert!(last_line(&dir.path().join("none")).is_err());
        Rolling::open(&dir.path().join("empty")).unwrap();
        assert_eq!(last_line(&dir.path().join("empty")).unwrap(), None);
    }
}
