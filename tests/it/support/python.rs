use std::path::PathBuf;
use std::process::{Command, Stdio};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A program of the tests' own Python, which `make test` installs.
pub(crate) fn installed(program: &str) -> Command {
    let path = root().join("target/python/bin").join(program);
    assert!(path.exists(), "{} is missing: `make test` installs it", path.display());
    Command::new(path)
}

/// Runs a script of `tests/it/python`. What it prints.
#[track_caller]
pub(crate) fn python(script: &str, arguments: &[&str]) -> String {
    let mut command = installed("python");
    let output =
        command.arg(root().join("tests/it/python").join(script)).args(arguments).stdin(Stdio::null()).output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{script}: {stdout}\n{}", String::from_utf8_lossy(&output.stderr));
    stdout.into_owned()
}
