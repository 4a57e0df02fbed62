//! Servers that speak TLS.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::ports::free_port;
use super::process::Process;
use super::python::{installed, python};

/// A certificate for loopback that no authority has signed, and its key.
pub(crate) struct Certificate(TempDir);

impl Certificate {
    pub(crate) fn new() -> Self {
        let certificate = Self(tempfile::tempdir().unwrap());
        let files = [certificate.file(), certificate.key_file()].map(|file| file.display().to_string());
        python("certificate.py", &files.each_ref().map(String::as_str));
        certificate
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.path().join("certificate.pem")
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        self.0.path().join("key.pem")
    }
}

/// A server that has such a certificate. Ends with this.
pub(crate) struct TlsServer {
    _process: Process,
    port: u16,
}

impl TlsServer {
    pub(crate) fn start() -> Self {
        let (port, certificate) = (free_port(), Certificate::new());
        let mut command = installed("python");
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/python/untrusted_tls.py"));
        command.arg(port.to_string()).args([certificate.file(), certificate.key_file()]);
        Self { _process: Process::start(command, port), port }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}
