//! A machine that is shared with others, or that has little room.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cxlake_simulator::{CallKind, Effect, Fault, TenantSettings};

use crate::support::faults::{for_ever, on_page, small};
use crate::support::{FileFault, Lab, Outcome, Running};

const RUN: [&str; 3] = ["run", "--date", "2024-01-01"];

/// A command of the lab's under a shell's limits or settings.
fn under(lab: &Lab, prefix: &str, temporary: &Path) -> Command {
    let command = lab.command(&RUN);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("{prefix} exec \"$0\" \"$@\"")).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        shell.env(name, value.unwrap());
    }
    shell.env("TMPDIR", temporary).current_dir(lab.folder()).stdin(Stdio::null());
    shell
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// A run that is in the middle of its window.
fn in_the_middle(lab: &Lab, prefix: &str, temporary: &Path) -> Running {
    std::fs::create_dir_all(temporary).unwrap();
    lab.simulator.play(on_page(1000, Effect::Slow { delay_ms: 3_000 }));
    let run = Running::start(under(lab, prefix, temporary));
    lab.wait_for_pages(1);
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn temporary_files_are_the_users_own_and_what_a_killed_run_leaves_is_removed() {
    let lab = Lab::start(small()).await;
    let temporary = lab.folder().join("tmp");
    let run = in_the_middle(&lab, "umask 000;", &temporary);
    let left = entries(&temporary);
    assert_eq!(left.len(), 1, "{left:?}");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&left[0]), 0o700);
    for file in entries(&left[0]).iter().filter(|file| file.extension().is_some()) {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    run.signal("KILL");
    assert_eq!(run.end().code, -1);
    assert_eq!(entries(&temporary), left);
    Outcome::of(under(&lab, "umask 000;", &temporary)).expect(0);
    assert_eq!(entries(&temporary), Vec::<PathBuf>::new());
    // What is committed has the rights that the umask gives.
    let data = lab.lake().join("acme/calls/data/dt=2024-01-01/20240101T050000Z-20240102T050000Z.parquet");
    assert_eq!(mode(&data), 0o666);
    lab.compare_day(&lab.lake(), "2024-01-01", false);
}

#[tokio::test(flavor = "multi_thread")]
async fn output_that_cannot_be_written_is_no_success() {
    let lab = Lab::start(small()).await;
    let into_full = |arguments: &[&str]| {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = lab.command(arguments).stdout(full).stderr(Stdio::piped()).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    // What the run did stands all the same.
    let (code, told) = into_full(&RUN);
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("failed to write the summary to stdout: No space left on device"), "{told}");
    for command in [
        &["plan", "--date", "2024-01-02"][..],
        &["verify"],
        &["quarantine", "export"],
        &["quarantine", "show"],
        &["registry", "show"],
        &["schema", "summary"],
    ] {
        let (code, told) = into_full(command);
        assert_eq!(code, 5, "{command:?}: {told}");
        assert!(told.contains("failed to write to stdout: No space left on device"), "{command:?}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_can_be_told_a_run_ends_as_it_did() {
    let mut lab = Lab::start(small()).await;
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let run = |lab: &Lab| {
        let mut command =
            lab.command(&[&RUN[..], &["--log-format", "text", "--summary-file", "summary.json"]].concat());
        command.stdout(full()).stderr(full()).status().unwrap().code()
    };
    let summary = |lab: &Lab| std::fs::read_to_string(lab.folder().join("summary.json")).unwrap();
    assert_eq!(run(&lab), Some(0));
    assert!(summary(&lab).contains("\"exit_code\":0"));
    lab.replace("page_records", "max_window_records = 10\npage_records");
    lab.simulator.change(|tenant| tenant.seed += 1);
    assert_eq!(run(&lab), Some(2));
    assert!(summary(&lab).contains("\"exit_code\":2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_leaves_the_metrics_that_were_there() {
    let lab = Lab::start(small()).await;
    let folder = lab.folder().join("metrics");
    std::fs::create_dir(&folder).unwrap();
    let run = || lab.command(&[&RUN[..], &["--metrics-file", "metrics/cxlake.prom"]].concat());
    Outcome::of(run()).expect(0);
    let before = std::fs::read_to_string(folder.join("cxlake.prom")).unwrap();
    for at in 1..=2 {
        let mut command = run();
        FileFault { at, how: "ENOSPC" }.happen(&mut command, &folder);
        let told = Outcome::of(command).expect(0).stderr;
        assert!(told.contains("failed to write the metrics") && told.contains("No space left"), "{at}: {told}");
        assert_eq!(std::fs::read_to_string(folder.join("cxlake.prom")).unwrap(), before, "{at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_is_gone_ends_a_run_unless_nohup_was_asked_for() {
    // Whoever runs the tests may have asked for nohup too.
    let heard = "exec env --default-signal=HUP \"$0\" \"$@\";";
    for (prefix, code) in [(heard, 143), ("trap '' HUP;", 0)] {
        let lab = Lab::start(small()).await;
        let run = in_the_middle(&lab, prefix, &lab.folder().join("tmp"));
        run.signal("HUP");
        let outcome = run.end().expect(code);
        assert_eq!(outcome.summary()["exit_code"], code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn authorities_that_cannot_be_read_are_a_matter_of_the_machine() {
    let lab = Lab::start(small()).await;
    let mut command = lab.command(&RUN);
    command.env("SSL_CERT_FILE", lab.folder().join("none.pem")).env("SSL_CERT_DIR", lab.folder().join("none"));
    let outcome = Outcome::of(command).expect(2);
    assert!(outcome.complaint().contains("correct SSL_CERT_FILE"), "{}", outcome.complaint());
}

/// A proxy would be given the secret as it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_on_this_machine_is_asked_without_a_proxy() {
    let lab = Lab::start(small()).await;
    let mut command = lab.command(&RUN);
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        command.env(variable, "http://127.0.0.1:9");
    }
    Outcome::of(command).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_in_a_lake_lead_no_write_elsewhere() {
    let lab = Lab::start(small()).await;
    let precious = lab.folder().join("precious");
    std::fs::write(&precious, "keep me").unwrap();
    let name = "20240101T050000Z-20240102T050000Z";
    let report = lab.lake().join("acme/calls");
    for link in [
        report.join(format!("data/dt=2024-01-01/{name}.parquet")),
        report.join(format!("quarantine/dt=2024-01-01/{name}.parquet")),
        report.join(format!("staging/{name}.parquet.lock")),
        report.join(format!("manifests/dt=2024-01-01/{name}-000001.plan.json")),
    ] {
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(&precious, &link).unwrap();
        let outcome = lab.cxlake(&RUN);
        assert_eq!(std::fs::read_to_string(&precious).unwrap(), "keep me", "{}: {outcome:?}", link.display());
        std::fs::remove_dir_all(&report).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_is_in_one_file_system() {
    let lab = Lab::start(small()).await;
    let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
    let report = lab.lake().join("acme/calls");
    std::fs::create_dir_all(&report).unwrap();
    symlink(elsewhere.path(), report.join("data")).unwrap();
    let outcome = lab.cxlake(&RUN).expect(2);
    assert!(outcome.complaint().contains("a lake is in one file system"), "{}", outcome.complaint());
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_answers_stay_within_a_bounded_memory() {
    let clean = || TenantSettings { bad_every: 0, duplicate_every: 0, unknown_every: 0, ..small() };
    let bomb = format!("{{\"totalRecords\":0,{}\"data\":[]}}", " ".repeat(64 << 20));
    let keys: Vec<String> = (0..400_000).map(|number| format!("\"k{number}\":0")).collect();
    let many_keys = format!("{{{}}}", keys.join(","));
    let page = |record: &str| format!(r#"{{"totalRecords":1,"returnedRecords":1,"data":[{record}]}}"#);
    for (what, gzip, code, reason) in [
        (Effect::Body { text: bomb }, true, 5, "200 times its size"),
        (Effect::Body { text: page(&many_keys) }, false, 6, "length"),
        (Effect::Body { text: page(&format!("{{\"a\":{}}}", "9".repeat(7 << 20))) }, false, 6, "missing"),
        (Effect::Nested { depth: 1_000_000 }, false, 0, ""),
        (Effect::HugeRecord { bytes: 20_000_000 }, true, 0, ""),
    ] {
        let mut lab = Lab::start(TenantSettings { gzip, ..clean() }).await;
        lab.replace("retry_attempts = 4", "retry_attempts = 2");
        lab.simulator.play(for_ever(Fault { offset: Some(0), ..Fault::new(CallKind::DataDownload, what) }));
        let temporary = lab.folder().join("tmp");
        std::fs::create_dir(&temporary).unwrap();
        // The data segment, for threads' stacks and the allocator reserve more than they use.
        let outcome = Outcome::of(under(&lab, "prlimit --data=700000000 --pid=$$;", &temporary)).expect(code);
        assert!(outcome.message().contains(reason), "{}", outcome.message());
    }
}
