//! Conditional replacement in a local folder, which has no conditional put: a lock a window, a
//! staged copy on the same file system, one rename.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use super::store::Put;
use super::vacuum::{Leftover, LeftoverKind};
use crate::failure::SinkFailure;

/// How long a window's lock is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// What a reader saw of a file: its length and its tag.
type Seen = (u64, Option<String>);

/// Puts a copy of `source` at `key` if what is there is still what was `seen`.
pub(super) async fn publish_file(
    root: &Path,
    key: &str,
    staging: &str,
    source: &Path,
    seen: Option<Seen>,
) -> Result<Put, SinkFailure> {
    let (target, staging, source) = (root.join(key), root.join(staging), source.to_owned());
    let published = tokio::task::spawn_blocking(move || publish_blocking(&target, &staging, &source, seen.as_ref()));
    match published.await {
        Ok(Ok(put)) => Ok(put),
        Ok(Err(error)) if error.kind() == io::ErrorKind::CrossesDevices => Err(SinkFailure::configuration(
            format!("publish {key}: {error}"),
            "a lake is in one file system: where a part of it is a link, make one of the whole folder instead",
        )),
        Ok(Err(error)) => Err(SinkFailure::disk(&format!("publish {key}"), &error)),
        Err(error) => Err(SinkFailure::defect(format!("publish {key}: {error}"))),
    }
}

fn publish_blocking(target: &Path, staging: &Path, source: &Path, seen: Option<&Seen>) -> io::Result<Put> {
    let folder = target.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(folder)?;
    fs::create_dir_all(staging)?;
    let name = target.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut staged = builder().prefix(&name).suffix(".staged").tempfile_in(staging)?;
    // From file to file the kernel copies, or shares the blocks.
    io::copy(&mut File::open(source)?, staged.as_file_mut())?;
    staged.as_file().sync_all()?;

    // Not truncated: whoever may write to the folder may have put a link to another file there.
    let lock = File::options().create(true).write(true).truncate(false).open(staging.join(format!("{name}.lock")))?;
    take(&lock)?;
    if current(target)? != seen.cloned() {
        return Ok(Put::Doubtful("the file changed meanwhile".to_owned()));
    }
    let file = staged.persist(target).map_err(|error| error.error)?;
    drop(lock);
    sync_folders(folder)?;
    Ok(Put::Published(Some(tag(&file.metadata()?))))
}

/// Takes a lock that others hold for the time of a rename. One who was stopped there must not hold
/// up everybody for ever.
fn take(lock: &File) -> io::Result<()> {
    let mut waited = Duration::ZERO;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if waited < LOCK_PATIENCE => {
                std::thread::sleep(LOCK_PAUSE);
                waited += LOCK_PAUSE;
            }
            Err(TryLockError::WouldBlock) => {
                let held = "another process, which may be stopped, holds the window's lock";
                return Err(io::Error::new(io::ErrorKind::TimedOut, held));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

fn current(target: &Path) -> io::Result<Option<Seen>> {
    match fs::metadata(target) {
        Ok(metadata) => Ok(Some((metadata.len(), Some(tag(&metadata))))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The tag of a file as `object_store` makes it from inode, time and length.
fn tag(metadata: &fs::Metadata) -> String {
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(metadata);
    #[cfg(not(unix))]
    let inode = 0_u64;
    let modified = metadata.modified().ok().and_then(|modified| modified.duration_since(UNIX_EPOCH).ok());
    let micros = modified.unwrap_or_default().as_micros();
    format!("\"{inode:x}-{micros:x}-{:x}\"", metadata.len())
}

/// Temporary files are private; a lake's files are as readable as the user's umask has it.
fn builder<'a>() -> tempfile::Builder<'a, 'a> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder
}

/// A rename outlives a power cut only once its folder is on disk, and the entries of new folders.
fn sync_folders(folder: &Path) -> io::Result<()> {
    // The partition, `data/`, the report: the first object of a report makes all of them.
    for folder in folder.ancestors().take(3) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Files below a folder that `object_store` was writing under names of its own (`name#1`).
pub(super) fn unnamed_files(root: &Path, folder: &str) -> io::Result<Vec<Leftover>> {
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_unnamed = name.rsplit_once('#').is_some_and(|(_, number)| number.parse::<u32>().is_ok());
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if let (true, Ok(key)) = (is_unnamed, entry.path().strip_prefix(root)) {
                let metadata = match entry.metadata() {
                    Ok(metadata) => metadata,
                    // It has its name now.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                };
                found.push(Leftover {
                    kind: LeftoverKind::Unnamed,
                    key: key.display().to_string(),
                    bytes: metadata.len(),
                    modified: metadata.modified()?.into(),
                });
            }
        }
    }
    Ok(found)
}
