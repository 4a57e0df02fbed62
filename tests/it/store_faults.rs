//! A store that fails, lies, or takes rights away while a run is on its way; large objects.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{FixedSizeBinaryArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use cxlake_simulator::TenantSettings;
use cxlake_sinks::failure::{SinkFailure, SinkFailureKind};
use cxlake_sinks::lake::{Committed, Extract, Lake, LakeLocation, ObjectKind};
use cxlake_sinks::parquet::{Codec, ParquetOptions, ParquetWriter, StagedFile};

use crate::support::{
    Fate, Lab, Random, Running, S3Server, StoreProxy, StoreServer, commit_files, footer, tenant, verified,
    window_address,
};

const RUN: [&str; 3] = ["run", "--date", "2024-01-01"];
const MEBIBYTE: usize = 1 << 20;

fn small() -> TenantSettings {
    TenantSettings { duplicate_every: 0, ..tenant(100) }
}

/// A lab whose lake is on S3, behind a proxy.
async fn on_s3() -> (Lab, S3Server, StoreProxy) {
    let server = S3Server::start();
    let proxy = StoreProxy::start(server.port());
    let options = server.options().replace(&server.port().to_string(), &proxy.port().to_string());
    (Lab::on_store(small(), "s3://lake/cxone", &options).await, server, proxy)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_that_is_new_is_probed_though_its_registry_is_not() {
    let (mut lab, _server, proxy) = on_s3().await;
    let folder = lab.folder().join("registry");
    lab.replace("[tenants.acme.regions]", &format!("registry_url = \"{}\"\n[tenants.acme.regions]", folder.display()));
    let probes = |lab: &Lab| {
        let before = proxy.requests().len();
        lab.cxlake(&RUN).expect(0);
        proxy.requests().iter().skip(before).filter(|request| request.target.contains("/probe/")).count()
    };
    assert!(probes(&lab) > 0);
    assert_eq!(probes(&lab), 0);
    lab.replace("s3://lake/cxone", "s3://lake/other");
    assert!(probes(&lab) > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_verify_found_before_a_failure_is_told() {
    let (mut lab, _server, proxy) = on_s3().await;
    let other = lab.report_again("other");
    lab.replace("[lake]", &format!("{other}[lake]"));
    lab.cxlake(&RUN).expect(0);
    let window = "dt=2024-01-01/20240101T050000Z-20240102T050000Z.parquet";
    proxy.rule(|request| match request.target.replace("%2F", "/") {
        target if target.contains("other/manifests") => Fate::Refused(403, "AccessDenied"),
        target if target.contains("calls/data/dt") && !target.contains("prefix=") => Fate::Refused(404, "NoSuchKey"),
        _ => Fate::Forwarded,
    });
    let outcome = lab.cxlake(&["verify"]).expect(5);
    assert!(outcome.stdout.contains(window) && outcome.stdout.contains("1 findings"), "{}", outcome.stdout);
    assert!(outcome.complaint().contains("AccessDenied"), "{}", outcome.complaint());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_throttles_or_takes_rights_away_is_5_and_nothing_is_half_done() {
    let (lab, _server, proxy) = on_s3().await;
    lab.cxlake(&RUN).expect(0);
    lab.simulator.change(|tenant| tenant.seed += 1);
    let before = lab.cxlake(&["verify"]).expect(0).stdout;
    for (status, code) in [(403, "ExpiredToken"), (403, "AccessDenied"), (503, "SlowDown")] {
        // From the first change on: the plan is refused.
        proxy.rule(move |request| if request.changes() { Fate::Refused(status, code) } else { Fate::Forwarded });
        let outcome = lab.cxlake(&RUN).expect(5);
        assert!(outcome.message().contains(code), "{}", outcome.message());
        proxy.rule(|_| Fate::Forwarded);
        assert_eq!(lab.cxlake(&["verify"]).expect(0).stdout, before, "{code}");
    }
    // Throttled now and then, a run goes on.
    let count = AtomicUsize::new(0);
    proxy.rule(move |_| match count.fetch_add(1, Ordering::Relaxed) % 3 {
        0 => Fate::Refused(503, "SlowDown"),
        _ => Fate::Forwarded,
    });
    assert_eq!(lab.cxlake(&RUN).expect(0).statuses(), ["committed"]);
    proxy.rule(|_| Fate::Forwarded);
    lab.cxlake(&["verify"]).expect(0);
}

/// Kills a run before and after each of its changes to a store, or loses the answer; then runs it again.
async fn killed_and_run_again(lab: &Lab, proxy: &StoreProxy) {
    lab.cxlake(&RUN).expect(0);
    lab.simulator.change(|tenant| tenant.seed += 1);
    proxy.rule(|_| Fate::Forwarded);
    lab.cxlake(&RUN).expect(0);
    let changes = proxy.requests().iter().filter(|request| request.changes()).count();
    assert!(changes >= 4, "{changes}");
    for at in 0..changes {
        for kill in [Fate::KillsBefore as fn(u32) -> Fate, Fate::KillsAfter, |_| Fate::AnswerLost] {
            lab.simulator.change(|tenant| tenant.seed += 1);
            let process = Arc::new(AtomicUsize::new(0));
            let (count, victim) = (AtomicUsize::new(0), Arc::clone(&process));
            proxy.rule(move |request| {
                if !request.changes() || count.fetch_add(1, Ordering::Relaxed) != at {
                    return Fate::Forwarded;
                }
                // Not before its id is known: 0 is this test and all that it started.
                while victim.load(Ordering::Relaxed) == 0 {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
                kill(u32::try_from(victim.load(Ordering::Relaxed)).unwrap())
            });
            let run = Running::start(lab.command(&RUN));
            process.store(run.id() as usize, Ordering::Relaxed);
            let code = run.end().code;
            let survives = kill(0) == Fate::AnswerLost;
            assert_eq!(code, if survives { 0 } else { -1 }, "at {at}");
            proxy.rule(|_| Fate::Forwarded);
            lab.cxlake(&RUN).expect(0);
            lab.cxlake(&["verify"]).expect(0);
            assert_eq!(lab.cxlake(&RUN).expect(0).statuses(), ["unchanged"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_at_any_change_of_s3_is_made_right_by_the_next() {
    let (lab, _server, proxy) = on_s3().await;
    killed_and_run_again(&lab, &proxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_at_any_change_of_azure_is_made_right_by_the_next() {
    let (lab, _server, proxy) = StoreServer::azure().behind_a_proxy(small()).await;
    killed_and_run_again(&lab, &proxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_at_any_change_of_gcs_is_made_right_by_the_next() {
    let (lab, _server, proxy) = StoreServer::gcs().behind_a_proxy(small()).await;
    killed_and_run_again(&lab, &proxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_refuses_rights_is_told_with_the_least_that_it_must_grant() {
    let (lab, _server, proxy) = on_s3().await;
    proxy.rule(|request| match request.method.as_str() {
        "PUT" => Fate::Refused(403, "AccessDenied"),
        _ => Fate::Forwarded,
    });
    let told = lab.cxlake(&["check"]).expect(5).stdout;
    assert!(
        told.contains("FAIL  acme lake: racing creates") && told.contains("\"arn:aws:s3:::lake/cxone/*\""),
        "{told}"
    );
}

/// Whether a request is for one of a window's two objects.
fn is_of_window(target: &str) -> bool {
    target.contains("/data/") || target.contains("/quarantine/")
}

#[tokio::test(flavor = "multi_thread")]
async fn options_reach_the_store() {
    let (mut lab, _server, proxy) = on_s3().await;
    lab.add(
        "aws_server_side_encryption = \"aws:kms\"\naws_sse_kms_key_id = \"some-key\"\naws_sse_bucket_key_enabled = true\n\
         request_payer = true\nstorage_class = \"STANDARD_IA\"\n",
    );
    proxy.rule(|_| Fate::Forwarded);
    lab.cxlake(&RUN).expect(0);
    let puts: Vec<_> = proxy.requests().into_iter().filter(|request| request.method == "PUT").collect();
    for put in &puts {
        for header in [
            "x-amz-server-side-encryption: aws:kms",
            "x-amz-server-side-encryption-aws-kms-key-id: some-key",
            "x-amz-server-side-encryption-bucket-key-enabled: true",
            "x-amz-request-payer: requester",
        ] {
            assert!(put.head.contains(header), "{header}: {}", put.head);
        }
        assert_eq!(put.head.contains("x-amz-storage-class: standard_ia"), is_of_window(&put.target), "{}", put.head);
    }
    assert!(puts.iter().filter(|put| is_of_window(&put.target)).count() == 2);
    lab.replace("storage_class", "storage_klass");
    assert!(lab.cxlake(&RUN).expect(2).message().contains("storage_klass"));
}

/// A file of incompressible rows, of about so many bytes.
fn staged(folder: &std::path::Path, bytes: usize, sequence: u32) -> StagedFile {
    let schema = Arc::new(Schema::new(vec![Field::new("noise", DataType::FixedSizeBinary(1024), true)]));
    let options = ParquetOptions { codec: Codec::Uncompressed, row_group_rows: 100_000, bloom_columns: Vec::new() };
    let mut writer = ParquetWriter::create(folder, Arc::clone(&schema), &options).unwrap();
    let mut random = Random(u64::from(sequence));
    let noise: Vec<u8> = (0..bytes / 8).flat_map(|_| random.next().to_le_bytes()).collect();
    let rows = noise.chunks_exact(1024).map(Some);
    let rows = FixedSizeBinaryArray::try_from_sparse_iter_with_size(rows, 1024).unwrap();
    writer.write(&RecordBatch::try_new(schema, vec![Arc::new(rows)]).unwrap()).unwrap();
    writer.finish(&footer(sequence, &sequence.to_string())).unwrap()
}

async fn commit(lake: &Lake, bytes: usize, sequence: u32) -> Result<Committed, SinkFailure> {
    let folder = tempfile::tempdir().unwrap();
    let extract =
        Extract { data: staged(folder.path(), bytes, sequence), quarantine: staged(folder.path(), 0, sequence) };
    commit_files(lake, sequence, &sequence.to_string(), &extract).await
}

/// Puts a file past the proxy.
fn put_directly(port: u16, key: &str, content: &[u8]) {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    let head = format!(
        "PUT /lake/{key} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        content.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(content).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

fn large_lake(server: &S3Server) -> (Lake, StoreProxy) {
    let proxy = StoreProxy::start(server.port());
    let options = [("endpoint", format!("http://127.0.0.1:{}", proxy.port())), ("allow_http", "true".to_owned())];
    let keys = ["region", "access_key_id", "secret_access_key"].map(|key| (key, "us-east-1".to_owned()));
    let options: BTreeMap<String, String> =
        options.into_iter().chain(keys).map(|(key, value)| (key.to_owned(), value)).collect();
    (Lake::open(&LakeLocation { url: "s3://lake/large".to_owned(), options }).unwrap(), proxy)
}

#[tokio::test(flavor = "multi_thread")]
async fn large_objects_go_up_in_parts_that_are_put_together_on_a_condition() {
    // One that ignores the conditions of uploads gets everything in one put.
    let server = S3Server::start();
    let (lake, proxy) = large_lake(&server);
    commit(&lake, 70 * MEBIBYTE, 1).await.unwrap();
    proxy.rule(|_| Fate::Forwarded);
    commit(&lake, 70 * MEBIBYTE, 2).await.unwrap();
    assert!(!proxy.requests().iter().any(|request| request.target.contains("uploadId=")));
    assert_eq!(verified(&lake).await.findings, [] as [String; 0]);

    // So does one that knows none of them.
    let server = S3Server::that_joins_parts_on_conditions();
    let (lake, proxy) = large_lake(&server);
    proxy.rule(|request| {
        let is_conditional = request.method == "POST" && request.head.contains("\r\nif-");
        if is_conditional { Fate::Refused(501, "NotImplemented") } else { Fate::Forwarded }
    });
    commit(&lake, 70 * MEBIBYTE, 1).await.unwrap();
    assert_eq!(verified(&lake).await.findings, [] as [String; 0]);

    let server = S3Server::that_joins_parts_on_conditions();
    let (lake, proxy) = large_lake(&server);
    let is_complete = |method: &str, target: &str| method == "POST" && target.contains("uploadId=");
    let completes = |proxy: &StoreProxy| {
        proxy.requests().iter().filter(|request| is_complete(&request.method, &request.target)).count()
    };
    // Below 64 MiB in one put, above it in parts, after two proofs.
    commit(&lake, MEBIBYTE, 1).await.unwrap();
    assert_eq!(completes(&proxy), 0);
    commit(&lake, 70 * MEBIBYTE, 2).await.unwrap();
    assert_eq!(completes(&proxy), 2 + 1);

    // The answer is lost, and the store refuses for nothing: read back, and tried again.
    for (sequence, fate) in [(3, Fate::AnswerLost), (4, Fate::Refused(409, "ConditionalRequestConflict"))] {
        let first = AtomicUsize::new(0);
        proxy.rule(move |request| {
            let is_first = is_complete(&request.method, &request.target) && first.fetch_add(1, Ordering::Relaxed) == 0;
            if is_first { fate.clone() } else { Fate::Forwarded }
        });
        commit(&lake, 70 * MEBIBYTE, sequence).await.unwrap();
        assert_eq!(verified(&lake).await.findings, [] as [String; 0]);
    }

    // A newer object comes meanwhile: it stays.
    let folder = tempfile::tempdir().unwrap();
    let newer = std::fs::read(staged(folder.path(), MEBIBYTE, 9).file.path()).unwrap();
    let (port, content, key) =
        (server.port(), newer.clone(), format!("large/{}", window_address().object(ObjectKind::Data)));
    proxy.rule(move |request| {
        if is_complete(&request.method, &request.target) {
            put_directly(port, &key, &content);
        }
        Fate::Forwarded
    });
    let failure = commit(&lake, 70 * MEBIBYTE, 5).await.unwrap_err();
    assert_eq!(failure.kind, SinkFailureKind::Superseded, "{failure}");
    proxy.rule(|_| Fate::Forwarded);
    let there = lake.get(&window_address().object(ObjectKind::Data)).await.unwrap().unwrap();
    assert!(there == newer, "the newer object was replaced");
}
