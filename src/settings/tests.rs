use super::*;
use crate::vocabulary::{Failure, FailureKind};

/// The contract's example, as far as this version knows it.
const EXAMPLE: &str = r#"
[tenants.acme]
auth_url = "https://acme.nicecxone.com"
client_id = { env = "CXONE_CLIENT_ID" }
client_secret = { file = "/run/secrets/cxone" }
time_zone = "America/New_York"

[tenants.acme.regions]
na1 = "https://na1.nicecxone.com"

[tenants.acme.limits]
requests_per_second = 5.0

[tenants.acme.custom_metrics."cm_9f8e7d6c5b4a3210"]
required = true
type = "decimal(9,6)"

[reports.calls]
tenant = "acme"
report = "Interaction/Call"
metrics = ["duration", "holdTime"]
custom_metrics = ["Sentiment Confidence Score", "cm_1a2b3c4d5e6f7890"]
group_by = ["interactionId", "agentId", "startTime"]
key = ["interactionId"]
time_column = "startTime"

[reports.calls.filter.group]
type = "queue"
id = "q_abc123def456"

[reports.calls.columns]
startTime = { type = "timestamp" }
duration = { type = "number", minimum = 0 }

[lake]
url = "s3://lake/cxone"
[lake.options]
allow_http = true
"#;

fn read(text: &str) -> Result<Settings, Failure> {
    let surroundings = Surroundings {
        variable: &|name| (name == "CXONE_CLIENT_ID").then(|| "id".to_owned()),
        text_file: &|path| match path {
            "/run/secrets/cxone" => Ok("secret\n".to_owned()),
            "/run/secrets/empty" => Ok("\n".to_owned()),
            _ => Err(std::io::Error::from(std::io::ErrorKind::NotFound)),
        },
    };
    read_settings("cxlake.toml", text, &surroundings)
}

#[test]
fn the_example_is_read_whole() {
    let settings = read(EXAMPLE).unwrap();
    let tenant = &settings.tenants["acme"];
    assert_eq!(tenant.client_id.as_ref().unwrap().reveal(), "id");
    assert_eq!(tenant.client_secret.as_ref().unwrap().reveal(), "secret");
    assert_eq!(tenant.limits.pages_in_flight, 4);
    let report = &settings.reports["calls"];
    assert_eq!(report.group_by[0].name, "interaction_id");
    assert!(report.group_by[0].required);
    assert_eq!(report.group_by[2].column_type, ColumnType::Timestamp);
    assert_eq!(report.metrics[0].constraints.minimum.as_ref().unwrap().to_string(), "0");
    assert_eq!(report.settle_delay_mins, 30);
    assert_eq!(settings.lake.compression, Compression::Zstd(3));
    assert_eq!(settings.lake.options["allow_http"].reveal(), "true");
}

#[test]
fn a_secret_that_stands_in_the_file_is_not_shown() {
    let check = |secret: &str, kind: &str| {
        let text = EXAMPLE.replace("{ file = \"/run/secrets/cxone\" }", secret);
        let failure = read(&text).unwrap_err();
        assert_eq!(
            failure.message,
            format!("read cxlake.toml: line 5: invalid type: {kind}, expected struct SecretSource")
        );
    };
    check("\"hunter2\"", "a string");
    check("\"hunter\\\"2, expected\"", "a string");
    check("482915", "an integer");
    check("4829.15", "a float");
    check("true", "a boolean");
}

#[test]
fn mistakes_are_named_with_a_hint() {
    fn check(from: &str, to: &str, message: &str, hint: &str) {
        assert!(EXAMPLE.contains(from), "{from}");
        let failure = read(&EXAMPLE.replacen(from, to, 1)).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Configuration);
        assert_eq!((failure.message.as_str(), failure.hint.as_deref().unwrap_or_default()), (message, hint));
    }
    check(
        "custom_metrics = [",
        "custom_metric = [",
        "read cxlake.toml: line 22: unknown key \"custom_metric\"",
        "did you mean \"custom_metrics\"?",
    );
    check(
        "requests_per_second = 5.0",
        "quiet_hours = [\"08:00-18:00\", \"25:00-26:00\"]",
        "read cxlake.toml: line 12: tenants.acme.limits.quiet_hours: \"25:00-26:00\" names no hours: expected HH:MM-HH:MM",
        "write them in the tenant's zone: quiet_hours = [\"08:00-18:00\"]",
    );
    check(
        "minimum = 0",
        "minimum = -12345678901234567890.12345",
        "read cxlake.toml: line 33: -12345678901234567890.12345 has more digits than a float64 keeps",
        "write fewer digits, or a whole number",
    );
    check(
        "allow_http = true",
        "token = { envv = \"X\" }",
        "read cxlake.toml: line 38: expected a text, true, false, a whole number, { env = \"NAME\" } or { file = \"PATH\" }",
        "`cxlake schema configuration` prints what may stand where",
    );
    check(
        "America/New_York",
        "America/NewYork",
        "read cxlake.toml: line 6: tenants.acme.time_zone: unknown time zone \"America/NewYork\"",
        "did you mean \"America/New_York\"?",
    );
    check(
        "https://na1.nicecxone.com",
        "http://na1.nicecxone.com",
        "read cxlake.toml: line 9: tenants.acme.regions.na1: a token would travel unencrypted in \"http://na1.nicecxone.com\"",
        "write https://HOST; http:// is for loopback addresses only",
    );
    check(
        "tenant = \"acme\"",
        "tenant = \"acmee\"",
        "read cxlake.toml: line 18: reports.calls: there is no tenant \"acmee\"",
        "did you mean \"acme\"?",
    );
    check(
        "key = [\"interactionId\"]",
        "key = [\"interactionID\"]",
        "read cxlake.toml: line 24: reports.calls.key: \"interactionID\" is not asked for",
        "did you mean \"interactionId\"?",
    );
    check(
        "\"holdTime\"]",
        "\"hold_time\", \"holdTime\"]",
        "read cxlake.toml: line 18: reports.calls: hold_time and holdTime would share the column \"hold_time\"",
        "leave one of them out of group_by and metrics",
    );
    check(
        "\"holdTime\"]",
        "\"reportDate\"]",
        "read cxlake.toml: line 18: reports.calls: the column \"report_date\" of reportDate is reserved",
        "leave that key out of group_by and metrics",
    );
    check(
        "startTime = { type = \"timestamp\" }",
        "",
        "read cxlake.toml: line 25: reports.calls.time_column: startTime is a string, not a timestamp",
        "add to [reports.calls.columns]: startTime = { type = \"timestamp\" }",
    );
    check(
        "decimal(9,6)",
        "decimal(39,6)",
        "read cxlake.toml: line 16: unknown column type \"decimal(39,6)\": expected string, number, decimal(p,s) with p up to 38, integer, boolean, timestamp or date",
        "`cxlake schema configuration` prints what may stand where",
    );
}

#[test]
fn a_secret_that_cannot_be_read_concerns_only_its_tenant() {
    fn check(from: &str, to: &str, message: &str, hint: &str) {
        let other = "[tenants.globex]\nauth_url = \"https://globex.nicecxone.com\"\nregions = { na1 = \"https://na1.nicecxone.com\" }\nclient_id = { env = \"CXONE_CLIENT_ID\" \
                     }\nclient_secret = { file = \"/run/secrets/cxone\" }\n[reports.hours]\ntenant = \
                     \"globex\"\nreport = \"H\"\ngroup_by = [\"agentId\"]\nkey = [\"agentId\"]\n";
        let settings = read(&(EXAMPLE.replacen(from, to, 1) + other)).unwrap();
        settings.need_secrets_of(&[&settings.reports["hours"]]).unwrap();
        let reports: Vec<_> = settings.reports.values().collect();
        let failure = settings.need_secrets_of(&reports).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Configuration);
        assert_eq!((failure.message.as_str(), failure.hint.as_deref().unwrap_or_default()), (message, hint));
    }
    check(
        "CXONE_CLIENT_ID",
        "OTHER_ID",
        "read cxlake.toml: line 4: tenants.acme.client_id: the environment variable OTHER_ID is not set",
        "set OTHER_ID, or name another source: { env = \"NAME\" } or { file = \"PATH\" }",
    );
    check(
        "/run/secrets/cxone",
        "/run/secrets/empty",
        "read cxlake.toml: line 5: tenants.acme.client_secret: the file /run/secrets/empty is empty",
        "write the secret into it, and nothing else",
    );
}

/// The issue's example of warehouses, over a lake that both can read.
fn with_warehouses() -> String {
    let warehouses = r#"
[warehouses.bq]
kind = "bigquery"
project = "acme-analytics"
dataset = "contact_centre"
location = "EU"
[warehouses.sf]
kind = "snowflake"
account = "acme-prod"
user = "CXLAKE"
private_key = { file = "/run/secrets/cxone" }
database = "LAKE"
schema = "CXONE"
warehouse = "LOAD_XS"
role = "LOADER"
stage = "LAKE_STAGE"
"#;
    let report = EXAMPLE.replacen("report = ", "load = [\"bq\", \"sf\"]\nreport = ", 1);
    report.replacen("s3://", "gs://", 1) + warehouses
}

#[test]
fn reports_are_loaded_into_warehouses_that_can_read_the_lake() {
    let settings = read(&with_warehouses()).unwrap();
    assert_eq!(settings.reports["calls"].load, ["bq", "sf"]);
    assert_eq!(settings.reports["calls"].quarantine_table(), "calls_quarantine");
    assert!(matches!(settings.warehouses["bq"].kind, WarehouseKind::BigQuery { credentials: None, .. }));

    fn check(from: &str, to: &str, message: &str, hint: &str) {
        let text = with_warehouses();
        assert!(text.contains(from), "{from}");
        let failure = read(&text.replacen(from, to, 1)).unwrap_err();
        assert_eq!((failure.message.as_str(), failure.hint.as_deref().unwrap_or_default()), (message, hint));
    }
    check(
        "gs://",
        "s3://",
        "read cxlake.toml: line 41: warehouses.bq: it cannot load from the lake s3://lake/cxone",
        "BigQuery loads from Google Cloud Storage: put the lake on gs://, or copy it there",
    );
    check(
        "gs://lake/cxone",
        "lake\"\n#",
        "read cxlake.toml: line 42: warehouses.bq: it cannot load from the lake lake",
        "BigQuery loads from Google Cloud Storage: put the lake on gs://, or copy it there",
    );
    check(
        "\"bq\", \"sf\"",
        "\"bq\", \"sg\"",
        "read cxlake.toml: line 20: reports.calls.load: there is no warehouse \"sg\"",
        "add [warehouses.sg]",
    );
    check(
        "private_key = {",
        "# {",
        "read cxlake.toml: line 46: warehouses.sf: it needs one way to sign in",
        "write private_key = { file = \"PATH\" }, or token = { env = \"NAME\" }",
    );
    check(
        "LAKE_STAGE",
        "@LAKE_STAGE",
        "read cxlake.toml: line 55: warehouses.sf.stage: \"@LAKE_STAGE\" is no name of that kind",
        "write it as the warehouse itself shows it, without quotes",
    );
    check(
        "location = \"EU\"",
        "endpoint = \"http://example.com\"",
        "read cxlake.toml: line 45: warehouses.bq.endpoint: a token would travel unencrypted in \"http://example.com\"",
        "write https://HOST; http:// is for loopback addresses only",
    );
    check(
        "location = \"EU\"",
        "mode = \"merge\"\n[reports.calls.policy]\n[reports.hours]\ntenant = \"acme\"\nreport = \"H\"\nwindow = \
         \"hour\"\ngroup_by = [\"agentId\"]\nkey = [\"agentId\"]\nload = [\"bq\"]",
        "read cxlake.toml: line 47: reports.hours: bq merges by key, and hours of a day can share keys",
        "leave mode out of the warehouse, or load into one without",
    );
    check(
        "load = [",
        "table = \"_cxlake_loads\"\nload = [",
        "read cxlake.toml: line 20: reports.calls.table: cxlake keeps names like that for itself",
        "choose another name",
    );
    let other = "[reports.other]\ntenant = \"acme\"\nreport = \"Other\"\ngroup_by = [\"interactionId\"]\nkey = \
                 [\"interactionId\"]\ntable = \"Calls\"\nload = [\"sf\"]\n";
    check(
        "[reports.calls.filter.group]",
        &format!("{other}[reports.calls.filter.group]"),
        "read cxlake.toml: line 28: reports.other: it and reports.calls would be loaded into the table \"Calls\" of sf",
        "name another table: table = \"acme_Calls\"",
    );
}

#[test]
fn a_share_is_a_part_of_the_pace() {
    let check = |text: &str, expected: Option<(f64, u32)>| {
        let mut settings = read(EXAMPLE).unwrap();
        settings
            .tenants
            .values_mut()
            .for_each(|tenant| (tenant.limits.requests_per_second, tenant.limits.burst) = (4.0, 5));
        let shared = text.parse().ok().map(|share| settings.with_share(share));
        let pace = shared.map(|settings| {
            let limits = &settings.tenants["acme"].limits;
            (limits.requests_per_second, limits.burst)
        });
        assert_eq!(pace, expected, "{text}");
    };
    check("1/8", Some((0.5, 1)));
    check("1/2", Some((2.0, 2)));
    check("1/1", Some((4.0, 5)));
    for wrong in ["0/8", "9/8", "1/0", "1/9999", "0.5", "a/b", "-1/2"] {
        check(wrong, None);
    }
}
