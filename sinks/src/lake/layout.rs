//! Where things are in a lake (contract, "The lake"). Keys hold only `[A-Za-z0-9._=-]`, for other
//! characters break readers.

use chrono::NaiveDate;

/// A window of a report of a tenant, as the lake names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowAddress {
    /// The tenant's folder.
    pub tenant: String,
    /// The report's folder.
    pub report: String,
    /// The partition `dt`.
    pub date: NaiveDate,
    /// `20240101T050000Z-20240102T050000Z`.
    pub window: String,
}

/// The two objects of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    /// Accepted rows.
    Data,
    /// Rejected records.
    Quarantine,
}

impl ObjectKind {
    /// The folder under the report.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Quarantine => "quarantine",
        }
    }
}

/// The folder of a tenant.
pub fn tenant_folder(tenant: &str) -> String {
    tenant.to_owned()
}

/// The folder of a report.
pub fn report_folder(tenant: &str, report: &str) -> String {
    format!("{tenant}/{report}")
}

impl WindowAddress {
    /// The key of an object, relative to the lake.
    pub fn object(&self, kind: ObjectKind) -> String {
        let report = report_folder(&self.tenant, &self.report);
        format!("{report}/{}/dt={}/{}.parquet", kind.folder(), self.date, self.window)
    }

    pub(super) fn manifests(&self, date: NaiveDate) -> String {
        format!("{}/manifests/dt={date}", report_folder(&self.tenant, &self.report))
    }

    pub(super) fn plan(&self, sequence: u32) -> String {
        format!("{}/{}-{sequence:06}.plan.json", self.manifests(self.date), self.window)
    }

    pub(super) fn done(&self, sequence: u32) -> String {
        format!("{}/{}-{sequence:06}.done.json", self.manifests(self.date), self.window)
    }

    /// The folder for files on their way, beside `data/` and `quarantine/`.
    pub(super) fn staging(&self) -> String {
        format!("{}/staging", report_folder(&self.tenant, &self.report))
    }
}

/// The name of a manifest: its window, sequence and whether it is a done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ManifestName {
    pub(super) window: String,
    pub(super) sequence: u32,
    pub(super) is_done: bool,
}

impl ManifestName {
    /// Reads the last part of a manifest's key.
    pub(super) fn parse(file_name: &str) -> Option<Self> {
        let (stem, is_done) = match file_name.strip_suffix(".plan.json") {
            Some(stem) => (stem, false),
            None => (file_name.strip_suffix(".done.json")?, true),
        };
        let (window, sequence) = stem.rsplit_once('-')?;
        Some(Self { window: window.to_owned(), sequence: sequence.parse().ok()?, is_done })
    }
}

/// Whether two windows share time. Both names hold their bounds in a form that sorts by time.
pub(super) fn overlap(left: &str, right: &str) -> bool {
    match (left.split_once('-'), right.split_once('-')) {
        (Some((left_start, left_end)), Some((right_start, right_end))) => {
            left_start < right_end && right_start < left_end
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_are_named_by_window_and_sequence() {
        let parsed = ManifestName::parse("20240101T050000Z-20240102T050000Z-000012.done.json").unwrap();
        assert_eq!(parsed.window, "20240101T050000Z-20240102T050000Z");
        assert_eq!((parsed.sequence, parsed.is_done), (12, true));
        assert_eq!(ManifestName::parse("notes.txt"), None);
    }

    #[test]
    fn windows_overlap_where_they_share_time() {
        let day = "20240101T050000Z-20240102T050000Z";
        assert!(overlap(day, "20240101T060000Z-20240101T070000Z"));
        assert!(!overlap(day, "20240102T050000Z-20240103T050000Z"));
    }
}
