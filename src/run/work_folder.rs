//! The folder where a window's files grow before they are published.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::vocabulary::Failure;

const PREFIX: &str = "cxlake-window-";
/// Locked as long as the folder's run lives.
const LOCK: &str = "lock";
/// A folder without a lock for longer than this is nobody's.
const LONGEST_MAKING: Duration = Duration::from_secs(3600);

/// A temporary folder that only this user can look into. It is gone when this is dropped; what a
/// killed run left is removed by the next one.
#[derive(Debug)]
pub(super) struct WorkFolder {
    folder: TempDir,
    _lock: File,
}

impl WorkFolder {
    /// Creates the folder in the machine's place for temporary files, and removes those whose runs
    /// are gone.
    pub(super) fn create() -> Result<Self, Failure> {
        let parent = std::env::temp_dir();
        remove_abandoned(&parent);
        Self::create_in(&parent).map_err(|error| {
            Failure::unavailable(format!("create a temporary folder: {error}"))
                .hint("check that the disk has room and may be written to; TMPDIR names another place")
        })
    }

    fn create_in(parent: &Path) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let folder = builder.prefix(PREFIX).tempdir_in(parent)?;
        // It has its name only once it is locked, or another run could take it for abandoned.
        let unnamed = folder.path().join("new-lock");
        let lock = File::create_new(&unnamed)?;
        lock.lock()?;
        fs::rename(unnamed, folder.path().join(LOCK))?;
        Ok(Self { folder, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes the folders of runs that are gone. What cannot be removed is not ours to worry about: it
/// belongs to another user, or another run was faster.
fn remove_abandoned(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        // Not through a link that somebody put there.
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if ours && is_folder && is_abandoned(&entry.path()) {
            match fs::remove_dir_all(entry.path()) {
                Ok(()) => tracing::info!(folder = %entry.path().display(), "removed what a killed run left"),
                Err(error) => tracing::debug!(folder = %entry.path().display(), %error, "left a temporary folder"),
            }
        }
    }
}

/// Whether the folder's lock is there and nobody holds it. A folder without one is just being made,
/// or its run was killed there and then.
fn is_abandoned(folder: &Path) -> bool {
    // Only a file: to open a pipe that somebody put there would wait for ever.
    let is_file = fs::symlink_metadata(folder.join(LOCK)).is_ok_and(|found| found.is_file());
    if !is_file {
        let age = fs::symlink_metadata(folder).and_then(|found| found.modified()).ok().map(|made| made.elapsed());
        return age.is_some_and(|age| age.is_ok_and(|age| age > LONGEST_MAKING));
    }
    let Ok(lock) = File::open(folder.join(LOCK)) else { return false };
    match lock.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_of_runs_that_are_gone_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        let live = WorkFolder::create_in(parent.path()).unwrap();
        let gone = parent.path().join(format!("{PREFIX}gone"));
        let beginning = parent.path().join(format!("{PREFIX}beginning"));
        let never_locked = parent.path().join(format!("{PREFIX}never-locked"));
        let strange = parent.path().join("other");
        for folder in [&gone, &beginning, &never_locked, &strange] {
            fs::create_dir(folder).unwrap();
        }
        File::open(&never_locked).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        File::create_new(gone.join(LOCK)).unwrap();
        File::create_new(strange.join(LOCK)).unwrap();
        remove_abandoned(parent.path());
        assert!(live.path().exists() && beginning.exists() && strange.exists());
        assert!(!gone.exists() && !never_locked.exists());
    }
}
