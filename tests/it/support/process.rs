//! Programs that serve tests.

use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A server that ends with this, also where it does not start.
pub(super) struct Process(Child);

impl Process {
    /// Starts a server and waits until it listens at its port.
    pub(super) fn start(mut command: Command, port: u16) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = Self(command.spawn().unwrap());
        for _ in 0..300 {
            assert!(process.0.try_wait().unwrap().is_none(), "{command:?} has ended");
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return process;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{command:?} did not start");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
