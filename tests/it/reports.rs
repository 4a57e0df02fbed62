//! The page of runs, and what is kept of each run in the lake.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cxlake_simulator::{CallKind, Fault};
use serde_json::{Value, json};

use crate::support::faults::{small, status};
use crate::support::{Lab, Outcome, python, slow_down, tenant};

const RUN: [&str; 3] = ["run", "--date", "2024-01-01"];

/// What is kept of the runs, oldest first: the JSON and the page of each.
fn kept(lab: &Lab) -> Vec<(Value, String)> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(lab.lake().join("acme/runs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let json = files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "json"));
    json.map(|file| {
        let page = std::fs::read_to_string(file.with_extension("html")).unwrap();
        (serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap(), page)
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_disk_holds_up_what_comes_before_it_and_the_report_says_so() {
    const BYTES_PER_SECOND: u64 = 2 << 20;
    let mut lab = Lab::start(tenant(100_000)).await;
    // Small row groups reach the disk while the window is read.
    lab.add("[lake.parquet]\nrow_group_rows = 2000\n");
    let temporary = lab.folder().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let mut run = lab.command(&RUN);
    slow_down(run.env("TMPDIR", &temporary), &temporary, BYTES_PER_SECOND);
    Outcome::of(run).expect(0);
    lab.compare_day(&lab.lake(), "2024-01-01", false);
    let (report, _) = &kept(&lab)[0];
    let milliseconds = |stage: &str| report["details"][0]["stages"][stage].as_u64().unwrap();
    for (work, wait) in [("typing", "typing_waits_for_writing"), ("fetching", "fetching_waits_for_typing")] {
        assert!(milliseconds(wait) > milliseconds(work), "{}", report["details"][0]["stages"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_run_is_kept_with_its_summary_its_times_and_its_rejects() {
    let lab = Lab::start(tenant(400)).await;
    let summary = lab.cxlake(&RUN).expect(0).summary();
    lab.simulator.play(Fault { times: 0, ..Fault::new(CallKind::DataDownload, status(400, None)) });
    lab.cxlake(&RUN).expect(2);
    let kept = kept(&lab);
    assert_eq!(kept.len(), 2);
    let (first, page) = &kept[0];
    assert_eq!(first["summary"], summary);
    assert!(first["details"][0]["stages"]["typing_waits_for_pages"].is_u64(), "{first}");
    let rejects = first["details"][0]["rejects"].as_array().unwrap();
    let rejected: u64 = rejects.iter().map(|rejects| rejects["records"].as_u64().unwrap()).sum();
    assert_eq!(Some(rejected), summary["windows"][0]["rows"]["quarantined"].as_u64());
    assert!(page.contains(summary["run_id"].as_str().unwrap()) && page.contains("</html>"));
    let failed = &kept[1].0["summary"];
    assert_eq!((&failed["exit_code"], &failed["windows"][0]["status"]), (&Value::from(2), &Value::from("failed")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_the_days_that_are_asked_for_and_needs_no_network() {
    let lab = Lab::start(tenant(400)).await;
    lab.cxlake(&["run", "--from", "2024-01-01", "--to", "2024-01-03"]).expect(0);
    let file = lab.folder().join("page.html").display().to_string();
    assert_eq!(lab.cxlake(&["report", "--output", &file]).expect(0).stdout, format!("{file}\n"));
    let page = std::fs::read_to_string(&file).unwrap();
    for part in
        ["Rows by day", "Rows by hour", "Runs", "Reconciliation", "2024-01-02", "adds up", "<svg", "duplicate_key"]
    {
        assert!(page.contains(part), "{part}");
    }
    for outside in ["<script", "<link", "src=", "url(", "@import"] {
        assert!(!page.contains(outside), "{outside}");
    }
    let one = lab.cxlake(&["report", "--date", "2024-01-02", "--output", "-"]).expect(0).stdout;
    assert!(one.contains("2024-01-02T05:00:00Z") && !one.contains("2024-01-01T05:00:00Z to"), "{one}");
    assert!(lab.cxlake(&["report", "--output", "/missing/page.html"]).expect(2).complaint().contains("--output"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_the_tenants_is_text_on_the_page() {
    let mut lab = Lab::start(tenant(400)).await;
    lab.simulator.change(|settings| settings.catalog[0].display_name = "<script>alert(1)</script>".to_owned());
    lab.replace("[reports.calls.columns]", "[reports.calls.columns]\ndispositionCode = { pattern = \"^<b>\" }");
    lab.replace("max_quarantined_percent = 20.0", "max_quarantined_percent = 100.0");
    lab.add("\n[quarantine]\nmask = [\"/agentId\"]\n");
    lab.cxlake(&RUN).expect(0);
    let page = lab.cxlake(&["report", "--output", "-"]).expect(0).stdout;
    assert!(!page.contains("<script>") && !page.contains("<b>"), "{page}");
    assert!(page.contains("^&lt;b&gt;"), "{page}");
    assert!(page.contains("agentId&quot;: &quot;***&quot;") && !page.contains("agentId&quot;: &quot;a"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_can_be_read_on_a_desk_and_on_a_phone_by_day_and_by_night() {
    let mut lab = Lab::start(tenant(400)).await;
    lab.simulator.change(|settings| settings.catalog[0].display_name = "<script>alert(1)</script>".to_owned());
    let pattern = "^(<script>alert(2)</script>|<img src=x onerror=alert(3)>)$";
    lab.replace(
        "[reports.calls.columns]",
        &format!("[reports.calls.columns]\ndispositionCode = {{ pattern = \"{pattern}\" }}"),
    );
    lab.replace("max_quarantined_percent = 20.0", "max_quarantined_percent = 100.0");
    lab.cxlake(&["run", "--from", "2024-01-01", "--to", "2024-01-03"]).expect(0);
    let file = lab.folder().join("page.html").display().to_string();
    lab.cxlake(&["report", "--output", &file]).expect(0);
    let screenshots = std::env::var("CXLAKE_TEST_SCREENSHOTS").unwrap_or_default();
    let shown = python("browse.py", &[&file, &screenshots]);
    let shown: BTreeMap<String, Value> = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown.len(), 4);
    for (view, seen) in &shown {
        assert_eq!((&seen["requests"], &seen["complaints"]), (&json!([]), &json!([])), "{view}: {seen}");
        assert_eq!((&seen["scripts"], &seen["too_wide"]), (&json!(0), &json!(0)), "{view}: {seen}");
        assert!(seen["charts"].as_u64().unwrap() >= 2 && seen["title"] != "", "{view}: {seen}");
        assert!(seen["least_contrast"].as_f64().unwrap() >= 4.5, "{view}: {seen}");
    }
    assert_ne!(shown["phone light"]["background"], shown["phone dark"]["background"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_report_that_cannot_be_kept_fails_no_run() {
    let lab = Lab::start(small()).await;
    lab.cxlake(&RUN).expect(0);
    std::fs::remove_dir_all(lab.lake().join("acme/runs")).unwrap();
    std::fs::write(lab.lake().join("acme/runs"), "in the way").unwrap();
    let outcome = lab.cxlake(&RUN).expect(0);
    assert!(outcome.stderr.contains("the run's report was not kept"), "{}", outcome.stderr);
}
