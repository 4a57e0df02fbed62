//! Servers that speak the protocols of stores. Each ends with its value.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use cxlake_simulator::TenantSettings;
use cxlake_sinks::lake::LakeLocation;
use tempfile::TempDir;

use super::lab::Lab;
use super::ports::free_port;
use super::process::Process;
use super::python::{installed, python};
use super::s3::S3Server;
use super::store_proxy::StoreProxy;
use super::tls::Certificate;

/// The key that every Azurite has (it is no secret).
const AZURITE_KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A server, and how a lake on it is opened.
pub(crate) struct StoreServer {
    _process: Process,
    port: u16,
    url: String,
    options: Vec<(&'static str, String)>,
    behind: Option<S3Server>,
    _folder: Option<TempDir>,
}

/// A server of `tests/it/python` that takes its port.
pub(crate) struct Helper {
    _process: Process,
    port: u16,
}

impl Helper {
    pub(crate) fn start(script: &str) -> Self {
        let port = free_port();
        let mut command = installed("python");
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/python").join(script)).arg(port.to_string());
        Self { _process: Process::start(command, port), port }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

/// What `make test` installs below `target/`.
pub(crate) fn installed_file(path: &str) -> std::path::PathBuf {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join(path);
    assert!(file.exists(), "{} is missing: `make test` installs it", file.display());
    file
}

impl StoreServer {
    /// Azurite, which speaks Azure Blob Storage's protocol and checks the account's key.
    pub(crate) fn azure() -> Self {
        let known = ("account_key", AZURITE_KEY.to_owned());
        Self::azurite("http", &[], vec![known, ("allow_http", "true".to_owned())])
    }

    /// The same over TLS, which takes the tokens of identities.
    pub(crate) fn azure_with_identities(certificate: &Certificate) -> Self {
        let (file, key) = (certificate.file().display().to_string(), certificate.key_file().display().to_string());
        let tls = ["--oauth", "basic", "--cert", &file, "--key", &key];
        // Those who vouch for identities here speak without.
        let options = ["allow_invalid_certificates", "allow_http"].map(|option| (option, "true".to_owned()));
        Self::azurite("https", &tls, options.into())
    }

    fn azurite(scheme: &str, arguments: &[&str], mut options: Vec<(&'static str, String)>) -> Self {
        let (port, queue, table) = (free_port(), free_port(), free_port());
        let mut command = Command::new("node");
        command.arg(installed_file("npm/node_modules/azurite/dist/src/azurite.js"));
        command.args(["--silent", "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"]);
        command.args(arguments);
        for (kind, port) in [("blob", port), ("queue", queue), ("table", table)] {
            command.args([format!("--{kind}Host"), "127.0.0.1".to_owned(), format!("--{kind}Port"), port.to_string()]);
        }
        let process = Process::start(command, port);
        let account = format!("{scheme}://127.0.0.1:{port}/devstoreaccount1");
        python("azure_container.py", &[&account, "lake"]);
        options.extend([("account_name", "devstoreaccount1".to_owned()), ("endpoint", account)]);
        Self { _process: process, port, url: "az://lake/cxone".to_owned(), options, behind: None, _folder: None }
    }

    /// A front that speaks Google Cloud Storage's protocol and wants a token of a service account.
    pub(crate) fn gcs() -> Self {
        Self::gcs_front(None)
    }

    /// The same that wants the token of a machine's identity.
    pub(crate) fn gcs_with_identities(token: &str) -> Self {
        Self::gcs_front(Some(token))
    }

    fn gcs_front(token: Option<&str>) -> Self {
        let behind = S3Server::that_joins_parts_on_conditions();
        let port = free_port();
        let mut command = installed("python");
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/python/gcs_front.py"));
        command.args([port.to_string(), behind.port().to_string()]).args(token);
        let process = Process::start(command, port);
        let url = format!("http://127.0.0.1:{port}");
        let who = match token {
            Some(_) => ("base_url", url),
            None => ("service_account_key", python("service_account.py", &[&url]).trim().to_owned()),
        };
        let options = vec![who, ("allow_http", "true".to_owned())];
        Self {
            _process: process,
            port,
            url: "gs://lake/cxone".to_owned(),
            options,
            behind: Some(behind),
            _folder: None,
        }
    }

    /// s3s-fs, which checks the signatures of requests.
    pub(crate) fn s3_with_signatures() -> Self {
        let port = free_port();
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("lake")).unwrap();
        let mut command = Command::new(installed_file("tools/bin/s3s-fs"));
        command.args(["--access-key", "test-key", "--secret-key", "test-secret", "--host", "127.0.0.1"]);
        command.args(["--port", &port.to_string()]).arg(folder.path());
        Self::s3(Process::start(command, port), port, folder, "test-key", "test-secret")
    }

    /// Garage, which ignores conditions: whoever creates what is there replaces it.
    pub(crate) fn s3_without_conditions() -> Self {
        let (port, rpc) = (free_port(), free_port());
        let folder = tempfile::tempdir().unwrap();
        let (data, secret) = (folder.path().display(), "ab".repeat(32));
        let configuration = format!(
            "metadata_dir = \"{data}/meta\"\ndata_dir = \"{data}/data\"\ndb_engine = \"sqlite\"\n\
             replication_factor = 1\nrpc_secret = \"{secret}\"\nrpc_bind_addr = \"127.0.0.1:{rpc}\"\n\
             rpc_public_addr = \"127.0.0.1:{rpc}\"\n[s3_api]\ns3_region = \"us-east-1\"\n\
             api_bind_addr = \"127.0.0.1:{port}\"\n"
        );
        let file = folder.path().join("garage.toml");
        std::fs::write(&file, configuration).unwrap();
        let key = format!("GK{}", "ab".repeat(12));
        let mut command = Command::new(installed_file("tools/bin/garage"));
        command.arg("-c").arg(file).args(["server", "--single-node", "--default-bucket"]);
        command.env("GARAGE_DEFAULT_ACCESS_KEY", &key).env("GARAGE_DEFAULT_SECRET_KEY", &secret);
        command.env("GARAGE_DEFAULT_BUCKET", "lake");
        Self::s3(Process::start(command, port), port, folder, &key, &secret)
    }

    fn s3(process: Process, port: u16, folder: TempDir, key: &str, secret: &str) -> Self {
        let options = vec![
            ("endpoint", format!("http://127.0.0.1:{port}")),
            ("allow_http", "true".to_owned()),
            ("region", "us-east-1".to_owned()),
            ("access_key_id", key.to_owned()),
            ("secret_access_key", secret.to_owned()),
        ];
        Self {
            _process: process,
            port,
            url: "s3://lake/cxone".to_owned(),
            options,
            behind: None,
            _folder: Some(folder),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The S3 server that has the objects, where there is one.
    pub(crate) fn behind(&self) -> Option<&S3Server> {
        self.behind.as_ref()
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The lake, with other values of some options.
    pub(crate) fn location(&self, changed: &[(&'static str, &str)]) -> LakeLocation {
        let changed = changed.iter().map(|(key, value)| (*key, (*value).to_owned()));
        let options: BTreeMap<String, String> =
            self.options.iter().cloned().chain(changed).map(|(key, value)| (key.to_owned(), value)).collect();
        LakeLocation { url: self.url.clone(), options }
    }

    /// The same as a configuration writes it, by way of another port.
    pub(crate) fn configuration(&self, port: u16) -> String {
        let line = |(key, value): &(&str, String)| {
            format!("{key} = {}\n", serde_json::Value::from(value.replace(&self.port.to_string(), &port.to_string())))
        };
        format!("[lake.options]\n{}", self.options.iter().map(line).collect::<String>())
    }

    /// A lab whose lake is here, by way of a proxy.
    pub(crate) async fn behind_a_proxy(self, settings: TenantSettings) -> (Lab, Self, StoreProxy) {
        let proxy = StoreProxy::start(self.port);
        let lab = Lab::on_store(settings, &self.url, &self.configuration(proxy.port())).await;
        (lab, self, proxy)
    }
}
