//! Secrets appear nowhere.

use cxlake_simulator::{CallKind, Effect, Fault, TenantSettings};

use crate::support::faults::{small, status};
use crate::support::{Lab, Running};

const CANARY: &str = "canary-7f3a9c";

/// Everything under a folder, as text.
fn everything(folder: &std::path::Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text.push_str(&everything(&path));
        } else {
            text.push_str(&String::from_utf8_lossy(&std::fs::read(&path).unwrap()));
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_in_no_log_error_manifest_or_command_line() {
    let settings = TenantSettings { client_secret: CANARY.to_owned(), latency_ms: 30, ..small() };
    let lab = Lab::start(settings).await;
    lab.simulator.play(Fault { skip: 1, ..Fault::new(CallKind::DataDownload, status(503, None)) });
    let mut command = lab.command(&["run", "--date", "2024-01-01", "-vv"]);
    command.env("RUST_LOG", "trace");
    let run = Running::start(command);
    let command_line = std::fs::read_to_string(format!("/proc/{}/cmdline", run.id())).unwrap();
    let outcome = run.end().expect(0);
    let calls = lab.simulator.calls();
    let token = calls.iter().find_map(|call| call.header("authorization")).unwrap().trim_start_matches("Bearer ");
    let shown = [command_line, outcome.stdout, outcome.stderr, everything(&lab.lake())].concat();
    assert!(shown.len() > 10_000 && !token.is_empty());
    for secret in [CANARY, token] {
        assert!(!shown.contains(secret), "a secret was shown");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_the_tenant_repeats_in_an_error_is_not_shown() {
    let lab = Lab::start(TenantSettings { client_secret: CANARY.to_owned(), ..small() }).await;
    let body = format!(r#"{{"error":"invalid_client","error_description":"secret {CANARY} is wrong"}}"#);
    lab.simulator.play(Fault::new(CallKind::Token, Effect::Status { code: 401, headers: Vec::new(), body }));
    let outcome = lab.cxlake(&["run", "--date", "2024-01-01", "-vv"]).expect(3);
    assert!(!format!("{outcome:?}").contains(CANARY), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn temporary_files_are_private_and_gone_at_the_end() {
    let lab = Lab::start(TenantSettings { latency_ms: 100, ..small() }).await;
    let temporary = lab.folder().join("temporary");
    std::fs::create_dir(&temporary).unwrap();
    let mut command = lab.command(&["run", "--date", "2024-01-01"]);
    command.env("TMPDIR", &temporary);
    let mut run = Running::start(command);
    let mut modes = Vec::new();
    while !run.has_ended() {
        for entry in std::fs::read_dir(&temporary).unwrap().flatten() {
            use std::os::unix::fs::PermissionsExt as _;
            modes.extend(entry.metadata().map(|metadata| metadata.permissions().mode() & 0o777));
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(!modes.is_empty() && modes.iter().all(|mode| *mode == 0o700), "{modes:?}");
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_comes_from_a_file_too_and_one_that_others_can_read_is_told() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut lab = Lab::start(small()).await;
    let path = lab.folder().join("secret");
    std::fs::write(&path, format!("{}\n", lab.simulator.settings().client_secret)).unwrap();
    lab.replace("client_secret = { env = \"CXONE_CLIENT_SECRET\" }", &format!("client_secret = {{ file = {path:?} }}"));
    for (mode, told) in [(0o600, false), (0o644, true)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let outcome = lab.cxlake(&["run", "--date", "2024-01-01"]).expect(0);
        assert_eq!(outcome.stderr.contains("others can read the file of a secret"), told, "{mode:o}");
    }
}
