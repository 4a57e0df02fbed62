//! A staged file as memory that its pages on the disk back: all of this project's `unsafe` code.

use std::io;

use bytes::Bytes;
use memmap2::Mmap;

use super::writer::StagedFile;

/// The content of a staged file. It is read from the disk as it is used, and stays after the file
/// has lost its name.
///
/// # Errors
/// Where the system maps no file.
pub(super) fn map(staged: &StagedFile) -> io::Result<Bytes> {
    #[expect(unsafe_code, reason = "no safe call maps a file")]
    // SAFETY: a mapped file must neither change nor shrink while it is mapped. This one was created
    // by this process, under a name of random letters and with rights for its owner alone. A
    // `StagedFile` exists from the last write to it on; nothing writes to it any more, and removing or
    // renaming it leaves what is mapped as it is. Another process of the same user that rewrites
    // files whose names it guesses could as well write to this process's memory.
    let mapping = unsafe { Mmap::map(staged.file.as_file()) }?;
    Ok(Bytes::from_owner(mapping))
}
