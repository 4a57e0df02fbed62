//! Credentials of AWS as its own tools find them.

use std::path::PathBuf;
use std::process::Command;

use cxlake_simulator::TenantSettings;

use crate::support::{Lab, Outcome, S3Server, StoreProxy, tenant};

const RUN: [&str; 3] = ["run", "--date", "2024-01-01"];

struct Account {
    lab: Lab,
    server: S3Server,
    proxy: StoreProxy,
}

impl Account {
    async fn new() -> Self {
        let server = S3Server::start();
        let proxy = StoreProxy::start(server.port());
        let mut lab = Lab::start(TenantSettings { duplicate_every: 0, ..tenant(100) }).await;
        let local = format!("url = \"{}\"", lab.lake().display());
        lab.replace(&local, "url = \"s3://lake/cxone\"");
        lab.add(&format!("[lake.options]\nendpoint = \"http://127.0.0.1:{}\"\nallow_http = true\n", proxy.port()));
        Self { lab, server, proxy }
    }

    /// A program that gives keys that last until then, and writes down that it was asked.
    fn credential_process(&self, expiration: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let program = self.lab.folder().join("credentials.sh");
        let keys = format!(
            r#"{{"Version": 1, "AccessKeyId": "AKIAPROCESS", "SecretAccessKey": "s", "Expiration": "{expiration}"}}"#
        );
        let text = format!("#!/bin/sh\necho asked >> {}/asked\necho '{keys}'\n", self.lab.folder().display());
        std::fs::write(&program, text).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        program
    }

    fn asked(&self) -> usize {
        let asked = self.lab.folder().join("asked");
        let count = std::fs::read_to_string(&asked).unwrap_or_default().lines().count();
        drop(std::fs::remove_file(asked));
        count
    }

    /// A run under a profile of this configuration.
    fn run(&self, profile: &str, configuration: &str) -> Outcome {
        let file = self.lab.folder().join("aws-config");
        std::fs::write(&file, configuration).unwrap();
        let mut command = self.lab.command(&RUN);
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"] {
            command.env_remove(name);
        }
        command.env("AWS_CONFIG_FILE", &file).env("AWS_PROFILE", profile).env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("AWS_SHARED_CREDENTIALS_FILE", self.lab.folder().join("none"));
        command.env("AWS_ENDPOINT_URL_STS", format!("http://127.0.0.1:{}", self.proxy.port()));
        Outcome::of(command)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profiles_credentials_are_fetched_once_and_again_before_they_run_out() {
    let account = Account::new().await;
    let profile = |program: &PathBuf| {
        format!("[profile loader]\nregion = us-east-1\ncredential_process = {}\n", program.display())
    };
    let lasting = account.credential_process("2099-01-01T00:00:00Z");
    account.run("loader", &profile(&lasting)).expect(0);
    assert_eq!(account.asked(), 1, "for all requests of a run");
    // In a minute they run out: nobody relies on them for long.
    let text = Command::new("date").args(["-u", "-d", "+1 minute", "+%Y-%m-%dT%H:%M:%SZ"]).output().unwrap();
    let soon = account.credential_process(String::from_utf8(text.stdout).unwrap().trim());
    account.lab.simulator.change(|tenant| tenant.seed += 1);
    account.run("loader", &profile(&soon)).expect(0);
    assert!(account.asked() > 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_assumed_by_way_of_another() {
    let account = Account::new().await;
    let program = account.credential_process("2099-01-01T00:00:00Z");
    let role = |name: &str| format!("role_arn = arn:aws:iam::123456789012:role/{name}");
    let configuration = format!(
        "[profile base]\ncredential_process = {}\n[profile middle]\n{}\nsource_profile = base\n\
         [profile loader]\nregion = us-east-1\n{}\nsource_profile = middle\n",
        program.display(),
        role("middle"),
        role("loader"),
    );
    account.run("loader", &configuration).expect(0);
    let assumed = account.proxy.requests().iter().filter(|request| request.target == "/").count();
    assert_eq!((assumed, account.asked()), (2, 1), "one role after the other, once: {}", account.server.port());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_credentials_are_a_failure_that_says_so() {
    let account = Account::new().await;
    let outcome = account.run("nobody", "[profile nobody]\nregion = us-east-1\n").expect(5);
    assert!(outcome.message().contains("no AWS credentials: "), "{}", outcome.message());
}
