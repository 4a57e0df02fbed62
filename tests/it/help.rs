//! What `--help` says.

use std::process::Command;

fn help(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cxlake"));
    let output = command.args(arguments).arg("--help").env("COLUMNS", "100").output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn help_tells_all_there_is() {
    insta::assert_snapshot!("help", help(&[]));
    for command in [
        "init",
        "run",
        "plan",
        "load",
        "check",
        "verify",
        "vacuum",
        "registry",
        "quarantine",
        "sql",
        "report",
        "config",
        "demo",
        "schema",
        "completions",
        "man",
    ] {
        insta::assert_snapshot!(format!("help_{command}"), help(&[command]));
    }
}

#[test]
fn completions_are_made_for_each_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let output = Command::new(env!("CARGO_BIN_EXE_cxlake")).args(["completions", shell]).output().unwrap();
        assert!(String::from_utf8(output.stdout).unwrap().contains("verify"), "{shell}");
    }
}

#[test]
fn a_wrong_flag_is_a_usage_error() {
    let output = Command::new(env!("CARGO_BIN_EXE_cxlake")).args(["run", "--dat", "2024-01-01"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("--date"));
}
