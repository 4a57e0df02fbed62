//! The first five minutes: a configuration, what is in force, manual pages.

use std::path::Path;
use std::process::Command;

use crate::support::{Lab, Outcome, faults::small};

fn cxlake(folder: &Path, arguments: &[&str]) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cxlake"));
    command.current_dir(folder).args(arguments).env_remove("CXONE_CLIENT_ID");
    Outcome::of(command)
}

#[test]
fn init_writes_a_configuration_and_never_over_one() {
    let folder = tempfile::tempdir().unwrap();
    let told = cxlake(folder.path(), &["init"]).expect(0).stdout;
    assert!(told.contains("cxlake check"), "{told}");
    let configuration = std::fs::read_to_string(folder.path().join("cxlake.toml")).unwrap();
    assert!(configuration.contains("\n# requests_per_second = 5.0") && !configuration.contains("#:"));
    assert!(std::fs::read_to_string(folder.path().join(".env.example")).unwrap().contains("CXONE_CLIENT_SECRET="));
    let refused = cxlake(folder.path(), &["init"]).expect(2);
    assert!(refused.complaint().contains("it is there already"), "{}", refused.complaint());
    std::fs::write(folder.path().join(".env.example"), "OTHER=1").unwrap();
    let forced = cxlake(folder.path(), &["init", "--force"]).expect(0).stdout;
    assert!(forced.contains("it was there already"), "{forced}");
    assert_eq!(std::fs::read_to_string(folder.path().join(".env.example")).unwrap(), "OTHER=1");
    // What it wrote lacks only what no file should hold.
    let check = cxlake(folder.path(), &["check"]).expect(2);
    assert!(check.complaint().contains("the environment variable CXONE_CLIENT_ID is not set"), "{}", check.complaint());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_in_force_is_shown_without_its_secrets() {
    let lab = Lab::start(small()).await;
    let shown = lab.cxlake(&["config", "show", "--origin"]).expect(0).stdout;
    let line = |start: &str| shown.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{shown}"));
    assert!(line("tenants.acme.limits.burst = 100  # ").contains("cxlake.toml:11"), "{shown}");
    assert!(line("tenants.acme.limits.pages_in_flight = 4").ends_with("  # default"), "{shown}");
    assert!(line("tenants.acme.client_secret = \"***\"").contains("# environment CXONE_CLIENT_SECRET, "), "{shown}");
    let plain = lab.cxlake(&["config", "show"]).expect(0).stdout;
    assert!(plain.lines().all(|line| !line.contains('#')), "{plain}");
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let folder = tempfile::tempdir().unwrap();
    let page = cxlake(folder.path(), &["man"]).expect(0).stdout;
    assert!(page.contains(".TH cxlake 1") && page.contains("Exit codes"), "{page}");
    cxlake(folder.path(), &["man", "--folder", "."]).expect(0);
    for name in ["cxlake.1", "cxlake-run.1", "cxlake-quarantine-replay.1"] {
        assert!(folder.path().join(name).exists(), "{name}");
    }
    cxlake(folder.path(), &["man", "--folder", "missing"]).expect(2);
}
