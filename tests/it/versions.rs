//! A lake whose files are of many registry versions, read as one table.

use std::path::Path;

use cxlake_simulator::{Metric, TenantSettings};

use crate::support::{Lab, python, tenant};

/// Runs eight days, each under another version of the registry.
async fn lake_of_eight_versions() -> Lab {
    let lab = Lab::start(TenantSettings { duplicate_every: 0, ..tenant(300) }).await;
    let changes: [fn(&mut Vec<Metric>); 8] = [
        |_| {},
        |catalog| catalog[0].display_name = "Mood".to_owned(),
        |catalog| retype(&mut catalog[2], "string"),
        |catalog| catalog.push(Metric::new("cm_aaaaaaaaaaaaaaaa", "Brand New", "boolean")),
        |catalog| catalog[3].status = "retired".to_owned(),
        |catalog| retype(&mut catalog[4], "integer"),
        |catalog| retype(&mut catalog[2], "integer"),
        |catalog| catalog[3].status = "published".to_owned(),
    ];
    for (day, change) in (1..).zip(changes) {
        lab.simulator.change(|settings| change(&mut settings.catalog));
        let date = format!("2024-01-0{day}");
        let summary = lab.cxlake(&["run", "--date", &date]).expect(0).summary();
        assert_eq!(summary["windows"][0]["registry_version"], day, "{summary}");
    }
    lab
}

fn retype(metric: &mut Metric, data_type: &str) {
    *metric = Metric::new(&metric.id, &metric.display_name, data_type);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reader_gives_each_value_as_its_file_holds_it() {
    let lab = lake_of_eight_versions().await;
    let data = lab.lake().join("acme/calls/data");
    let older = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python/duckdb-1.1");
    assert!(older.exists(), "`make test` installs it");
    let older = format!("duckdb={}", older.display());
    let mut seen: Vec<String> = ["duckdb", &older, "pyarrow", "polars"]
        .map(|engine| python("read_versions.py", &[engine, data.to_str().unwrap()]))
        .to_vec();
    seen.dedup();
    assert_eq!(seen.len(), 1, "they read the same: {seen:?}");
    // Three columns came, and none went: a metric that went back to its type went back to its column.
    let columns: usize = seen[0].split(' ').nth(1).unwrap().parse().unwrap();
    assert_eq!(columns, 1 + 4 + 4 + 8 + 3 + 2);
    lab.cxlake(&["verify"]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_of_the_first_format_are_read_for_ever() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/registry/format-1");
    let mut lab = Lab::start(tenant(50)).await;
    let registry = lab.lake().join("acme/registry");
    std::fs::create_dir_all(&registry).unwrap();
    let versions: Vec<String> = (1..=8).map(|version| format!("v{version:04}.json")).collect();
    for version in &versions {
        std::fs::copy(golden.join(version), registry.join(version)).unwrap();
    }
    let listed = lab.cxlake(&["registry", "list"]).expect(0).stdout;
    assert_eq!(listed.lines().count(), versions.len(), "{listed}");
    for number in 1..=8 {
        lab.cxlake(&["registry", "show", &number.to_string(), "--json-schema"]).expect(0);
    }
    assert!(lab.cxlake(&["registry", "diff", "2", "3"]).expect(0).stdout.contains("was integer, is now string"));
    lab.replace("custom_metrics = \"*\"", "custom_metrics = [\"Mood\"]");
    // The newest golden version knows the name of another time, and the next version follows it.
    let summary = lab.cxlake(&["run", "--date", "2024-01-01"]).expect(0).summary();
    assert_eq!(summary["windows"][0]["registry_version"], 9, "{summary}");
    assert!(summary["warnings"].to_string().contains("earlier name"), "{summary}");
}
