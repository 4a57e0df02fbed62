//! What the page's text said, DuckDB says: every column type, to its last digit.

use cxlake_simulator::{CallKind, Effect, Fault};

use crate::support::faults::for_ever;
use crate::support::{Lab, python, tenant};

/// A column's type, values as a page has them, and what DuckDB says of each.
const KEPT: [(&str, &[(&str, &str)]); 7] = [
    (
        "decimal(38,10)",
        &[
            ("1234567890123456789012345678.0123456789", "1234567890123456789012345678.0123456789"),
            ("-9999999999999999999999999999.9999999999", "-9999999999999999999999999999.9999999999"),
            ("1e-10", "0.0000000001"),
            ("0.10", "0.1000000000"),
            ("-0", "0.0000000000"),
        ],
    ),
    ("decimal(38,0)", &[("99999999999999999999999999999999999999", "99999999999999999999999999999999999999")]),
    ("number", &[("0.1", "0.1"), ("1e22", "1e+22"), ("4.35", "4.35"), ("9007199254740992", "9007199254740992.0")]),
    (
        "integer",
        &[
            ("9223372036854775807", "9223372036854775807"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("9007199254740993", "9007199254740993"),
            ("5.0", "5"),
            ("1e3", "1000"),
        ],
    ),
    ("string", &[(r#""007""#, "007"), (r#"" \u00e9\ud83d\ude00\"""#, " é😀\""), (r#""""#, ""), (r#""NULL""#, "NULL")]),
    (
        "timestamp",
        &[
            (r#""2024-01-01T12:00:00.123456Z""#, "2024-01-01 12:00:00.123456+00"),
            (r#""2024-01-01T12:00:00.1234560000+05:45""#, "2024-01-01 06:15:00.123456+00"),
            (r#""1969-12-31T23:59:59.999999Z""#, "1969-12-31 23:59:59.999999+00"),
        ],
    ),
    ("date", &[(r#""2024-02-29""#, "2024-02-29"), (r#""0001-01-01""#, "0001-01-01")]),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_type_keeps_its_values_to_the_last_digit() {
    for (column_type, values) in KEPT {
        let mut lab = Lab::start(tenant(1)).await;
        lab.replace("metrics = [\"duration\", ", "metrics = [\"duration\", \"exact\", ");
        lab.replace(
            "[reports.calls.columns]",
            &format!("[reports.calls.columns]\nexact = {{ type = \"{column_type}\" }}"),
        );
        lab.replace("time_column = \"startTime\"\n", "");
        let records: Vec<String> = (0..)
            .zip(values)
            .map(|(number, (sent, _))| format!(r#"{{"interactionId":"{number}","exact":{sent}}}"#))
            .collect();
        let (count, records) = (records.len(), records.join(","));
        let text = format!(r#"{{"totalRecords":{count},"returnedRecords":{count},"data":[{records}]}}"#);
        lab.simulator.play(for_ever(Fault::new(CallKind::DataDownload, Effect::Body { text })));
        let summary = lab.cxlake(&["run", "--date", "2024-01-01"]).expect(0).summary();
        assert_eq!(summary["windows"][0]["rows"]["accepted"], count, "{column_type}: {summary}");
        let said = python("say.py", &[lab.lake().to_str().unwrap()]);
        let said: Vec<String> = serde_json::from_str(&said).unwrap();
        let expected: Vec<&str> = values.iter().map(|(_, said)| *said).collect();
        assert_eq!(said, expected, "{column_type}");
    }
}
