//! The tests of the whole: the binary, as users run it, against a tenant on loopback.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod support;

mod bad_input;
mod checks;
mod floors;
mod help;
mod main_job;
mod memory;
mod misbehaving_tenant;
mod on_s3;
mod promised_schemas;
