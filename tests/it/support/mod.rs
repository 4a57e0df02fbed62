//! A tenant, a configuration, a lake, and the binary.

pub(crate) mod faults;
mod file_faults;
mod here;
mod lab;
mod names;
mod ports;
mod process;
mod python;
mod random;
mod s3;
mod store_proxy;
mod stores;
mod tls;
mod warehouses;
mod webhook;
mod window;

pub(crate) use file_faults::{FileFault, count_changes, slow_down};
pub(crate) use here::{FastClock, days, run_here};
pub(crate) use lab::{Lab, Outcome, Running, complaint, tenant};
pub(crate) use names::PrivateNames;
pub(crate) use ports::free_port;
pub(crate) use python::{installed, python};
pub(crate) use random::Random;
pub(crate) use s3::S3Server;
pub(crate) use store_proxy::{Fate, StoreProxy, StoreRequest};
pub(crate) use stores::{Helper, StoreServer, installed_file};
pub(crate) use tls::{Certificate, TlsServer};
pub(crate) use warehouses::{BigQueryServer, SnowflakeServer, WarehouseServer};
pub(crate) use webhook::{Post, posts, webhook};
pub(crate) use window::{commit_files, footer, verified, window_address};
