//! Several tenants in one file and one run, each with its own settings.

use cxlake_simulator::{Simulator, TenantSettings};

use crate::support::{Lab, Outcome, tenant};

/// A lab with a second tenant, `globex`, in another zone and with other metrics.
async fn two_tenants() -> (Lab, Simulator) {
    let mut lab = Lab::start(TenantSettings { duplicate_every: 0, ..tenant(100) }).await;
    let settings = TenantSettings {
        client_id: "globex".to_owned(),
        client_secret: "secret of globex".to_owned(),
        time_zone: "Asia/Kolkata".to_owned(),
        duplicate_every: 0,
        seed: 99,
        ..tenant(150)
    };
    let other = Simulator::start(settings).await.unwrap();
    other.change(|settings| drop(settings.catalog.remove(0)));
    let url = other.url();
    let report = lab.report_again("support").replace("\"acme\"", "\"globex\"");
    lab.replace(
        "[lake]",
        &format!(
            "[tenants.globex]\nauth_url = \"{url}\"\nclient_id = {{ env = \"GLOBEX_ID\" }}\n\
             client_secret = {{ env = \"GLOBEX_SECRET\" }}\n[tenants.globex.regions]\nna1 = \"{url}\"\n\
             [tenants.globex.limits]\nrequests_per_second = 500.0\nretry_attempts = 2\n\
             {report}[lake]"
        ),
    );
    (lab, other)
}

fn run(lab: &Lab, secret: &str) -> Outcome {
    let mut command = lab.command(&["run", "--date", "2024-01-01"]);
    command.env("GLOBEX_ID", "globex").env("GLOBEX_SECRET", secret);
    Outcome::of(command)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_tenant_has_its_own_zone_registry_and_token() {
    let (lab, other) = two_tenants().await;
    let summary = run(&lab, "secret of globex").expect(0).summary();
    let windows = summary["windows"].as_array().unwrap();
    let starts: Vec<&str> = windows.iter().map(|window| window["window"]["start"].as_str().unwrap()).collect();
    assert_eq!(starts, ["2024-01-01T05:00:00Z", "2023-12-31T18:30:00Z"]);
    for tenant in ["acme", "globex"] {
        assert!(lab.lake().join(tenant).join("registry/v0001.json").exists());
    }
    // No tenant sees the other's token.
    let token = |simulator: &Simulator| {
        let calls = simulator.calls();
        let tokens: std::collections::BTreeSet<String> =
            calls.iter().filter_map(|call| call.header("authorization").map(str::to_owned)).collect();
        assert_eq!(tokens.len(), 1);
        tokens
    };
    assert!(token(&lab.simulator).is_disjoint(&token(&other)));
    lab.compare_day(&lab.lake(), "2024-01-01", false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_needed_only_by_who_signs_in_with_it() {
    let (lab, _other) = two_tenants().await;
    let run = ["run", "--date", "2024-01-01"];
    let missing = lab.cxlake(&run).expect(2).message();
    assert!(missing.contains("tenants.globex.client_id: the environment variable GLOBEX_ID is not set"), "{missing}");
    assert!(lab.simulator.calls().is_empty() && !lab.lake().exists());
    lab.cxlake(&[&run[..], &["--tenant", "acme"]].concat()).expect(0);
    for command in [
        &["verify"][..],
        &["sql", "duckdb", "--tenant", "acme"],
        &["report"],
        &["quarantine", "list"],
        &["registry", "list"],
    ] {
        let mut command = lab.command(command);
        command.env_remove("CXONE_CLIENT_ID").env_remove("CXONE_CLIENT_SECRET");
        Outcome::of(command).expect(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_fails_does_not_stop_the_others() {
    let (lab, _other) = two_tenants().await;
    let outcome = run(&lab, "wrong").expect(3);
    let summary = outcome.summary();
    assert_eq!(summary["status"], "partial", "{summary}");
    // What is kept of it beside a tenant's data is about that tenant.
    let runs = std::fs::read_dir(lab.lake().join("acme/runs")).unwrap().map(|entry| entry.unwrap().path());
    let json = runs.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect::<Vec<_>>();
    let kept: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&json[0]).unwrap()).unwrap();
    assert_eq!(
        (&kept["summary"]["status"], &kept["summary"]["exit_code"], &kept["summary"]["error"]),
        (&"ok".into(), &0.into(), &serde_json::Value::Null)
    );
    assert_eq!(
        (&summary["windows"][0]["tenant"], &summary["windows"][0]["status"]),
        (&"acme".into(), &"committed".into())
    );
    lab.compare_day(&lab.lake(), "2024-01-01", false);
    // The other way round too, and the worst code counts.
    let mut command = lab.command(&["run", "--date", "2024-01-01"]);
    command.env("CXONE_CLIENT_SECRET", "wrong").env("GLOBEX_ID", "globex").env("GLOBEX_SECRET", "secret of globex");
    let summary = Outcome::of(command).expect(3).summary();
    assert_eq!(summary["status"], "partial", "{summary}");
    assert!(lab.lake().join("globex/support/data/dt=2024-01-01").exists());
}
