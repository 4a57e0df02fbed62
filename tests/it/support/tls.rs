use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use super::python::installed;

/// A server with a certificate that no authority has signed. Ends with this.
pub(crate) struct TlsServer {
    process: Child,
    port: u16,
}

impl TlsServer {
    pub(crate) fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/python/untrusted_tls.py");
        let mut process = installed("python")
            .arg(script)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { process, port: line.trim().parse().unwrap() }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        // A server that is gone already needs no end.
        let _gone = self.process.kill();
        let _ended = self.process.wait();
    }
}
