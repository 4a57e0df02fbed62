//! Bad input gets one clear error with a hint and the right exit code, and loses nothing.

use cxlake_simulator::{CallKind, Effect, Fault, Metric, TenantSettings};

use crate::support::{Lab, Outcome, tenant};

const RUN: [&str; 3] = ["run", "--date", "2024-01-01"];

/// The complaint, with the parts that differ from run to run left out.
fn complaint(lab: &Lab, outcome: &Outcome) -> String {
    let text = outcome.complaint().replace(lab.folder().to_str().unwrap(), "…");
    text.replace(&lab.simulator.url(), "http://tenant")
}

/// A change that makes the run end with `code`; the complaint is a snapshot, and no window is there.
async fn check(name: &str, code: i32, settings: TenantSettings, change: impl FnOnce(&mut Lab)) {
    let mut lab = Lab::start(settings).await;
    change(&mut lab);
    let outcome = lab.cxlake(&RUN).expect(code);
    assert_eq!(outcome.summary()["exit_code"], code);
    insta::assert_snapshot!(name, complaint(&lab, &outcome));
    assert!(!lab.lake().join("acme/calls/data").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn configuration_errors_are_named() {
    check("unknown_key", 2, tenant(10), |lab| lab.replace("page_records", "page_record")).await;
    check("missing_secret", 2, tenant(10), |lab| lab.replace("CXONE_CLIENT_SECRET", "OTHER_SECRET")).await;
    check("unknown_store", 2, tenant(10), |lab| {
        let local = format!("url = \"{}\"", lab.lake().display());
        lab.replace(&local, "url = \"ftp://lake\"");
    })
    .await;
    check("unknown_metric", 2, tenant(10), |lab| {
        lab.replace("custom_metrics = \"*\"", "custom_metrics = [\"Sentiment Confidence\"]");
    })
    .await;
    check("draft_metric", 2, tenant(10), |lab| {
        let draft = lab.simulator.settings().catalog.into_iter().find(|metric| metric.status == "draft").unwrap();
        lab.replace("custom_metrics = \"*\"", &format!("custom_metrics = [\"{}\"]", draft.id));
    })
    .await;
    check("other_time_zone", 2, tenant(10), |lab| {
        lab.replace("[tenants.acme.regions]", "time_zone = \"Europe/Berlin\"\n[tenants.acme.regions]");
    })
    .await;
}

/// What is wrong in the part of one tenant stops a run of another before any call.
#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_is_checked_whole_before_anybody_is_called() {
    let mut lab = Lab::start(tenant(10)).await;
    let secret = |name: &str| format!("{{ env = \"CXONE_CLIENT_{name}\" }}");
    lab.add(&format!(
        "\n[tenants.beta]\nauth_url = \"https://beta.example\"\nclient_id = {}\nclient_secret = {}\n#here\n\
         [tenants.beta.regions]\nna1 = \"https://na1.beta.example\"\n[reports.other]\ntenant = \"beta\"\n\
         report = \"Other\"\ngroup_by = [\"agentId\"]\nkey = [\"agentId\"]\n",
        secret("ID"),
        secret("SECRET"),
    ));
    for (wrong, reason) in [
        (
            "limits = { quiet_hours = [\"25:00-26:00\"] }",
            "tenants.beta.limits.quiet_hours: \"25:00-26:00\" names no hours",
        ),
        ("registry_url = \"ftp://x/y\"", "tenants.beta.registry_url: there is no store for ftp://"),
        ("custom_metrics = { cm_a = { schema = { minLenght = 3 } } }", "did you mean \"minLength\"?"),
        ("[reports.other.columns]\nagentId = { pattern = \"(\" }", "reports.other.columns.agentId: "),
    ] {
        lab.replace("#here", wrong);
        for command in [&["run", "--date", "2024-01-01", "--report", "calls"][..], &["check"], &["registry", "sync"]] {
            let outcome = lab.cxlake(command).expect(2);
            assert!(outcome.complaint().contains(reason), "{}", outcome.complaint());
            assert!(outcome.complaint().contains(": line "), "{}", outcome.complaint());
        }
        lab.replace(wrong, "#here");
    }
    assert!(lab.simulator.calls().is_empty());
    lab.cxlake(&["run", "--date", "2024-01-01", "--report", "calls"]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_manifest_is_no_matter_of_another_try() {
    let lab = Lab::start(tenant(10)).await;
    lab.cxlake(&RUN).expect(0);
    let manifests = lab.lake().join("acme/calls/manifests/dt=2024-01-01");
    let done = manifests.join("20240101T050000Z-20240102T050000Z-000001.done.json");
    std::fs::write(&done, "{\"format\":").unwrap();
    let hint = "hint: restore it as it was, or remove it and run its window again";
    assert!(lab.cxlake(&RUN).expect(10).complaint().contains(hint));
    std::fs::remove_file(done).unwrap();
    assert_eq!(lab.cxlake(&RUN).expect(0).statuses(), ["committed"]);
    lab.cxlake(&["verify"]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_two_metrics_share_is_refused_with_their_ids() {
    let mut settings = tenant(10);
    let twin = Metric::new("cm_ffffffffffffffff", &settings.catalog[0].display_name, "number");
    settings.catalog.push(twin);
    check("shared_name", 2, settings, |lab| {
        lab.replace("custom_metrics = \"*\"", "custom_metrics = [\"Sentiment Confidence Score\"]");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_is_not_there_is_named() {
    let lab = Lab::start(tenant(10)).await;
    let outcome = lab.cxlake(&["run", "--date", "2024-01-01", "--config", "other.toml"]).expect(2);
    insta::assert_snapshot!(complaint(&lab, &outcome));
    assert_eq!(outcome.summary()["status"], "failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_window_is_refused_with_airflows_remedy() {
    let lab = Lab::start(tenant(10)).await;
    let empty = "2024-01-02T05:00:00Z/2024-01-02T05:00:00Z";
    insta::assert_snapshot!("empty_window", complaint(&lab, &lab.cxlake(&["run", "--window", empty]).expect(2)));
    let utc = "2024-01-01T00:00:00Z/2024-01-02T00:00:00Z";
    insta::assert_snapshot!("window_off_border", complaint(&lab, &lab.cxlake(&["run", "--window", utc]).expect(2)));
    lab.cxlake(&["run", "--from", "2024-01-02", "--to", "2024-01-02"]).expect(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_has_not_settled_waits() {
    let mut lab = Lab::start(tenant(10)).await;
    lab.replace("page_records = 500", "page_records = 500\nsettle_delay_mins = 5000000");
    let outcome = lab.cxlake(&RUN).expect(5);
    assert!(outcome.summary()["retry_after_seconds"].as_u64().unwrap() > 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_is_not_allowed_gets_no_call() {
    for region in ["eu1", "evil.example/#", "na1@evil.example", "../na1"] {
        let mut settings = tenant(10);
        settings.region = region.to_owned();
        let lab = Lab::start(settings).await;
        let outcome = lab.cxlake(&RUN).expect(3);
        let paths: Vec<String> = lab.simulator.calls().into_iter().map(|call| call.path).collect();
        assert_eq!(paths, ["/api/v2/oauth/token"]);
        if region == "eu1" {
            insta::assert_snapshot!("region_not_allowed", complaint(&lab, &outcome));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wrong_tenant_is_refused() {
    let mut settings = tenant(10);
    settings.users_me_tenant_id = Some("t-9".to_owned());
    check("wrong_tenant", 3, settings, |_| {}).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_told_with_the_guides_requirements() {
    let lab = Lab::start(tenant(10)).await;
    let output = lab.command(&RUN).env("CXONE_CLIENT_SECRET", "canary-wrong").output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!stderr.contains("canary-wrong"));
    insta::assert_snapshot!(redact_request(&crate::support::complaint(&stderr)));
}

/// The text without the request's id.
fn redact_request(text: &str) -> String {
    match (text.find("(request "), text.find(')')) {
        (Some(start), Some(end)) if start < end => format!("{}(request …{}", &text[..start], &text[end..]),
        _ => text.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_that_cannot_be_written_is_named() {
    let mut lab = Lab::start(tenant(10)).await;
    let local = format!("url = \"{}\"", lab.lake().display());
    lab.replace(&local, "url = \"/proc/lake\"");
    let outcome = lab.cxlake(&RUN).expect(5);
    insta::assert_snapshot!(complaint(&lab, &outcome));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_answers_html_is_told_so() {
    let mut lab = Lab::start(tenant(10)).await;
    lab.replace("retry_attempts = 4", "retry_attempts = 2");
    lab.simulator.play(Fault { times: 0, ..Fault::new(CallKind::DataDownload, Effect::Html) });
    let outcome = lab.cxlake(&RUN).expect(5);
    insta::assert_snapshot!(complaint(&lab, &outcome));
    assert!(!lab.lake().join("acme/calls/data").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_is_not_there_is_told_so() {
    let mut lab = Lab::start(tenant(10)).await;
    let url = lab.simulator.url();
    lab.replace(&format!("auth_url = \"{url}\""), "auth_url = \"http://127.0.0.1:9\"");
    lab.replace("retry_attempts = 4", "retry_attempts = 2");
    let outcome = lab.cxlake(&RUN).expect(5);
    assert!(outcome.message().starts_with("failed to get a token: cannot connect"), "{}", outcome.message());
}
