//! What a lake needs of a store, on every store that there is.

use std::path::Path;
use std::sync::Arc;

use cxlake_simulator::TenantSettings;
use cxlake_sinks::lake::{Lake, LakeLocation, conformance};

use crate::support::{Lab, S3Server, StoreServer, python, tenant};

async fn conforms(name: &str, lake: &Lake) {
    let failed: Vec<_> =
        conformance(lake, "acme/probe").await.into_iter().filter(|(_, outcome)| outcome.is_err()).collect();
    assert!(failed.is_empty(), "{name}: {failed:?}");
}

/// Copies a lake's Parquet into a folder.
async fn download(lake: &Lake, folder: &Path) {
    for (key, _) in lake.list("acme/calls").await.unwrap() {
        let file = folder.join(&key);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, lake.get(&key).await.unwrap().unwrap()).unwrap();
    }
}

/// The same, and a life of a lake by the binary: a week is as it was sent.
async fn keeps_a_lake(name: &str, url: &str, configuration: &str, location: &LakeLocation) {
    conforms(name, &Lake::open(location).unwrap()).await;
    let mut lab = Lab::start(TenantSettings { duplicate_every: 0, ..tenant(500) }).await;
    let local = format!("url = \"{}\"", lab.lake().display());
    lab.replace(&local, &format!("url = \"{url}\""));
    lab.add(configuration);
    let week = ["run", "--from", "2024-01-01", "--to", "2024-01-08"];
    assert_eq!(lab.cxlake(&week).expect(0).statuses(), ["committed"; 7], "{name}");
    assert_eq!(lab.cxlake(&week).expect(0).statuses(), ["unchanged"; 7], "{name}");
    let copy = lab.folder().join("copy");
    download(&Lake::open(location).unwrap(), &copy).await;
    for day in 1..8 {
        lab.compare_day(&copy, &format!("2024-01-0{day}"), false);
    }
    lab.simulator.change(|tenant| tenant.seed += 1);
    assert_eq!(lab.cxlake(&["run", "--date", "2024-01-01"]).expect(0).statuses(), ["committed"], "{name}");
    let verified = lab.cxlake(&["verify"]).expect(0).stdout;
    assert!(verified.contains("7 windows, 14 objects read"), "{name}: {verified}");
    assert!(lab.cxlake(&["check"]).expect(0).stdout.contains("racing creates: one of eight won"), "{name}");
    assert!(lab.cxlake(&["vacuum", "--older-than-hours", "0"]).expect(0).stdout.contains("(superseded plan, "));
    lab.cxlake(&["verify"]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_and_memory_conform() {
    let folder = tempfile::tempdir().unwrap();
    let location = LakeLocation { url: folder.path().display().to_string(), options: Default::default() };
    conforms("folder", &Lake::open(&location).unwrap()).await;
    let memory = Arc::new(object_store::memory::InMemory::new());
    conforms("memory", &Lake::in_store(memory, "memory://")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_conforms() {
    for server in [S3Server::start(), S3Server::that_joins_parts_on_conditions()] {
        let options = [("endpoint", server.endpoint()), ("allow_http", "true".to_owned())];
        let keys = ["region", "access_key_id", "secret_access_key"].map(|key| (key, "us-east-1".to_owned()));
        let options = options.into_iter().chain(keys).map(|(key, value)| (key.to_owned(), value)).collect();
        let location = LakeLocation { url: "s3://lake/cxone".to_owned(), options };
        keeps_a_lake("s3", "s3://lake/cxone", &server.options(), &location).await;
    }
    // A server that compares tags and then writes, with room for others between: it is found out.
    let server = StoreServer::s3_with_signatures();
    let outcomes = conformance(&Lake::open(&server.location(&[])).unwrap(), "acme/probe").await;
    let failed: Vec<_> = outcomes.into_iter().filter(|(_, outcome)| outcome.is_err()).collect();
    let races = ["creates that race", "swaps that race"];
    assert!(failed.iter().all(|(name, _)| races.contains(name)), "{failed:?}");
    let wrong = Lake::open(&server.location(&[("secret_access_key", "wrong")])).unwrap();
    assert!(wrong.create("acme/probe/wrong", "x".into()).await.is_err(), "signatures are checked");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "Garage takes minutes to build: `make test-slow` runs it"]
async fn garage_which_ignores_conditions_is_refused() {
    let server = StoreServer::s3_without_conditions();
    let lake = Lake::open(&server.location(&[])).unwrap();
    lake.create("acme/probe/kept", "x".into()).await.unwrap();
    let mut lab = Lab::start(tenant(100)).await;
    let local = format!("url = \"{}\"", lab.lake().display());
    lab.replace(&local, &format!("url = \"{}\"", server.url()));
    lab.add(&server.configuration(server.port()));
    let told = lab.cxlake(&["check"]).expect(2).stdout;
    assert!(told.contains("FAIL  acme lake: racing creates"), "{told}");
    let refused = lab.cxlake(&["run", "--date", "2024-01-01"]).expect(2);
    assert!(refused.complaint().contains("conditional"), "{}", refused.complaint());
    assert!(lake.list("acme/calls").await.unwrap().is_empty(), "nothing is written");
}

#[tokio::test(flavor = "multi_thread")]
async fn azure_conforms() {
    let server = StoreServer::azure();
    keeps_a_lake("azure", server.url(), &server.configuration(server.port()), &server.location(&[])).await;
    // By Hadoop's kind of URL: the account is in the host.
    let hadoop = LakeLocation {
        url: "abfss://lake@devstoreaccount1.dfs.core.windows.net/hadoop".to_owned(),
        ..server.location(&[])
    };
    keeps_a_lake("abfss", &hadoop.url, &server.configuration(server.port()), &hadoop).await;
    // By a signature that somebody with the key has given away.
    let signature = python("azure_sas.py", &["lake"]);
    let mut shared = server.location(&[("sas_token", signature.trim())]);
    shared.options.remove("account_key");
    let lake = Lake::open(&shared).unwrap();
    lake.create("acme/probe/shared", "x".into()).await.unwrap();
    assert_eq!(lake.get("acme/probe/shared").await.unwrap().as_deref(), Some(&b"x"[..]));
    assert_eq!(lake.list("acme/probe").await.unwrap().iter().filter(|(key, _)| key.ends_with("shared")).count(), 1);
    let key = "AAAAvdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
    let wrong = Lake::open(&server.location(&[("account_key", key)])).unwrap();
    assert!(wrong.create("acme/probe/wrong", "x".into()).await.is_err(), "the key is checked");
}

#[tokio::test(flavor = "multi_thread")]
async fn gcs_conforms() {
    let server = StoreServer::gcs();
    keeps_a_lake("gcs", server.url(), &server.configuration(server.port()), &server.location(&[])).await;
}
