//! A lake lives with the rights that `docs/stores.md` names and `cxlake check` tells to grant: the
//! stores refuse all others.

use cxlake_simulator::TenantSettings;
use cxlake_sinks::lake::least_rights;
use serde_json::Value;

use crate::support::{Fate, Lab, S3Server, StoreProxy, StoreRequest, StoreServer, tenant};

const RUN: [&str; 3] = ["run", "--date", "2024-01-01"];
const VACUUM: [&str; 3] = ["vacuum", "--older-than-hours", "0"];

/// A tenant with rejects, of which some pass when they are tried again.
fn with_rejects() -> TenantSettings {
    TenantSettings { bad_every: 10, bad_rules: vec!["enum".to_owned()], duplicate_every: 0, ..tenant(100) }
}

/// The action of S3 that a request needs ("Actions, resources, and condition keys for Amazon S3").
fn s3_action(request: &StoreRequest) -> &'static str {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let has_key = path.replace("%2F", "/").trim_matches('/').contains('/');
    let asks = |name: &str| query.split('&').any(|part| part.split('=').next() == Some(name));
    match (request.method.as_str(), has_key) {
        ("GET" | "HEAD", true) if query.is_empty() || asks("x-id") => "s3:GetObject",
        ("GET", false) if asks("list-type") => "s3:ListBucket",
        ("GET", false) if asks("uploads") => "s3:ListBucketMultipartUploads",
        ("PUT", true) if !asks("acl") && !asks("tagging") => "s3:PutObject",
        ("POST", true) if asks("uploads") || asks("uploadId") => "s3:PutObject",
        ("DELETE", true) if asks("uploadId") => "s3:AbortMultipartUpload",
        ("DELETE", true) => "s3:DeleteObject",
        ("POST", false) if asks("delete") => "s3:DeleteObject",
        _ => "another",
    }
}

/// The permission of GCS ("IAM permissions for XML requests").
fn gcs_permission(request: &StoreRequest) -> &'static str {
    match s3_action(request) {
        "s3:GetObject" => "storage.objects.get",
        "s3:PutObject" => "storage.objects.create",
        "s3:ListBucket" => "storage.objects.list",
        "s3:DeleteObject" => "storage.objects.delete",
        _ => "another",
    }
}

/// The data action of Azure ("Authorize with Microsoft Entra ID", operations of Blob Storage).
fn azure_action(request: &StoreRequest) -> &'static str {
    let is_container = request.target.contains("restype=container");
    match request.method.as_str() {
        "GET" if is_container && request.target.contains("comp=list") => "blobs/read",
        "GET" | "HEAD" if !is_container => "blobs/read",
        "PUT" if !is_container => "blobs/write",
        "DELETE" if !is_container => "blobs/delete",
        // A batch is authorized by what it holds, and holds deletes only.
        "POST" if is_container && request.target.ends_with("comp=batch") => "blobs/delete",
        _ => "another",
    }
}

/// Refuses what the rights do not allow; and what is not the lake's.
fn grant(proxy: &StoreProxy, action: fn(&StoreRequest) -> &'static str, granted: &[&str]) {
    let granted: Vec<String> = granted.iter().map(|right| (*right).to_owned()).collect();
    proxy.rule(move |request| {
        // The bodies of these name keys.
        let is_of_bucket = ["prefix=", "?delete", "comp=batch"].iter().any(|part| request.target.contains(part));
        let is_own = is_of_bucket || request.target.replace("%2F", "/").contains("/lake/cxone/");
        if is_own && granted.iter().any(|right| right == action(request)) {
            Fate::Forwarded
        } else {
            Fate::Refused(403, "AccessDenied")
        }
    });
}

/// All that is done with a lake, but for vacuum.
fn lives(lab: &Lab) {
    lab.cxlake(&["check"]).expect(0);
    lab.cxlake(&["plan", "--date", "2024-01-01"]).expect(0);
    for _ in 0..2 {
        assert_eq!(lab.cxlake(&RUN).expect(0).statuses(), ["committed"]);
        lab.simulator.change(|tenant| tenant.seed += 1);
    }
    lab.cxlake(&["quarantine", "list"]).expect(0);
    lab.simulator.change(|settings| settings.catalog[1].allowed_values = None);
    lab.cxlake(&["registry", "show"]).expect(0);
    assert_eq!(lab.cxlake(&["run", "--date", "2024-01-02"]).expect(0).statuses(), ["committed"]);
    let replayed = lab.cxlake(&["quarantine", "replay", "--date", "2024-01-01"]).expect(0);
    assert_eq!(replayed.statuses(), ["committed"]);
    lab.cxlake(&["verify"]).expect(0);
    lab.cxlake(&["report", "--output", lab.folder().join("report.html").to_str().unwrap()]).expect(0);
}

/// The same on a store whose rights are these, and vacuum with the one to delete.
fn lives_with(
    lab: &Lab,
    proxy: &StoreProxy,
    action: fn(&StoreRequest) -> &'static str,
    rights: &[&str],
    to_delete: &[&str],
) {
    grant(proxy, action, rights);
    lives(lab);
    if !to_delete.is_empty() {
        let told = lab.cxlake(&VACUUM).expect(5);
        assert!(told.stderr.contains("needs the right to "), "{}", told.stderr);
    }
    grant(proxy, action, &[rights, to_delete].concat());
    let removed = lab.cxlake(&VACUUM).expect(0).stdout;
    assert!(removed.contains("(superseded plan, "), "{removed}");
    // Each of them is needed.
    for right in rights {
        let others: Vec<&str> = rights.iter().copied().filter(|other| other != right).collect();
        grant(proxy, action, &others);
        lab.simulator.change(|tenant| tenant.seed += 1);
        if ["s3:AbortMultipartUpload", "storage.objects.delete"].contains(right) {
            continue;
        }
        let message = lab.cxlake(&RUN).expect(5).message();
        assert!(message.contains("AccessDenied"), "without {right}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_on_s3_lives_with_the_policy_that_is_told() {
    let server = S3Server::that_joins_parts_on_conditions();
    let proxy = StoreProxy::start(server.port());
    let options = server.options().replace(&server.port().to_string(), &proxy.port().to_string());
    let lab = Lab::on_store(with_rejects(), "s3://lake/cxone", &options).await;
    let policy = least_rights("s3://lake/cxone").unwrap();
    let policy: Value = serde_json::from_str(policy.split("; ").next().unwrap()).unwrap();
    let actions = policy["Statement"].as_array().unwrap().iter().flat_map(|statement| match &statement["Action"] {
        Value::Array(actions) => actions.iter().map(|action| action.as_str().unwrap()).collect(),
        action => vec![action.as_str().unwrap()],
    });
    let rights: Vec<&str> = actions.collect();
    lives_with(&lab, &proxy, s3_action, &rights, &["s3:DeleteObject", "s3:ListBucketMultipartUploads"]);
    grant(&proxy, s3_action, &["s3:GetObject", "s3:PutObject"]);
    let message = lab.cxlake(&RUN).expect(5).message();
    assert!(message.contains("failed to list"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_on_gcs_lives_with_the_permissions_that_are_told() {
    let (lab, _server, proxy) = StoreServer::gcs().behind_a_proxy(with_rejects()).await;
    let rights = ["storage.objects.get", "storage.objects.create", "storage.objects.list"];
    lives_with(&lab, &proxy, gcs_permission, &rights, &["storage.objects.delete"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_on_azure_lives_with_what_a_contributor_of_blobs_may() {
    let (lab, _server, proxy) = StoreServer::azure().behind_a_proxy(with_rejects()).await;
    lives_with(&lab, &proxy, azure_action, &["blobs/read", "blobs/write"], &["blobs/delete"]);
}
