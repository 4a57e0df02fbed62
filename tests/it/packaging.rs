//! What people install: the wheel, and the image.

use std::path::PathBuf;
use std::process::Command;

use crate::support::{Outcome, installed};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_image_is_linted() {
    let mut lint = installed("hadolint");
    lint.arg(root().join("python/Dockerfile"));
    Outcome::of(lint).expect(0);
}

/// The wheel of this build; `make wheel` makes another for CXLAKE_TEST_WHEELS to name.
#[test]
fn a_wheel_in_an_empty_environment_runs_the_demo() {
    let folder = tempfile::tempdir().unwrap();
    let environment = folder.path().join("environment");
    let mut create = installed("python");
    create.args(["-m", "venv"]).arg(&environment);
    Outcome::of(create).expect(0);
    let wheels = std::env::var("CXLAKE_TEST_WHEELS").map_or_else(|_| root().join("target/test-wheel"), PathBuf::from);
    let found = std::fs::read_dir(&wheels).map(|wheels| wheels.map(|wheel| wheel.unwrap().path()).collect::<Vec<_>>());
    let [wheel] = found.as_deref().unwrap_or_default() else { panic!("a wheel is missing: `make test` builds it") };
    // Nothing but the wheel: no network, no variables, no other folder on the path.
    let program = |name: &str| {
        let mut command = Command::new(environment.join("bin").join(name));
        command.env_clear().env("PATH", environment.join("bin")).current_dir(folder.path());
        command
    };
    let mut install = program("pip");
    install.args(["install", "--no-index", "--quiet"]).arg(wheel);
    Outcome::of(install).expect(0);
    let mut demo = program("cxlake");
    demo.args(["demo", "--folder", "shown"]);
    let told = Outcome::of(demo).expect(0).stdout;
    assert!(
        told.contains("Rejected, with their exact text") && folder.path().join("shown/report.html").exists(),
        "{told}"
    );
    let mut module = program("python");
    module.args(["-m", "cxlake", "--version"]);
    assert_eq!(Outcome::of(module).expect(0).stdout, format!("cxlake {}\n", env!("CARGO_PKG_VERSION")));
}
