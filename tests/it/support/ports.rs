//! Ports for servers that must be told theirs before they start.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below those that the system gives away by itself (Linux: from 32768 on): such a one may belong to another's connection
/// before the server has it, or to two servers.
const PORTS: Range<u16> = 12_000..32_000;

static TAKEN: AtomicU32 = AtomicU32::new(0);

/// A port on loopback that nobody listens at, and that this process gives to nobody else.
pub(crate) fn free_port() -> u16 {
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    // Where each test has a process of its own, they begin at places of their own.
    let first = std::process::id().wrapping_mul(97);
    let next =
        |_| PORTS.start + (first.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed)) % PORTS.len() as u32) as u16;
    PORTS.map(next).find(is_free).unwrap()
}
