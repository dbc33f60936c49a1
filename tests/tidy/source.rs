//! The files of the house as text, and the little that the rules need to know of Rust.
//!
//! `cargo fmt` has been over every file, so that indentation tells where a function ends.

use std::path::{Path, PathBuf};

/// A file of the repository.
pub struct Source {
    /// Its path from the top, with `/`.
    pub name: String,
    /// What it holds.
    pub text: String,
}

/// The top of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Rust files under a folder of the top.
pub fn sources(folder: &str) -> Vec<Source> {
    let mut files = Vec::new();
    walk(&root().join(folder), &mut |path| files.extend(rust(path)));
    assert!(!files.is_empty(), "nothing under {folder}");
    files
}

fn rust(path: &Path) -> Option<Source> {
    path.extension().is_some_and(|end| end == "rs").then(|| read(path)).flatten()
}

/// Every text file of the repository.
pub fn texts() -> Vec<Source> {
    let mut files = Vec::new();
    walk(root(), &mut |path| files.extend(read(path)));
    files
}

fn read(path: &Path) -> Option<Source> {
    let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
    Some(Source { name, text: std::fs::read_to_string(path).ok()? })
}

/// What git does not keep.
const NOT_KEPT: [&str; 5] = [".git", "target", "corpus", "artifacts", "coverage"];

fn walk(folder: &Path, visit: &mut impl FnMut(&Path)) {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = entries.collect();
    paths.sort();
    for path in paths {
        let kept = !NOT_KEPT.contains(&path.file_name().unwrap().to_str().unwrap());
        if kept && path.is_dir() {
            walk(&path, visit);
        } else if kept {
            visit(&path);
        }
    }
}

impl Source {
    /// The room of `src` that it belongs to; none for the files that stand at its door.
    pub fn room(&self) -> Option<&str> {
        let (room, _) = self.name.strip_prefix("src/")?.split_once('/')?;
        Some(room)
    }

    /// Its lines with their numbers, comments left out.
    pub fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines()).filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// Its functions: line, name, and length from the signature to the closing brace.
    pub fn functions(&self) -> Vec<(usize, String, usize)> {
        let lines: Vec<&str> = self.text.lines().collect();
        let mut functions = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            let Some(name) = function_name(line) else { continue };
            let indent = line.len() - line.trim_start().len();
            if line.ends_with(';') || line.ends_with('}') {
                continue;
            }
            let same = |line: &&&str| line.len() - line.trim_start().len() == indent;
            let ends = |line: &&str| line.ends_with(';') || line.trim() == "}";
            let length = lines[at + 1..]
                .iter()
                .position(|line| !line.is_empty() && same(&line) && ends(line));
            functions.push((at + 1, name.to_owned(), length.map_or(1, |length| length + 2)));
        }
        functions
    }
}

/// The name of the function whose signature begins on this line.
fn function_name(line: &str) -> Option<&str> {
    let (before, after) = line.trim_start().split_once("fn ")?;
    let keyword = |word: &str| {
        ["const", "async", "unsafe", "extern", "\"C\""].contains(&word) || word.starts_with("pub")
    };
    let visible = before.split_whitespace().all(|word| keyword(word) || word.ends_with(')'));
    visible.then(|| after.split(['(', '<']).next().unwrap_or(after))
}

/// The rooms that a line names by `crate::`.
pub fn rooms_named(line: &str) -> impl Iterator<Item = &str> {
    line.split("crate::").skip(1).flat_map(|rest| {
        let list = rest.strip_prefix('{').and_then(|list| list.split('}').next());
        let parts: Vec<&str> = list.map_or_else(|| vec![rest], |list| list.split(',').collect());
        parts.into_iter().map(|part| {
            let part = part.trim();
            let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            &part[..end.unwrap_or(part.len())]
        })
    })
}

/// Whether a line names a path or word, as a whole and not as the end of a longer one.
pub fn names(line: &str, word: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| {
        !part(line[..at].chars().next_back()) && !part(line[at + word.len()..].chars().next())
    })
}
