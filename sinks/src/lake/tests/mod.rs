mod model;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use cxlake_fault_store::FaultStore;
use object_store::ObjectStoreExt as _;
use object_store::memory::InMemory;

use super::*;
use crate::failure::SinkFailureKind;
use crate::parquet::{Codec, ParquetOptions, ParquetWriter, StagedFile};

fn address(window: &str) -> WindowAddress {
    WindowAddress {
        tenant: "acme".to_owned(),
        report: "calls".to_owned(),
        date: "2024-01-01".parse().unwrap(),
        window: window.to_owned(),
    }
}

const DAY: &str = "20240101T050000Z-20240102T050000Z";

fn staged(folder: &std::path::Path, rows: &[i64], sequence: u32, extract: &str) -> StagedFile {
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
    let options = ParquetOptions { codec: Codec::Zstd(3), row_group_rows: 100, bloom_columns: Vec::new() };
    let mut writer = ParquetWriter::create(folder, Arc::clone(&schema), &options).unwrap();
    writer.write(&RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(rows.to_vec()))]).unwrap()).unwrap();
    let pairs = [("cxlake.sequence", sequence.to_string()), ("cxlake.extract_sha256", extract.to_owned())];
    writer.finish(&pairs.map(|(key, value)| (key.to_owned(), value))).unwrap()
}

async fn verified(lake: &Lake) -> Findings {
    let mut findings = Findings::default();
    verify_report(lake, "acme", "calls", &Scrutiny::default(), &mut findings).await.unwrap();
    findings
}

/// Changes one byte of an object, or cuts some off.
async fn damage(lake: &Lake, key: &str, cut: usize) {
    let mut bytes = lake.get(key).await.unwrap().unwrap().to_vec();
    bytes[5] ^= 1;
    bytes.truncate(bytes.len() - cut);
    lake.store().put(&lake.path(key), bytes.into()).await.unwrap();
}

/// Commits some rows as a run would.
async fn commit(
    lake: &Lake,
    address: &WindowAddress,
    sequence: u32,
    rows: &[i64],
) -> Result<Committed, crate::failure::SinkFailure> {
    commit_after(lake, address, sequence, rows, Vec::new()).await
}

/// Commits some rows after these replays of rejects, the last of them its own.
async fn commit_after(
    lake: &Lake,
    address: &WindowAddress,
    sequence: u32,
    rows: &[i64],
    replays: Vec<ReplayProof>,
) -> Result<Committed, crate::failure::SinkFailure> {
    let folder = tempfile::tempdir().unwrap();
    let extract_sha256 = format!("{rows:?}");
    let extract = Extract {
        data: staged(folder.path(), rows, sequence, &extract_sha256),
        quarantine: staged(folder.path(), &[], sequence, &extract_sha256),
    };
    let proof = |kind: ObjectKind, file: &StagedFile| ObjectProof {
        key: address.object(kind),
        rows: file.rows,
        bytes: file.bytes,
        sha256: file.sha256.clone(),
    };
    let count = rows.len() as u64;
    let plan = Plan {
        format: PLAN_FORMAT.to_owned(),
        sequence,
        run_id: format!("run of {rows:?}"),
        created_at: String::new(),
        tenant: address.tenant.clone(),
        report: address.report.clone(),
        window: ManifestWindow {
            start: "2024-01-01T05:00:00Z".to_owned(),
            end: "2024-01-02T05:00:00Z".to_owned(),
            time_zone: "America/New_York".to_owned(),
            date: "2024-01-01".to_owned(),
        },
        registry_version: 1,
        rows: RowProof { expected: count, fetched: count, accepted: count, quarantined: 0, duplicates: 0 },
        sums: Vec::new(),
        pages: PagesProof::default(),
        replays,
        extract_sha256,
        data: proof(ObjectKind::Data, &extract.data),
        quarantine: proof(ObjectKind::Quarantine, &extract.quarantine),
    };
    WindowCommit { lake, address }.commit(&plan, &extract, String::new).await
}

/// A lake in a local folder, and one in a store with conditional puts.
fn lakes() -> Vec<(Lake, Option<tempfile::TempDir>)> {
    let folder = tempfile::tempdir().unwrap();
    let location = LakeLocation { url: folder.path().display().to_string(), options: Default::default() };
    let memory = Lake::in_store(Arc::new(InMemory::new()), "memory://");
    vec![(Lake::open(&location).unwrap(), Some(folder)), (memory, None)]
}

#[tokio::test]
async fn a_window_is_committed_and_found_again() {
    for (lake, _folder) in lakes() {
        let address = address(DAY);
        let window = WindowCommit { lake: &lake, address: &address };
        assert_eq!(window.look().await.unwrap().next_sequence(), 1);
        commit(&lake, &address, 1, &[1, 2, 3]).await.unwrap();
        let history = window.look().await.unwrap();
        let done = history.settled().unwrap();
        assert_eq!((done.sequence, done.data.proof.rows), (1, 3));
        assert!(window.is_in_place(done).await.unwrap());
        let keys: Vec<String> = lake.list("acme").await.unwrap().into_iter().map(|(key, _)| key).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).filter(|key| !key.contains("staging")).collect();
        assert_eq!(
            keys,
            [
                "acme/calls/data/dt=2024-01-01/20240101T050000Z-20240102T050000Z.parquet",
                "acme/calls/manifests/dt=2024-01-01/20240101T050000Z-20240102T050000Z-000001.done.json",
                "acme/calls/manifests/dt=2024-01-01/20240101T050000Z-20240102T050000Z-000001.plan.json",
                "acme/calls/quarantine/dt=2024-01-01/20240101T050000Z-20240102T050000Z.parquet",
            ]
        );
        assert_eq!(verified(&lake).await.findings, [] as [String; 0]);
    }
}

#[tokio::test]
async fn a_restatement_replaces_the_window_and_the_highest_number_wins() {
    for (lake, _folder) in lakes() {
        let address = address(DAY);
        commit(&lake, &address, 1, &[1, 2, 3]).await.unwrap();
        commit(&lake, &address, 3, &[4]).await.unwrap();
        let late = commit(&lake, &address, 2, &[5, 6]).await.unwrap_err();
        assert_eq!(late.kind, SinkFailureKind::Superseded);
        let same = commit(&lake, &address, 3, &[7]).await.unwrap_err();
        assert_eq!(same.kind, SinkFailureKind::Superseded);
        let done = WindowCommit { lake: &lake, address: &address }.look().await.unwrap().newest_done.unwrap();
        assert_eq!((done.sequence, done.data.proof.rows), (3, 1));
        assert_eq!(verified(&lake).await.findings, [] as [String; 0]);
    }
}

#[tokio::test]
async fn windows_with_other_borders_are_refused() {
    for (lake, _folder) in lakes() {
        commit(&lake, &address(DAY), 1, &[1]).await.unwrap();
        let hour = address("20240101T050000Z-20240101T060000Z");
        let failure = WindowCommit { lake: &lake, address: &hour }.look().await.unwrap_err();
        assert_eq!(failure.kind, SinkFailureKind::Configuration);
        let next_day =
            WindowAddress { date: "2024-01-02".parse().unwrap(), ..address("20240102T050000Z-20240103T050000Z") };
        assert!(WindowCommit { lake: &lake, address: &next_day }.look().await.is_ok());
        let of_another_zone = WindowAddress { date: "2024-01-02".parse().unwrap(), ..address(DAY) };
        let failure = WindowCommit { lake: &lake, address: &of_another_zone }.look().await.unwrap_err();
        assert_eq!(failure.kind, SinkFailureKind::Configuration);
    }
}

#[tokio::test]
async fn an_interrupted_run_stands_in_the_way_of_other_borders_once_it_has_published() {
    for (lake, _folder) in lakes() {
        let (day, hour) = (address(DAY), address("20240101T050000Z-20240101T060000Z"));
        lake.create(&day.plan(1), "{}".into()).await.unwrap();
        let window = WindowCommit { lake: &lake, address: &hour };
        let history = window.look().await.unwrap();
        window.refuse_published_in_the_same_time(&history).await.unwrap();
        lake.create(&day.object(ObjectKind::Quarantine), "rows".into()).await.unwrap();
        let failure = window.refuse_published_in_the_same_time(&history).await.unwrap_err();
        assert_eq!(failure.kind, SinkFailureKind::Configuration);
        assert!(failure.message.contains(DAY), "{failure:?}");
    }
}

#[tokio::test]
async fn a_damaged_object_is_not_in_place_and_is_replaced() {
    for cut in [0, 10] {
        for (lake, _folder) in lakes() {
            let address = address(DAY);
            let window = WindowCommit { lake: &lake, address: &address };
            commit(&lake, &address, 1, &[1, 2, 3]).await.unwrap();
            damage(&lake, &address.object(ObjectKind::Data), cut).await;
            assert!(!window.is_in_place(&window.read_done(1).await.unwrap().unwrap()).await.unwrap());
            commit(&lake, &address, 2, &[1, 2, 3]).await.unwrap();
            assert_eq!(verified(&lake).await.findings, [] as [String; 0]);
        }
    }
}

#[tokio::test]
async fn windows_are_settled_until_a_newer_plan_is_open() {
    for (lake, _folder) in lakes() {
        let address = address(DAY);
        let few = BTreeSet::from([address.date]);
        let many = (0..100).map(|day| address.date + chrono::Days::new(day)).collect();
        for days in [&few, &many] {
            assert!(settled_windows(&lake, "acme", "calls", days).await.unwrap().is_empty());
        }
        commit(&lake, &address, 1, &[1]).await.unwrap();
        for days in [&few, &many] {
            let settled = settled_windows(&lake, "acme", "calls", days).await.unwrap();
            assert_eq!(settled.into_iter().collect::<Vec<_>>(), [(address.date, DAY.to_owned())]);
        }
        lake.create(&address.plan(2), "{}".into()).await.unwrap();
        assert!(settled_windows(&lake, "acme", "calls", &few).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_strangers_object_is_not_overwritten() {
    for (lake, _folder) in lakes() {
        let address = address(DAY);
        lake.create(&address.object(ObjectKind::Data), "not ours".into()).await.unwrap();
        let failure = commit(&lake, &address, 1, &[1]).await.unwrap_err();
        assert_eq!(failure.kind, SinkFailureKind::Configuration);
        assert_eq!(lake.get(&address.object(ObjectKind::Data)).await.unwrap().unwrap(), "not ours");
        // And no plan that nobody will ever complete.
        assert_eq!(lake.list(&address.manifests(address.date)).await.unwrap(), []);
    }
}

#[tokio::test]
async fn verify_finds_what_does_not_match() {
    async fn check(damage: impl AsyncFnOnce(&Lake, &WindowAddress), expected: &str) {
        let lake = Lake::in_store(Arc::new(InMemory::new()), "memory://");
        let address = address(DAY);
        commit(&lake, &address, 1, &[1, 2, 3]).await.unwrap();
        damage(&lake, &address).await;
        let findings = verified(&lake).await.findings;
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].contains(expected), "{findings:?}");
    }
    check(
        async |lake, address| lake.store().delete(&lake.path(&address.object(ObjectKind::Data))).await.unwrap(),
        "missing",
    )
    .await;
    check(async |lake, address| damage(lake, &address.object(ObjectKind::Quarantine), 0).await, "sha256").await;
    check(
        async |lake, _| assert!(lake.create("acme/calls/data/dt=2024-01-01/other.parquet", "x".into()).await.unwrap()),
        "no manifest names it",
    )
    .await;
    check(async |lake, address| assert!(lake.create(&address.plan(2), "{}".into()).await.unwrap()), "open plan 2")
        .await;
}

#[tokio::test]
async fn stores_that_keep_conditions_pass_the_probes() {
    for (lake, _folder) in lakes() {
        probe_conditions(&lake, "acme/probe", "racing").await.unwrap();
        probe_large_write(&lake, "acme/probe", "large").await.unwrap();
        assert_eq!(lake.list("acme/probe").await.unwrap(), []);
    }
}

#[test]
fn a_lake_that_no_store_understands_is_refused() {
    let open = |url: &str| Lake::open(&LakeLocation { url: url.to_owned(), options: Default::default() }).unwrap_err();
    assert_eq!(open("ftp://lake").kind, SinkFailureKind::Configuration);
    assert_eq!(open("/proc/no/such/folder").kind, SinkFailureKind::Unavailable);
}

/// A lake in a store under a script.
fn in_store(store: &Arc<FaultStore>) -> Lake {
    Lake::in_store(Arc::clone(store) as Arc<dyn object_store::ObjectStore>, "memory://")
}

#[tokio::test]
async fn a_commit_writes_the_plan_then_quarantine_then_data_then_the_done() {
    let store = FaultStore::new(Arc::new(InMemory::new()), Vec::new());
    commit(&in_store(&store), &address(DAY), 1, &[1]).await.unwrap();
    let (day, manifests) = (format!("dt=2024-01-01/{DAY}"), format!("acme/calls/manifests/dt=2024-01-01/{DAY}"));
    assert_eq!(
        store.puts(),
        [
            format!("{manifests}-000001.plan.json"),
            format!("acme/calls/quarantine/{day}.parquet"),
            format!("acme/calls/data/{day}.parquet"),
            format!("{manifests}-000001.done.json"),
        ]
    );
}

#[test]
fn urls_are_of_folders_as_they_are_written() {
    let check = |url: &str, refusal: Option<&str>| {
        let location = LakeLocation { url: url.to_owned(), options: Default::default() };
        let reason = location.known_store().err().map(|failure| failure.message);
        assert_eq!(reason.as_deref(), refusal, "{url}");
    };
    for known in
        ["lake", "./lake", "C:/lake", "/lake of 50 % $x~", "file:///lake%20of%20us", "s3://lake/folder", "gs://lake"]
    {
        check(known, None);
    }
    check("", Some("it is empty"));
    check("~/lake", Some("\"~/lake\" is taken as it is written"));
    check("$HOME/lake", Some("\"$HOME/lake\" is taken as it is written"));
    check("ftp://lake", Some("there is no store for ftp://"));
    check("s3:lake", Some("\"s3:lake\" is no URL of a folder"));
    check("file:lake", Some("\"file:lake\" is no URL of a folder"));
    check("s3://lake/folder?region=x", Some("\"s3://lake/folder?region=x\" is no URL of a folder"));
    check("s3://lake/f#older", Some("\"s3://lake/f#older\" is no URL of a folder"));
    check("s3://lake/of%20us", Some("\"s3://lake/of%20us\" has an escape"));
}

#[tokio::test]
async fn a_store_that_ignores_conditions_is_refused() {
    let lake = in_store(&FaultStore::that_ignores_conditions());
    let failure = probe_conditions(&lake, "acme/probe", "racing").await.unwrap_err();
    assert_eq!(failure.kind, SinkFailureKind::Configuration);
    assert!(failure.message.contains("8 of 8 racing creates"), "{}", failure.message);
}

#[tokio::test]
async fn what_a_replay_moves_is_in_data_before_it_leaves_the_quarantine() {
    let replay =
        ReplayProof { run_id: "replay".to_owned(), of_sequence: 1, registry_version: 2, accepted: 1, duplicates: 0 };
    for (replays, first) in [(Vec::new(), "quarantine"), (vec![replay], "data")] {
        let store = FaultStore::new(Arc::new(InMemory::new()), Vec::new());
        commit_after(&in_store(&store), &address(DAY), 1, &[1], replays).await.unwrap();
        let objects = store.puts().into_iter().find(|key| key.ends_with(".parquet")).unwrap();
        assert!(objects.contains(&format!("/{first}/")), "{objects}");
    }
}
