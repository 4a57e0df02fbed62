use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::ports::free_port;
use super::process::Process;
use super::python::installed;

/// A server that speaks S3's protocol, with one bucket `lake`. Ends with this.
pub(crate) struct S3Server {
    _process: Process,
    port: u16,
}

impl S3Server {
    /// `moto`, which ignores the conditions of uploads in parts.
    pub(crate) fn start() -> Self {
        Self::of(|port| {
            let mut moto = installed("python");
            moto.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/python/moto_server.py")).arg(port);
            moto
        })
    }

    /// `ministack`, which keeps those too.
    pub(crate) fn that_joins_parts_on_conditions() -> Self {
        Self::of(|port| {
            let mut ministack = installed("ministack");
            ministack.env("BIND_HOST", "127.0.0.1").env("GATEWAY_PORT", port);
            ministack
        })
    }

    fn of(command: impl Fn(&str) -> Command) -> Self {
        let port = free_port();
        let server = Self { _process: Process::start(command(&port.to_string()), port), port };
        for _ in 0..300 {
            if server.create_bucket() {
                return server;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the S3 server did not start");
    }

    fn create_bucket(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)) else { return false };
        let request = "PUT /lake HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let mut answer = String::new();
        stream.write_all(request.as_bytes()).is_ok()
            && stream.read_to_string(&mut answer).is_ok()
            && answer.starts_with("HTTP/1.1 200")
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The lake's options for this server.
    pub(crate) fn options(&self) -> String {
        format!(
            "[lake.options]\nendpoint = \"{}\"\nallow_http = true\nregion = \"us-east-1\"\naccess_key_id = \"test\"\nsecret_access_key = \"test\"\n",
            self.endpoint()
        )
    }
}
