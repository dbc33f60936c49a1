//! Image files: their names, how they are made, how big they say they are.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use uuid::Uuid;

use super::{Format, SrError, Stored, Vdi, VdiKind, Volume};

/// The ending of an image's name.
pub fn ending(kind: VdiKind) -> &'static str {
    match kind {
        VdiKind::Disk(format) => format.name(),
        VdiKind::Volume(Volume::Heartbeat) => "heartbeat",
        VdiKind::Volume(Volume::Metadata) => "metadata",
    }
}

/// What a file is by its name, `None` for files that are no image.
pub fn by_name(name: &str) -> Option<(Uuid, VdiKind)> {
    let (stem, end) = name.rsplit_once('.')?;
    let kinds = [
        VdiKind::Disk(Format::Raw),
        VdiKind::Disk(Format::Qcow2),
        VdiKind::Volume(Volume::Heartbeat),
        VdiKind::Volume(Volume::Metadata),
    ];
    let kind = kinds.into_iter().find(|kind| ending(*kind) == end)?;
    Some((Uuid::parse_str(stem).ok()?, kind))
}

/// Looks at one image.
pub fn inspect(path: &Path, uuid: Uuid, kind: VdiKind) -> io::Result<Vdi> {
    let metadata = path.metadata()?;
    let virtual_size = match kind {
        VdiKind::Disk(Format::Qcow2) => qcow2_size(path)?,
        _ => metadata.len(),
    };
    let utilisation = metadata.blocks() * 512;
    Ok(Vdi { uuid, kind, path: path.to_owned(), virtual_size, utilisation })
}

/// The virtual size that a qcow2 header states: big endian at byte 24.
fn qcow2_size(path: &Path) -> io::Result<u64> {
    let mut header = [0; 32];
    File::open(path)?.read_exact(&mut header)?;
    if header[..4] != *b"QFI\xfb" {
        return Err(io::Error::other(format!("{} is no qcow2 image", path.display())));
    }
    let mut size = [0; 8];
    size.copy_from_slice(&header[24..]);
    Ok(u64::from_be_bytes(size))
}

/// Makes a raw image with holes.
pub fn create_sparse(path: &Path, size: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.set_len(size)?;
    file.sync_all()
}

/// Makes a raw image whose every block is there, so that no later write can lack room.
pub fn create_full(path: &Path, size: u64) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    io::copy(&mut io::repeat(0).take(size), &mut file)?;
    file.flush()?;
    file.sync_all()
}

/// Runs `qemu-img`.
pub fn qemu_img(words: &[&str]) -> Stored {
    let output = Command::new("qemu-img")
        .args(words)
        .output()
        .map_err(|error| SrError::NoQemuImg { reason: error.to_string() })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(SrError::System { what: "qemu-img".to_owned(), source: io::Error::other(said) })
}
