//! A program whose changes to files are numbered, and one of which is its last, or fails.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The library that is loaded before the program, built where it is first needed.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("file_faults-{}.so", std::process::id()));
        let built = Command::new("cc")
            .args(["-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o"])
            .args([&library, &root.join("fixtures/file-faults/file_faults.c")])
            .arg("-ldl")
            .status();
        assert!(built.unwrap().success(), "the C compiler that Rust links with builds it");
        library
    })
}

/// What happens at the change with a number, from 1: `KILL`, `STOP`, `ENOSPC` or `EROFS`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileFault {
    pub(crate) at: u64,
    pub(crate) how: &'static str,
}

impl FileFault {
    /// Lets it happen to a command's changes below a folder.
    pub(crate) fn happen(self, command: &mut Command, below: &Path) {
        command
            .env("LD_PRELOAD", library())
            .env("FILE_FAULTS_BELOW", below)
            .env("FILE_FAULTS_AT", self.at.to_string())
            .env("FILE_FAULTS_HOW", self.how);
    }
}

/// Lets a command's writes below a folder take as long as on a disk of that speed.
pub(crate) fn slow_down(command: &mut Command, below: &Path, bytes_per_second: u64) {
    command
        .env("LD_PRELOAD", library())
        .env("FILE_FAULTS_BELOW", below)
        .env("FILE_FAULTS_BYTES_PER_SECOND", bytes_per_second.to_string());
}

/// How many changes a command makes below a folder.
pub(crate) fn count_changes(mut command: Command, below: &Path) -> u64 {
    let count = below.with_extension("count");
    command.env("LD_PRELOAD", library()).env("FILE_FAULTS_BELOW", below).env("FILE_FAULTS_COUNT", &count);
    super::Outcome::of(command).expect(0);
    std::fs::read_to_string(count).unwrap().parse().unwrap()
}
