//! Every operation of a commit fails, lies, or is the last that a run does: then it is run again.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{AsArray as _, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use cxlake_fault_store::{FaultStore, Trouble};
use cxlake_sinks::failure::SinkFailure;
use cxlake_sinks::lake::{Extract, Lake, ObjectKind, WindowCommit};
use cxlake_sinks::parquet::{Codec, ParquetOptions, ParquetWriter, StagedFile};
use futures::StreamExt as _;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt as _};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::json;

use crate::support::{commit_files, footer, python, verified, window_address};

/// What a tenant has for the window: ids of records that pass, and of records that do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Snapshot {
    accepted: &'static [i64],
    rejected: &'static [i64],
}

const FIRST: Snapshot = Snapshot { accepted: &[1, 2, 3], rejected: &[4, 5] };
const GROWN: Snapshot = Snapshot { accepted: &[1, 2, 3, 6, 7, 8], rejected: &[4, 5, 9] };
const SHRUNK: Snapshot = Snapshot { accepted: &[2], rejected: &[5] };
const EMPTY: Snapshot = Snapshot { accepted: &[], rejected: &[] };
const ALL_REJECTED: Snapshot = Snapshot { accepted: &[], rejected: &[1, 2, 3, 4, 5] };

/// Points that are tried at the same time.
const POINTS_AT_ONCE: usize = 256;

/// What is committed, what a run was about to commit when it ended, and what there is now.
#[derive(Clone, Copy, Debug)]
struct Scenario {
    committed: Option<Snapshot>,
    interrupted: Option<Snapshot>,
    now: Snapshot,
}

const SCENARIOS: [Scenario; 7] = [
    Scenario { committed: None, interrupted: None, now: FIRST },
    Scenario { committed: Some(FIRST), interrupted: None, now: GROWN },
    Scenario { committed: Some(FIRST), interrupted: None, now: SHRUNK },
    Scenario { committed: Some(FIRST), interrupted: None, now: EMPTY },
    Scenario { committed: Some(FIRST), interrupted: None, now: ALL_REJECTED },
    Scenario { committed: None, interrupted: Some(FIRST), now: FIRST },
    Scenario { committed: Some(FIRST), interrupted: Some(GROWN), now: SHRUNK },
];

fn staged(folder: &Path, ids: &[i64], sequence: u32, extract_sha256: &str) -> StagedFile {
    let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
    let options = ParquetOptions { codec: Codec::Uncompressed, row_group_rows: 100, bloom_columns: Vec::new() };
    let mut writer = ParquetWriter::create(folder, Arc::clone(&schema), &options).unwrap();
    writer.write(&RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(ids.to_vec()))]).unwrap()).unwrap();
    writer.finish(&footer(sequence, extract_sha256)).unwrap()
}

/// A run of the window: the steps of the product's own.
async fn run(store: &Arc<FaultStore>, now: Snapshot) -> Result<(), SinkFailure> {
    let lake = Lake::in_store(Arc::clone(store) as Arc<dyn ObjectStore>, "memory://");
    let address = window_address();
    let commit = WindowCommit { lake: &lake, address: &address };
    let sequence = commit.look().await?.next_sequence();
    let extract_sha256 = format!("{now:?}");
    let history = commit.look().await?;
    if let Some(done) = history.settled()
        && done.extract_sha256 == extract_sha256
        && commit.is_in_place(done).await?
    {
        return Ok(());
    }
    assert_eq!(history.next_sequence(), sequence);
    let folder = tempfile::tempdir().unwrap();
    let extract = Extract {
        data: staged(folder.path(), now.accepted, sequence, &extract_sha256),
        quarantine: staged(folder.path(), now.rejected, sequence, &extract_sha256),
    };
    commit_files(&lake, sequence, &extract_sha256, &extract).await.map(drop)
}

/// A run until it comes back, or the script ends it.
async fn run_under(inner: &Arc<InMemory>, now: Snapshot, script: Vec<(usize, Trouble)>) -> Arc<FaultStore> {
    let store = FaultStore::new(Arc::clone(inner) as Arc<dyn ObjectStore>, script);
    tokio::select! {
        _ = run(&store, now) => {}
        () = store.ended() => {}
    }
    store
}

/// The lake before the runs that are tried.
async fn prepared(scenario: Scenario) -> Arc<InMemory> {
    let inner = Arc::new(InMemory::new());
    if let Some(committed) = scenario.committed {
        run_under(&inner, committed, Vec::new()).await;
    }
    if let Some(interrupted) = scenario.interrupted {
        // It ends with its quarantine published, and its data not.
        let rehearsal = Arc::new(inner.fork());
        let operations = run_under(&rehearsal, interrupted, Vec::new()).await.operations();
        let at = operations.iter().position(|put| put.name == "put" && put.key.contains("/quarantine/")).unwrap();
        run_under(&inner, interrupted, vec![(at, Trouble::EndsAfter)]).await;
    }
    inner
}

async fn object(inner: &InMemory, kind: ObjectKind) -> Option<Vec<u8>> {
    let key = object_store::path::Path::from(window_address().object(kind));
    Some(inner.get(&key).await.ok()?.bytes().await.unwrap().to_vec())
}

fn ids(object: Vec<u8>) -> Vec<i64> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(object)).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
}

/// Runs that are tried, one after the other, before a clean one.
struct Point {
    scenario: Scenario,
    start: Arc<InMemory>,
    scripts: Vec<(usize, Trouble)>,
}

impl Point {
    /// Tries it; what readers should find in the files that are left of it in `folder`.
    async fn try_it(self, number: usize, folder: &Path) -> serde_json::Value {
        let Self { scenario, start, scripts } = self;
        let inner = Arc::new(start.fork());
        let before = object(&inner, ObjectKind::Data).await;
        let mut seen = vec![before.clone()];
        for script in &scripts {
            run_under(&inner, scenario.now, vec![*script]).await;
            seen.push(object(&inner, ObjectKind::Data).await);
        }
        let point = format!("{scenario:?} {scripts:?}");
        let store = FaultStore::new(Arc::clone(&inner) as Arc<dyn ObjectStore>, Vec::new());
        run(&store, scenario.now).await.unwrap_or_else(|failure| panic!("{point}: {failure}"));
        let known = [scenario.committed, scenario.interrupted, Some(scenario.now)];
        for object in seen {
            let rows = object.map(ids);
            let is_one_version = known.iter().flatten().any(|version| rows.as_deref() == Some(version.accepted));
            assert!(is_one_version || (before.is_none() && rows.is_none()), "{point}: a reader saw {rows:?}");
        }
        let lake = Lake::in_store(Arc::clone(&inner) as Arc<dyn ObjectStore>, "memory://");
        let verified = verified(&lake).await;
        assert_eq!((verified.findings, verified.windows), (Vec::new(), 1), "{point}");
        let history = WindowCommit { lake: &lake, address: &window_address() }.look().await.unwrap();
        assert_eq!(history.settled().unwrap().extract_sha256, format!("{:?}", scenario.now), "{point}");
        for kind in [ObjectKind::Data, ObjectKind::Quarantine] {
            let content = object(&inner, kind).await.unwrap();
            std::fs::write(folder.join(kind.folder()).join(format!("{number:06}.parquet")), content).unwrap();
        }
        json!({ "point": point, "data": scenario.now.accepted, "quarantine": scenario.now.rejected })
    }
}

/// Whether all pairs are to be tried: a trouble of a run, and one of its recovery.
fn all_pairs() -> bool {
    std::env::var("CXLAKE_TEST_POINTS").is_ok_and(|points| points == "all")
}

async fn points() -> Vec<Point> {
    let mut points = Vec::new();
    for scenario in SCENARIOS {
        let start = prepared(scenario).await;
        let operations = run_under(&Arc::new(start.fork()), scenario.now, Vec::new()).await.operations().len();
        let mut add = |scripts: &[(usize, Trouble)]| {
            points.push(Point { scenario, start: Arc::clone(&start), scripts: scripts.to_vec() })
        };
        let troubles = || (0..operations).flat_map(|at| Trouble::ALL.map(|trouble| (at, trouble)));
        troubles().for_each(|trouble| add(&[trouble]));
        // A run that ends, and a run after it that ends too.
        if all_pairs() || scenario.interrupted.is_some() {
            for first in 0..operations {
                for second in 0..operations + 2 {
                    add(&[(first, Trouble::EndsAfter), (second, Trouble::EndsAfter)]);
                }
            }
        }
        if all_pairs() {
            for first in troubles() {
                for second in (0..operations).map(|at| (at, Trouble::EndsAfter)) {
                    add(&[first, second]);
                }
            }
        }
    }
    points
}

#[tokio::test]
async fn whatever_one_operation_does_a_run_again_makes_it_right() {
    let folder = tempfile::tempdir().unwrap();
    for kind in [ObjectKind::Data, ObjectKind::Quarantine] {
        std::fs::create_dir(folder.path().join(kind.folder())).unwrap();
    }
    let points = points().await;
    println!("{} points", points.len());
    assert!(points.len() >= if all_pairs() { 10_000 } else { 1_000 }, "{}", points.len());
    // Most of a point's time is a pause before a read-back.
    let tried = points.into_iter().enumerate().map(|(number, point)| point.try_it(number, folder.path()));
    let expected: Vec<serde_json::Value> = futures::stream::iter(tried).buffered(POINTS_AT_ONCE).collect().await;
    // `DuckDB` reads what is left of all of them.
    std::fs::write(folder.path().join("expected.json"), serde_json::to_vec(&expected).unwrap()).unwrap();
    python("crash_points.py", &[folder.path().to_str().unwrap()]);
}
