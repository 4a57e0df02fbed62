//! The finished pages of a row group, which wait until it is whole: in memory while they are few, then in a file, so that
//! memory does not grow with the width of a table.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use parquet::arrow::arrow_writer::{PageKey, PageStore, PageStoreArgs, PageStoreFactory};
use parquet::errors::{ParquetError, Result};

/// The most bytes of pages that wait in memory: small files need no second one.
const PAGES_IN_MEMORY: usize = 4 << 20;

/// The waiting pages of one Parquet file.
#[derive(Debug)]
pub(super) struct WaitingPages {
    room: Arc<Mutex<Room>>,
}

/// What the columns share.
#[derive(Debug)]
struct Room {
    folder: PathBuf,
    /// Bytes of pages in memory, and the most that there may be.
    in_memory: usize,
    most_in_memory: usize,
    /// Made for the first page that finds no room in memory; it has no name.
    file: Option<File>,
    /// Where the next page goes in the file, and how many wait there.
    end: u64,
    in_file: usize,
    /// Used again for each page that is read back, for fresh memory costs more than the reading.
    spare: Vec<u8>,
}

/// A page that was read back, whose memory is the spare one again once it is written.
struct ReadBack {
    page: Vec<u8>,
    room: Arc<Mutex<Room>>,
}

impl AsRef<[u8]> for ReadBack {
    fn as_ref(&self) -> &[u8] {
        &self.page
    }
}

impl Drop for ReadBack {
    fn drop(&mut self) {
        lock(&self.room).spare = std::mem::take(&mut self.page);
    }
}

/// The waiting pages of one column.
struct ColumnPages {
    room: Arc<Mutex<Room>>,
    pages: Vec<Place>,
}

enum Place {
    Memory(Bytes),
    File { start: u64, length: usize },
    Taken,
}

impl WaitingPages {
    /// Pages that wait in memory, and in a temporary file in `folder`.
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self::of_at_most(PAGES_IN_MEMORY, folder)
    }

    fn of_at_most(most_in_memory: usize, folder: &Path) -> Self {
        let folder = folder.to_owned();
        let room = Room { folder, in_memory: 0, most_in_memory, file: None, end: 0, in_file: 0, spare: Vec::new() };
        Self { room: Arc::new(Mutex::new(room)) }
    }
}

impl PageStoreFactory for WaitingPages {
    fn create(&self, _column: &PageStoreArgs<'_>) -> Result<Box<dyn PageStore>> {
        Ok(Box::new(ColumnPages { room: Arc::clone(&self.room), pages: Vec::new() }))
    }
}

impl PageStore for ColumnPages {
    fn put(&mut self, page: Bytes) -> Result<PageKey> {
        let place = lock(&self.room).put(page)?;
        self.pages.push(place);
        Ok(PageKey::new(self.pages.len() as u64 - 1))
    }

    fn take(&mut self, key: PageKey) -> Result<Bytes> {
        let page = usize::try_from(key.get()).ok().and_then(|index| self.pages.get_mut(index));
        match page.map(|page| std::mem::replace(page, Place::Taken)) {
            Some(Place::Memory(page)) => {
                lock(&self.room).in_memory -= page.len();
                Ok(page)
            }
            Some(Place::File { start, length }) => {
                let page = lock(&self.room).read(start, length)?;
                Ok(Bytes::from_owner(ReadBack { page, room: Arc::clone(&self.room) }))
            }
            Some(Place::Taken) | None => Err(ParquetError::General(format!("no page {} waits", key.get()))),
        }
    }

    fn memory_size(&self) -> usize {
        self.pages.iter().map(|page| if let Place::Memory(page) = page { page.len() } else { 0 }).sum()
    }
}

impl Room {
    fn put(&mut self, page: Bytes) -> io::Result<Place> {
        if self.in_memory + page.len() <= self.most_in_memory {
            self.in_memory += page.len();
            return Ok(Place::Memory(page));
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile_in(&self.folder)?),
        };
        let (start, length) = (self.end, page.len());
        file.seek(SeekFrom::Start(start))?;
        file.write_all(&page)?;
        self.end += length as u64;
        self.in_file += 1;
        Ok(Place::File { start, length })
    }

    fn read(&mut self, start: u64, length: usize) -> io::Result<Vec<u8>> {
        let file = self.file.as_mut().ok_or(io::ErrorKind::NotFound)?;
        let mut page = std::mem::take(&mut self.spare);
        page.clear();
        page.reserve_exact(length);
        page.resize(length, 0);
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut page)?;
        self.in_file -= 1;
        if self.in_file == 0 {
            // The next row group takes the same room on the disk.
            self.end = 0;
        }
        Ok(page)
    }
}

/// Nothing is left half done where a thread ends: what it would have written is nowhere used.
fn lock(room: &Mutex<Room>) -> MutexGuard<'_, Room> {
    room.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(pages: &WaitingPages) -> ColumnPages {
        ColumnPages { room: Arc::clone(&pages.room), pages: Vec::new() }
    }

    #[test]
    fn pages_come_back_once_from_memory_and_from_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let waiting = WaitingPages::of_at_most(6, folder.path());
        let (mut first, mut second) = (column(&waiting), column(&waiting));
        let put =
            |column: &mut ColumnPages, page: &'static str| column.put(Bytes::from_static(page.as_bytes())).unwrap();
        let keys = [put(&mut first, "memory"), put(&mut first, "in the file"), put(&mut first, "")];
        let other = put(&mut second, "also there");
        assert_eq!((first.memory_size(), second.memory_size()), (6, 0));
        assert_eq!(second.take(other).unwrap(), "also there");
        assert_eq!(keys.map(|key| first.take(key).unwrap()), ["memory", "in the file", ""]);
        assert!(first.take(keys[0]).is_err() && first.take(PageKey::new(3)).is_err());
        assert_eq!(lock(&waiting.room).end, 0);
        let again = put(&mut second, "larger than memory");
        assert_eq!(second.take(again).unwrap(), "larger than memory");
        let _key = put(&mut second, "memory");
        assert_eq!(second.memory_size(), 6);
    }

    #[test]
    fn pages_that_fit_need_no_file_and_others_need_its_folder() {
        let waiting = WaitingPages::of_at_most(4, Path::new("no such folder"));
        let mut column = column(&waiting);
        assert!(column.put(Bytes::from_static(b"fits")).is_ok());
        assert!(column.put(Bytes::from_static(b"not")).is_err());
    }
}
