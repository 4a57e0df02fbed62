use std::path::{Path, PathBuf};
use std::process::Command;

use super::lab::Outcome;

/// A resolver that finds a private address for every name, to be loaded before the system's.
pub(crate) struct PrivateNames(PathBuf);

impl PrivateNames {
    pub(crate) fn compile(folder: &Path) -> Self {
        let library = folder.join("private_names.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/private_names.c");
        let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).status().unwrap();
        assert!(compiled.success());
        Self(library)
    }

    /// Runs a command under this resolver.
    pub(crate) fn outcome(&self, mut command: Command) -> Outcome {
        command.env("LD_PRELOAD", &self.0);
        Outcome::of(command)
    }
}
