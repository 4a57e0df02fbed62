//! Warehouses that refuse, fail, or hold something else.

use std::time::{Duration, Instant};

use cxlake_simulator::TenantSettings;
use serde_json::Value;

use crate::support::{Fate, Running, SnowflakeServer, tenant};
use crate::warehouses::House;

const DAY: [&str; 2] = ["--date", "2024-01-01"];

fn small() -> TenantSettings {
    TenantSettings { duplicate_every: 0, ..tenant(60) }
}

/// What a load's failure says, with its hint.
fn complaint(summary: &Value) -> String {
    format!("{} | {}", summary["error"]["message"].as_str().unwrap(), summary["error"]["hint"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_load_fails_ends_with_8_and_load_goes_on() {
    let mut house = House::snowflake(small()).await;
    let key = "private_key = ";
    house.lab.replace(key, "token = { env = \"PAT\" }\n# private_key = ");
    let with_token = |house: &House, token: &str, arguments: &[&str]| {
        let mut command = house.lab.command(arguments);
        command.env("PAT", token);
        Running::start(command).end()
    };
    // As people write names without quotes.
    for name in ["\"LAKE\"", "\"CXONE\""] {
        house.lab.replace(name, &name.to_lowercase());
    }
    let summary = with_token(&house, "wrong", &["run", "--date", "2024-01-01"]).expect(8).summary();
    assert_eq!(summary["status"], "partial");
    assert_eq!(summary["windows"][0]["status"], "committed");
    assert_eq!(House::statuses(&summary), ["failed"]);
    assert!(complaint(&summary).contains("401"), "{summary}");
    assert!(complaint(&summary).contains("RSA_PUBLIC_KEY_FP"), "{summary}");
    let outcome = with_token(&house, SnowflakeServer::TOKEN, &["load", "-vv"]).expect(0);
    assert_eq!(House::statuses(&outcome.summary()), ["loaded"]);
    assert!(!outcome.stderr.contains(SnowflakeServer::TOKEN), "a token is a secret");
    house.holds_the_lake("data", "calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_load_ends_what_snowflake_does_for_it() {
    let house = House::snowflake(small()).await;
    house.lab.cxlake(&["run", "--date", "2024-01-01"]).expect(0);
    house.warehouse.sql("DELETE FROM calls");
    house.warehouse.sql("DELETE FROM _cxlake_loads WHERE sequence > 0");
    house.proxy.rule(|_| Fate::Forwarded);
    house.slow_snowflake(1.0);
    let mut command = house.lab.command(&["load"]);
    command.env("CXLAKE_VERBOSE", "0");
    let mut load = Running::start(command);
    // It waits for a statement by its handle.
    let waits = || house.proxy.requests().iter().any(|request| request.method == "GET");
    let started = Instant::now();
    while !waits() && started.elapsed() < Duration::from_secs(20) && !load.has_ended() {
        std::thread::sleep(Duration::from_millis(10));
    }
    load.signal("TERM");
    let summary = load.end().expect(143).summary();
    assert_eq!(summary["status"], "interrupted");
    let cancelled = house.proxy.requests().iter().filter(|request| request.target.ends_with("/cancel")).count();
    assert_eq!(cancelled, 1);
    house.slow_snowflake(0.0);
    assert_eq!(House::statuses(&house.load(0)), ["loaded"]);
    house.holds_the_lake("data", "calls");
}

/// A table that lacks a column is widened, or under "freeze" refused with what to do; one whose
/// column is of another type is refused; nobody else's table is touched.
async fn tables_are_compared_before_they_are_loaded(mut house: House, wrong_type: &str) {
    house.run(&DAY, 0);
    house.lab.replace("load_quarantine = true", "");
    house.lab.simulator.change(|tenant| {
        tenant.catalog.push(cxlake_simulator::Metric::new("cm_aaaaaaaaaaaaaaaa", "Brand New", "boolean"));
    });
    assert_eq!(House::statuses(&house.run(&DAY, 0)), ["loaded"], "a new column");
    house.holds_the_lake("data", "calls");

    house.lab.replace("max_quarantined_percent", "new_metric = \"freeze\"\nmax_quarantined_percent");
    house.warehouse.sql("ALTER TABLE TABLE_OF calls DROP COLUMN cm_aaaaaaaaaaaaaaaa");
    house.warehouse.sql("DELETE FROM TABLE_OF calls WHERE report_date = '2024-01-01'");
    let refused = complaint(&house.load(8)).to_lowercase();
    assert!(refused.contains("lacks cm_aaaaaaaaaaaaaaaa") && refused.contains("\"freeze\""), "{refused}");
    assert!(refused.contains("alter table") && refused.contains("add column"), "{refused}");

    house.warehouse.sql(&format!("ALTER TABLE TABLE_OF calls ADD COLUMN cm_aaaaaaaaaaaaaaaa {wrong_type}"));
    let refused = complaint(&house.load(8)).to_lowercase();
    assert!(refused.contains("cm_aaaaaaaaaaaaaaaa is") && refused.contains("not bool"), "{refused}");
    assert!(refused.contains("rename column"), "{refused}");

    house.lab.replace("[reports.calls]", "[reports.others]");
    house.lab.replace("[reports.calls.columns]", "[reports.others.columns]");
    house.lab.replace("[reports.calls.policy]", "[reports.others.policy]");
    house.lab.replace("load = [", "table = \"calls\"\nload = [");
    let refused = complaint(&house.run(&DAY, 8));
    assert!(refused.contains("it holds acme/calls") && refused.contains("table = \"acme_others\""), "{refused}");
    let refused = complaint(&house.run(&["--date", "2024-01-02"], 8));
    assert!(refused.contains("it holds acme/calls"), "of another day too: {refused}");

    house.warehouse.sql("CREATE TABLE TABLE_OF theirs (report_date DATE, interaction_id STRING)");
    house.warehouse.sql("INSERT INTO TABLE_OF theirs (interaction_id) VALUES ('x')");
    house.lab.replace("table = \"calls\"", "table = \"theirs\"");
    let refused = complaint(&house.load(8));
    assert!(refused.contains("it has rows that are not cxlake's"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn snowflake_tables_are_compared_before_they_are_loaded() {
    tables_are_compared_before_they_are_loaded(House::snowflake(small()).await, "VARCHAR").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn big_query_tables_are_compared_before_they_are_loaded() {
    tables_are_compared_before_they_are_loaded(House::big_query(small()).await, "STRING").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_not_what_the_manifests_say_leaves_no_trace() {
    let mut house = House::snowflake(small()).await;
    house.lab.replace("load_quarantine = true", "");
    let proof = "SELECT TO_NUMBER(CASE WHEN COUNT";
    house
        .before_in_snowflake(proof, "DELETE FROM calls WHERE interaction_id = (SELECT MIN(interaction_id) FROM calls)");
    let refused = complaint(&house.run(&DAY, 8));
    assert!(refused.contains("rows: the manifests say 58, the table has 57"), "{refused}");
    house.before_in_snowflake(proof, "UPDATE calls SET duration = duration + 1");
    let refused = complaint(&house.load(8));
    assert!(refused.contains("sum of duration: the manifests say"), "{refused}");
    house.before_in_snowflake(proof, "UPDATE calls SET hold_time = NULL");
    let refused = complaint(&house.load(8));
    assert!(refused.contains("values of hold_time: the manifests say"), "{refused}");
    assert_eq!(house.warehouse.sql("SELECT COUNT(*) FROM calls")[0][0].as_deref(), Some("0"));
    // A newer load that was there first is not written over.
    let newer = "INSERT INTO _cxlake_loads (table_name, owner, report_date, sequence, content_sha256) SELECT 'calls', \
                 'acme/calls', '2024-01-01'::DATE, 99, 'newer'";
    house.before_in_snowflake("BEGIN", newer);
    let refused = complaint(&house.load(8));
    assert!(refused.contains("the warehouse holds commit 99 of it, and the lake only 1"), "{refused}");
    assert_eq!(house.warehouse.sql("SELECT COUNT(*) FROM calls")[0][0].as_deref(), Some("0"));
    house.warehouse.sql("DELETE FROM _cxlake_loads WHERE sequence > 0");
    assert_eq!(House::statuses(&house.load(0)), ["loaded"]);
    house.holds_the_lake("data", "calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_that_points_elsewhere_is_found_out() {
    let mut house = House::snowflake(small()).await;
    let checked = house.lab.cxlake(&["check"]).expect(0).stdout;
    for line in ["warehouse house: sign in", "warehouse house: tables", "LAKE_STAGE points at the lake"] {
        assert!(checked.contains(line), "{checked}");
    }
    house.warehouse.sql("CREATE STAGE OTHER_STAGE url = 's3://other/cxone/'");
    house.lab.replace("stage = \"LAKE_STAGE\"", "stage = \"OTHER_STAGE\"");
    let outcome = house.lab.cxlake(&["check"]).expect(8);
    assert!(outcome.stdout.contains("s3://other/cxone/"), "{outcome:?}");
    assert!(complaint(&house.run(&DAY, 8)).contains("STORAGE_INTEGRATION"));
    house.lab.replace("stage = \"OTHER_STAGE\"", "stage = \"NO_STAGE\"");
    assert!(complaint(&house.load(8)).contains("there is none"));
}

/// A job that has read what stood in the files before must not end after one that has read what
/// stands there now.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_job_never_follows_a_newer_one() {
    let mut house = House::big_query(small()).await;
    house.lab.replace("load_quarantine = true", "");
    house.proxy.rule(|_| Fate::Forwarded);
    house.hold_big_query(4.0);
    let older = Running::start(house.lab.command(&["run", "--date", "2024-01-01"]));
    let looks = || house.proxy.requests().iter().filter(|request| request.target.contains("_a1")).count();
    let started = Instant::now();
    while looks() < 4 && started.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    older.signal("KILL");
    drop(older);
    house.lab.simulator.change(|tenant| tenant.seed += 1);
    assert_eq!(House::statuses(&house.run(&DAY, 0)), ["loaded"]);
    std::thread::sleep(Duration::from_secs(4));
    house.holds_the_lake("data", "calls");
    // What was loaded is forgotten, and the table is another: the job of then proves nothing.
    house.warehouse.sql("DELETE FROM TABLE_OF _cxlake_loads WHERE true");
    house.warehouse.sql("DELETE FROM TABLE_OF calls WHERE true");
    let summary = house.load(0);
    let job = summary["windows"][0]["load"]["house"]["data"]["job"].as_str().unwrap().to_owned();
    assert!(job.ends_with("_a2"), "{job}");
    house.holds_the_lake("data", "calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_the_user_made_is_loaded_day_after_day() {
    let mut house = House::big_query(small()).await;
    house.lab.replace("load_quarantine = true", "");
    house
        .warehouse
        .sql("CREATE TABLE TABLE_OF calls (report_date DATE, interaction_id STRING) PARTITION BY report_date");
    assert_eq!(House::statuses(&house.run(&DAY, 0)), ["loaded"]);
    assert_eq!(House::statuses(&house.run(&["--date", "2024-01-02"], 0)), ["loaded"]);
    house.holds_the_lake("data", "calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_failed_gets_another_attempt() {
    let mut house = House::big_query(small()).await;
    house.lab.replace("load_quarantine = true", "");
    let checked = house.lab.cxlake(&["check"]).expect(0).stdout;
    assert!(checked.contains("warehouse house: jobs") && checked.contains("a query job ran"), "{checked}");
    house.fail_big_query("backendError", 2);
    let summary = house.run(&DAY, 0);
    let job = summary["windows"][0]["load"]["house"]["data"]["job"].as_str().unwrap().to_owned();
    assert!(job.starts_with("cxlake_calls_20240101_") && job.ends_with("_a3"), "two failed: {job}");
    house.holds_the_lake("data", "calls");

    house.lab.simulator.change(|tenant| tenant.seed += 1);
    house.fail_big_query("invalid", 1);
    let summary = house.run(&DAY, 8);
    assert!(complaint(&summary).contains("the fixture was told to fail (invalid)"), "{summary}");
    let rows = house.warehouse.sql("SELECT COUNT(*) FROM TABLE_OF calls");
    assert_eq!(rows[0][0], Some(summary["windows"][0]["rows"]["accepted"].to_string()), "the old rows stay");
    // Who loads now may not see what another made.
    house.disown_big_query_jobs();
    let summary = house.load(0);
    let job = summary["windows"][0]["load"]["house"]["data"]["job"].as_str().unwrap().to_owned();
    assert!(job.ends_with("_a2"), "the first failed for good: {job}");
    house.holds_the_lake("data", "calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_fails_for_now_is_asked_for_again() {
    let mut house = House::big_query(small()).await;
    house.lab.replace("load_quarantine = true", "");
    house.refuse_tokens("internal_failure", 1);
    house.refuse_tokens("html", 1);
    assert_eq!(House::statuses(&house.run(&DAY, 0)), ["loaded"]);
    house.lab.simulator.change(|tenant| tenant.seed += 1);
    house.refuse_tokens("invalid_grant", 1);
    let summary = house.run(&DAY, 8);
    assert!(complaint(&summary).contains("no token: invalid_grant: the fixture was told to refuse"), "{summary}");
    assert!(summary["error"]["hint"].as_str().unwrap().contains("clock"), "{summary}");
    assert_eq!(House::statuses(&house.load(0)), ["loaded"]);
    house.holds_the_lake("data", "calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn big_query_takes_application_default_credentials() {
    let mut house = House::big_query(small()).await;
    let key = house.lab.configuration().split("credentials = { file = \"").nth(1).unwrap();
    let key = key.split('"').next().unwrap().to_owned();
    house.lab.replace("credentials = {", "# credentials = {");
    let mut command = house.lab.command(&["run", "--date", "2024-01-01"]);
    command.env("GOOGLE_APPLICATION_CREDENTIALS", &key);
    let outcome = Running::start(command).end().expect(0);
    assert_eq!(House::statuses(&outcome.summary()), ["loaded"]);
    // What is no key is told so, and not shown.
    house.lab.replace("# credentials = {", "credentials = { env = \"KEY\" } # {");
    let mut command = house.lab.command(&["load"]);
    command.env("KEY", "{\"type\": \"service_account\"}");
    let outcome = Running::start(command).end().expect(2);
    assert!(outcome.message().contains("they are no service account's key"), "{}", outcome.message());
    // A run that could never load stops before it commits.
    let mut command = house.lab.command(&["run", "--date", "2024-01-02"]);
    command.env("KEY", "{\"type\": \"service_account\"}");
    assert!(Running::start(command).end().expect(2).statuses().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_merged_by_key_where_that_is_asked() {
    let mut house = House::big_query(small()).await;
    house.lab.replace("load_quarantine = true", "mode = \"merge\"");
    house.fail_big_query("backendError", 1);
    house.run(&["--from", "2024-01-01", "--to", "2024-01-03"], 0);
    house.holds_the_lake("data", "calls");
    house.warehouse.sql("ALTER TABLE TABLE_OF calls ADD COLUMN remark STRING");
    house.warehouse.sql("UPDATE TABLE_OF calls SET remark = 'mine' WHERE true");
    house.lab.simulator.change(|tenant| {
        tenant.catalog.push(cxlake_simulator::Metric::new("cm_aaaaaaaaaaaaaaaa", "Brand New", "boolean"));
    });
    assert_eq!(House::statuses(&house.run(&DAY, 0)), ["loaded"]);
    house.holds_the_lake("data", "calls");
    let remarks =
        house.warehouse.sql("SELECT COUNT(*) FROM TABLE_OF calls WHERE remark IS NULL AND report_date = '2024-01-01'");
    assert_eq!(remarks[0][0].as_deref(), Some("0"), "rows that are still there keep what is not the lake's");
    house.lab.simulator.change(|tenant| tenant.records_per_day -= 20);
    assert_eq!(House::statuses(&house.run(&DAY, 0)), ["loaded"], "rows that are gone are deleted");
    house.holds_the_lake("data", "calls");
    assert_eq!(House::statuses(&house.load(0)), ["unchanged"; 2]);
    house.warehouse.sql("UPDATE TABLE_OF calls SET hold_time = hold_time + 1 WHERE report_date = '2024-01-01'");
    let mended = House::statuses(&house.load(0));
    assert_eq!(mended, ["loaded", "unchanged"], "as many rows, but others, as a merge that came late leaves them");
    house.holds_the_lake("data", "calls");
    house.warehouse.sql("ALTER TABLE TABLE_OF calls DROP COLUMN hold_time");
    assert_eq!(House::statuses(&house.load(0)), ["loaded"; 2], "a column that somebody dropped comes back");
    house.holds_the_lake("data", "calls");
    let staging = house.warehouse.sql(
        "SELECT COUNT(*) FROM `acme-analytics`.contact_centre.INFORMATION_SCHEMA.TABLES WHERE table_name LIKE '%staging%'",
    );
    assert_eq!(staging[0][0].as_deref(), Some("0"));
}

/// Hours of a day are one partition: each load has all that are committed, also where an hour is
/// committed anew, and where loads meet.
async fn hours_of_a_day_are_loaded_together(mut house: House) -> House {
    house.lab.replace("load_quarantine = true", "");
    house.lab.replace("page_records = 500", "page_records = 500\nwindow = \"hour\"");
    let hour = |from: &str, to: &str| format!("2024-01-01T{from}:00:00Z/2024-01-01T{to}:00:00Z");
    assert_eq!(House::statuses(&house.run(&["--window", &hour("12", "15")], 0)), ["loaded"; 3]);
    house.holds_the_lake("data", "calls");
    house.lab.simulator.change(|tenant| tenant.seed += 1);
    assert_eq!(House::statuses(&house.run(&["--window", &hour("13", "14")], 0)), ["loaded"]);
    house.holds_the_lake("data", "calls");
    // As Airflow's mapped tasks do.
    let windows = [hour("16", "17"), hour("17", "18"), hour("18", "19")];
    let runs: Vec<Running> =
        windows.iter().map(|window| Running::start(house.lab.command(&["run", "--window", window]))).collect();
    for run in runs {
        run.end().expect(0);
    }
    house.run(&["--window", &hour("18", "19")], 0);
    assert_eq!(House::statuses(&house.load(0)), ["unchanged"; 6]);
    house.holds_the_lake("data", "calls");
    house
}

#[tokio::test(flavor = "multi_thread")]
async fn hours_of_a_day_are_loaded_together_into_snowflake() {
    let house = hours_of_a_day_are_loaded_together(House::snowflake(tenant(400)).await).await;
    // The files of these hours have a column more. (BigQuery's stand-in reads no such files together.)
    house.lab.simulator.change(|tenant| {
        tenant.catalog.push(cxlake_simulator::Metric::new("cm_aaaaaaaaaaaaaaaa", "Brand New", "boolean"));
    });
    let hours = ["--window", "2024-01-01T20:00:00Z/2024-01-01T22:00:00Z"];
    assert_eq!(House::statuses(&house.run(&hours, 0)), ["loaded"; 2]);
    house.holds_the_lake("data", "calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn hours_of_a_day_are_loaded_together_into_big_query() {
    hours_of_a_day_are_loaded_together(House::big_query(tenant(400)).await).await;
}
