//! The tests of the whole: the binary, as users run it, against a tenant on loopback.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]
#![expect(clippy::disallowed_methods, reason = "the binary under test has the machine's clock")]

mod support;

mod airflow;
mod analysts;
mod aws_credentials;
mod bad_input;
mod baseline;
mod checks;
mod concurrency;
mod crash_points;
mod exactness;
mod first_minutes;
mod floors;
mod help;
mod hostile_machine;
mod identities;
mod kills;
mod least_rights;
mod lineage;
mod main_job;
mod memory;
mod misbehaving_tenant;
mod on_s3;
mod packaging;
mod promised_schemas;
mod quarantine;
mod random_faults;
mod readme;
mod registry;
mod reports;
mod secrets;
mod source_faults;
mod store_faults;
mod stores;
mod telemetry;
mod tenants;
mod two_validators;
mod vacuum;
mod versions;
mod warehouse_faults;
mod warehouse_kills;
mod warehouses;
