//! Whatever ends the measuring program (an error, Ctrl-C, a kill), nothing of it stays behind.
//!
//! A small process outside holds the other end of a pipe. When the pipe closes it kills those of
//! the named processes that still run, then removes the directory.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};

/// The word behind `xe lab` under which the process outside runs.
pub const WORD: &str = "times-leash";

/// A directory and the processes that work in it; dropped, they are gone.
#[derive(Debug)]
pub struct Leash {
    dir: PathBuf,
    keeper: Child,
    pipe: Option<ChildStdin>,
}

impl Leash {
    /// Makes the directory and whatever removes it.
    pub fn new(dir: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir(dir).with_context(|| dir.display().to_string())?;
        let dir = dir.canonicalize()?;
        let mut keeper = Command::new(std::env::current_exe()?)
            .args(["lab", WORD])
            .arg(&dir)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .context("the process that cleans up")?;
        let pipe = keeper.stdin.take();
        Ok(Self { dir, keeper, pipe })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A process that must not outlive this one; the directory must stand in its words.
    pub fn add(&mut self, process: &Child) -> anyhow::Result<()> {
        let pipe = self.pipe.as_mut().context("the leash is loose")?;
        writeln!(pipe, "{}", process.id()).context("the process that cleans up is gone")
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        drop(self.pipe.take());
        let _status = self.keeper.wait();
    }
}

/// The process outside.
pub fn main(dir: &Path) -> ExitCode {
    let pids: Vec<i32> =
        std::io::stdin().lines().map_while(Result::ok).filter_map(|l| l.parse().ok()).collect();
    for pid in pids.iter().filter(|pid| works_in(**pid, dir)) {
        if let Some(pid) = Pid::from_raw(*pid).filter(|_| *pid > 1) {
            let _already_gone = kill_process(pid, Signal::KILL);
        }
    }
    for _ in 0..200 {
        if !pids.iter().any(|pid| works_in(*pid, dir)) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            eprintln!("{}: {error}", dir.display());
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Whether a process runs with that directory in its words: its number was not given away.
fn works_in(pid: i32, dir: &Path) -> bool {
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let dir = format!("{}/", dir.display());
    words.split(|byte| *byte == 0).any(|word| word.starts_with(dir.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_with_the_directory_in_its_words_belongs_to_it() {
        let own = i32::try_from(std::process::id()).unwrap();
        let program = std::env::args_os().next().map(std::path::PathBuf::from).unwrap();
        let dir = program.parent().unwrap();
        assert!(works_in(own, dir));
        assert!(!works_in(own, &program), "the directory itself, not what is called like it");
        assert!(!works_in(own, tempfile::tempdir().unwrap().path()));
        assert!(!works_in(0, dir));
    }
}
