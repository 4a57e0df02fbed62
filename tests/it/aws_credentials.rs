//! Credentials of AWS as its own tools find them.

use std::path::PathBuf;
use std::process::Command;

use cxlake_simulator::TenantSettings;

use crate::support::{Fate, Helper, Lab, Outcome, S3Server, StoreProxy, tenant};

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
        let mut command = self.command();
        command.env("AWS_CONFIG_FILE", &file).env("AWS_PROFILE", profile).env("AWS_EC2_METADATA_DISABLED", "true");
        Outcome::of(command)
    }

    /// A run on a machine without any keys.
    fn command(&self) -> Command {
        let mut command = self.lab.command(&RUN);
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"] {
            command.env_remove(name);
        }
        command.env("AWS_CONFIG_FILE", self.lab.folder().join("none"));
        command.env("AWS_SHARED_CREDENTIALS_FILE", self.lab.folder().join("none"));
        command.env("AWS_ENDPOINT_URL_STS", format!("http://127.0.0.1:{}", self.proxy.port()));
        command
    }

    /// Runs a day as the machine that these variables make of this one; whose keys the store saw.
    fn run_on(&self, machine: &[(&str, &str)]) -> Vec<String> {
        self.proxy.rule(|_| Fate::Forwarded);
        self.lab.simulator.change(|tenant| tenant.seed += 1);
        let mut command = self.command();
        command.env("AWS_REGION", "us-east-1").envs(machine.iter().copied());
        Outcome::of(command).expect(0);
        let key = |head: &str| {
            let (_, rest) = head.split_once("credential=")?;
            Some(rest.split('/').next()?.to_uppercase())
        };
        let mut keys: Vec<String> = self.proxy.requests().iter().filter_map(|request| key(&request.head)).collect();
        keys.sort();
        keys.dedup();
        keys
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_have_identities_of_their_own() {
    let account = Account::new().await;
    let agent = Helper::start("machine_identity.py");
    let tasks = format!("http://127.0.0.1:{}/ecs", agent.port());
    let of_a_task = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", tasks.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "the task's token"),
    ];
    assert_eq!(account.run_on(&of_a_task), ["AKIAECS"]);
    let metadata = format!("http://127.0.0.1:{}", agent.port());
    assert_eq!(account.run_on(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &metadata)]), ["AKIAEC2"]);
    // A pod's role: the token of a file is exchanged for keys of the role.
    let token = account.lab.folder().join("web-identity");
    std::fs::write(&token, "a.web.token").unwrap();
    let of_a_pod = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/loader"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    let keys = account.run_on(&of_a_pod);
    assert!(keys.len() == 1 && keys[0].starts_with("ASIA"), "{keys:?}");
    let exchanged = account.proxy.requests().iter().filter(|request| request.target == "/").count();
    assert_eq!(exchanged, 1, "once for all requests of a run");
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
async fn who_has_signed_on_once_needs_no_keys() {
    let account = Account::new().await;
    let portal = Helper::start("machine_identity.py");
    let url = format!("http://127.0.0.1:{}", portal.port());
    let home = account.lab.folder().join("home");
    let cache = home.join(".aws/sso/cache");
    std::fs::create_dir_all(&cache).unwrap();
    // What `aws sso login` leaves, under the hash of the session's name.
    let token = r#"{"accessToken": "TOKEN", "expiresAt": "UNTIL", "region": "us-east-1", "startUrl": "https://acme.awsapps.com/start",
        "clientId": "a client", "clientSecret": "its secret", "refreshToken": "once more",
        "registrationExpiresAt": "2099-01-01T00:00:00Z"}"#;
    let file = cache.join("293abb6b76d7791c0732cc517d38c4b5c734b87f.json");
    let configuration = "[profile loader]\nregion = us-east-1\nsso_session = acme\nsso_account_id = 123456789012\n\
                         sso_role_name = loader\n[sso-session acme]\nsso_region = us-east-1\n\
                         sso_start_url = https://acme.awsapps.com/start\n";
    let profile = account.lab.folder().join("aws-config");
    std::fs::write(&profile, configuration).unwrap();
    let variables = [
        ("HOME", home.to_str().unwrap()),
        ("AWS_CONFIG_FILE", profile.to_str().unwrap()),
        ("AWS_PROFILE", "loader"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_ENDPOINT_URL_SSO", &url),
        ("AWS_ENDPOINT_URL_SSO_OIDC", &url),
    ];
    // Signed on, and signed on long ago: then the sign-on is refreshed.
    for (token_text, until) in [("signed on", "2099-01-01T00:00:00Z"), ("long ago", "2020-01-01T00:00:00Z")] {
        std::fs::write(&file, token.replace("TOKEN", token_text).replace("UNTIL", until)).unwrap();
        assert_eq!(account.run_on(&variables), ["AKIASSO"], "{token_text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_credentials_are_a_failure_that_says_so() {
    let account = Account::new().await;
    let outcome = account.run("nobody", "[profile nobody]\nregion = us-east-1\n").expect(5);
    assert!(outcome.message().contains("no AWS credentials: "), "{}", outcome.message());
}
