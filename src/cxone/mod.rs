//! Floor 2: the only door to the tenant's API (`tenant-api.md`). What leaves it is neutral: pages
//! of records as text, a catalog, a time zone.

mod address;
mod answer;
mod api_counter;
mod body;
mod catalog;
mod client;
mod data_download;
mod envelope;
mod http;
mod region;
mod resolver;
mod spare_buffers;
mod tenant;
mod token;

pub use api_counter::{ApiCounter, ApiCounts};
pub use client::{Client, Surroundings};
pub use data_download::{PAGE_LOG, PageAnswer, Place, ReportReader, ReportRequest, RequestLabel};
pub use envelope::{Envelope, split_page};
pub use tenant::{Quota, Tenant};
