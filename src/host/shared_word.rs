//! A number that another process may change at any time, read without a system call.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

const PAGE: usize = 4096;

/// One word of a file in memory whose size is sealed.
#[derive(Debug)]
pub struct SharedWord {
    page: *mut std::ffi::c_void,
    word: usize,
}

// SAFETY: the page belongs to this value alone and is only read, as an atomic.
unsafe impl Send for SharedWord {}
// SAFETY: as above.
unsafe impl Sync for SharedWord {}

impl SharedWord {
    /// Maps the first page of a file; `word` counts in words of eight bytes and lies within both
    /// the page and the file, which never shrinks.
    pub fn map(file: &File, word: usize) -> io::Result<Self> {
        if word >= PAGE / 8 || file.metadata()?.len() < (word as u64 + 1) * 8 {
            return Err(io::Error::other("no such word in the file"));
        }
        // SAFETY: a new mapping at a place of the kernel's choice touches nothing that is there.
        let page = unsafe {
            mmap(std::ptr::null_mut(), PAGE, ProtFlags::READ, MapFlags::SHARED, file, 0)?
        };
        Ok(SharedWord { page, word })
    }

    /// What the word is now.
    pub fn read(&self) -> u64 {
        // SAFETY: the word lies within the mapped page, which lives as long as this value, is
        // aligned as pages are, and is written by others in one piece.
        let word = unsafe { &*self.page.cast::<AtomicU64>().add(self.word) };
        u64::from_le(word.load(Ordering::Relaxed))
    }
}

impl Drop for SharedWord {
    fn drop(&mut self) {
        // SAFETY: nothing refers to the page any more.
        let _unmapped = unsafe { munmap(self.page, PAGE) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn a_word_shows_what_others_write_and_one_outside_is_refused() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(24).unwrap();
        let word = SharedWord::map(&file, 2).unwrap();
        assert_eq!(word.read(), 0);
        file.write_all_at(&77u64.to_le_bytes(), 16).unwrap();
        assert_eq!(word.read(), 77);
        assert!(SharedWord::map(&file, 3).is_err());
    }
}
