//! Servers that speak the protocols of warehouses. Each ends with its value.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::ports::free_port;
use super::process::Process;
use super::python::{installed, python};
use super::stores::installed_file;

/// A program of `fixtures/warehouses`.
fn fixture(name: &str) -> Command {
    let mut command = installed("python");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/warehouses").join(name));
    command
}

/// Posts to a server's own door. Its answer as JSON.
fn post(port: u16, target: &str, body: &Value) -> Value {
    let body = body.to_string();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{target}: {answer}"));
    assert!(head.split(' ').nth(1) == Some("200"), "{target}: {answer}");
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

/// A warehouse for tests.
pub(crate) trait WarehouseServer {
    fn port(&self) -> u16;

    /// `[warehouses.NAME]`, by way of a port; the tables are in a dataset or schema of their own.
    fn configuration(&self, port: u16) -> String;

    /// The rows of a query, in which `TABLE_OF ` stands before a table's name.
    fn sql(&self, query: &str) -> Vec<Vec<Option<String>>>;

    /// Asks the server to misbehave, by its own door.
    fn misbehave(&self, how: &str);
}

fn rows(answer: &Value) -> Vec<Vec<Option<String>>> {
    let text = |cell: &Value| cell.as_str().map(str::to_owned);
    let row = |row: &Value| row.as_array().unwrap().iter().map(text).collect();
    answer.as_array().unwrap().iter().map(row).collect()
}

/// Snowflake's SQL API in front of fakesnow. It reads through the stage `LAKE_STAGE`.
pub(crate) struct SnowflakeServer {
    _process: Process,
    port: u16,
    keys: TempDir,
}

impl SnowflakeServer {
    pub(crate) const TOKEN: &str = "pat-of-the-tests";

    /// Over a lake in an S3 server.
    pub(crate) fn start(s3_port: u16) -> Self {
        let (port, keys) = (free_port(), tempfile::tempdir().unwrap());
        python("key_pair.py", &[&keys.path().display().to_string()]);
        let mut command = fixture("snowflake_front.py");
        command.arg(port.to_string()).arg(keys.path().join("public.pem"));
        command.args(["acme-prod", "cxlake", Self::TOKEN, &s3_port.to_string()]);
        let process = Process::start(command, port);
        let server = Self { _process: process, port, keys };
        server.sql("CREATE STAGE LAKE_STAGE url = 's3://lake/cxone/'");
        server
    }

    pub(crate) fn key_file(&self) -> std::path::PathBuf {
        self.keys.path().join("private.p8")
    }
}

impl WarehouseServer for SnowflakeServer {
    fn misbehave(&self, how: &str) {
        post(self.port, &format!("/fixture/{how}"), &json!({}));
    }

    fn port(&self) -> u16 {
        self.port
    }

    fn configuration(&self, port: u16) -> String {
        format!(
            r#"
[warehouses.house]
kind = "snowflake"
account = "acme-prod"
user = "CXLAKE"
private_key = {{ file = "{}" }}
database = "LAKE"
schema = "CXONE"
warehouse = "LOAD_XS"
role = "LOADER"
stage = "LAKE_STAGE"
endpoint = "http://127.0.0.1:{port}"
load_quarantine = true
"#,
            self.key_file().display()
        )
    }

    fn sql(&self, query: &str) -> Vec<Vec<Option<String>>> {
        rows(&post(self.port, "/fixture/sql", &json!({ "sql": query.replace("TABLE_OF ", "") })))
    }
}

/// BigQuery's API in front of local-bigquery.
pub(crate) struct BigQueryServer {
    _front: Process,
    _backend: Process,
    port: u16,
    folder: TempDir,
}

impl BigQueryServer {
    const PROJECT: &str = "acme-analytics";

    /// Over a lake in GCS whose objects are in an S3 server.
    pub(crate) fn start(s3_port: u16) -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        let (backend_port, data) = (free_port(), folder.path().join("data"));
        std::fs::create_dir(&data).unwrap();
        let mut backend = Command::new(installed_file("bigquery/bin/local-bigquery"));
        backend.args(["--host", "127.0.0.1", "--port", &backend_port.to_string()]);
        backend.args(["--grpc-port", &free_port().to_string(), "--data-dir"]).arg(data);
        backend.env("STORAGE_EMULATOR_HOST", format!("127.0.0.1:{s3_port}"));
        let backend = Process::start(backend, backend_port);
        let dataset = json!({ "datasetReference": { "projectId": Self::PROJECT, "datasetId": "contact_centre" } });
        post(backend_port, &format!("/bigquery/v2/projects/{}/datasets", Self::PROJECT), &dataset);
        python("key_pair.py", &[&folder.path().display().to_string()]);
        let mut front = fixture("bigquery_front.py");
        front.args([port.to_string(), backend_port.to_string()]).arg(folder.path().join("public.pem"));
        let front = Process::start(front, port);
        let key = json!({
            "type": "service_account",
            "client_email": "cxlake@acme-analytics.iam.gserviceaccount.com",
            "private_key_id": "1",
            "private_key": std::fs::read_to_string(folder.path().join("private.p8")).unwrap(),
            "token_uri": format!("http://127.0.0.1:{port}/token"),
        });
        let file = folder.path().join("account.json");
        std::fs::write(&file, key.to_string()).unwrap();
        drop(Command::new("chmod").arg("600").arg(&file).status());
        Self { _front: front, _backend: backend, port, folder }
    }

    pub(crate) fn key_file(&self) -> std::path::PathBuf {
        self.folder.path().join("account.json")
    }
}

impl WarehouseServer for BigQueryServer {
    fn misbehave(&self, how: &str) {
        post(self.port, &format!("/fixture/{how}"), &json!({}));
    }

    fn port(&self) -> u16 {
        self.port
    }

    fn configuration(&self, port: u16) -> String {
        format!(
            r#"
[warehouses.house]
kind = "bigquery"
project = "acme-analytics"
dataset = "contact_centre"
location = "EU"
credentials = {{ file = "{}" }}
endpoint = "http://127.0.0.1:{port}"
load_quarantine = true
"#,
            self.key_file().display()
        )
    }

    fn sql(&self, query: &str) -> Vec<Vec<Option<String>>> {
        let sql = query.replace("TABLE_OF ", "`acme-analytics`.contact_centre.");
        rows(&post(self.port, "/fixture/sql", &json!({ "project": Self::PROJECT, "sql": sql })))
    }
}
