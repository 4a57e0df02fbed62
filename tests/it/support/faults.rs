//! Faults of a tenant, and how a run must end under them.

use cxlake_simulator::{CallKind, Effect, Fault, TenantSettings};

use super::lab::{Lab, Outcome, tenant};

const DAY: &str = "2024-01-01";

/// A tenant of a few pages.
pub(crate) fn small() -> TenantSettings {
    tenant(2_000)
}

/// An answer of a status, with or without `Retry-After`.
pub(crate) fn status(code: u16, retry_after: Option<&str>) -> Effect {
    let headers = retry_after.map(|value| ("Retry-After".to_owned(), value.to_owned()));
    Effect::Status { code, headers: headers.into_iter().collect(), body: String::new() }
}

/// A fault of the page at an offset.
pub(crate) fn on_page(offset: u64, what: Effect) -> Fault {
    Fault { offset: Some(offset), ..Fault::new(CallKind::DataDownload, what) }
}

/// A fault that stays.
pub(crate) fn for_ever(fault: Fault) -> Fault {
    Fault { times: 0, ..fault }
}

/// A run of a day with these faults ends exact.
pub(crate) async fn ends_exact(settings: TenantSettings, faults: Vec<Fault>) -> Lab {
    let lab = Lab::start(settings).await;
    for fault in faults {
        lab.simulator.play(fault);
    }
    lab.cxlake(&["run", "--date", DAY]).expect(0);
    lab.compare_day(&lab.lake(), DAY, false);
    lab
}

/// A run with a fault of a page that stays ends with `code`, and nothing is published.
pub(crate) async fn ends_unpublished(what: Effect, code: i32) -> Outcome {
    let mut lab = Lab::start(small()).await;
    lab.replace("retry_attempts = 4", "retry_attempts = 2\nretry_elapsed_secs = 5");
    let text = format!("{what:?}");
    lab.simulator.play(for_ever(on_page(1000, what)));
    let outcome = lab.cxlake(&["run", "--date", DAY]).expect(code);
    assert_eq!(outcome.statuses(), ["failed"], "{text}");
    assert!(!lab.lake().join("acme/calls").exists(), "{text}");
    outcome
}
