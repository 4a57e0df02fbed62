//! Where an external stage points, and what a lake's file is called below it.

use url::Url;

/// A place in a store: which kind, the bucket or container, the path without slashes at its ends.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    store: &'static str,
    bucket: String,
    path: String,
}

impl Place {
    /// Reads a lake's or a stage's URL: `s3://`, `gs://` or `gcs://`, `abfss://` or `az://` or `azure://`.
    fn parse(url: &str) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        let host = url.host_str()?.to_owned();
        let path = url.path().trim_matches('/').to_owned();
        let (store, bucket, path) = match url.scheme() {
            "s3" | "s3gov" | "s3china" | "s3compat" => ("s3", host, path),
            "gs" | "gcs" => ("gcs", host, path),
            // The container stands before the account in one, and after it in the other.
            "abfss" => ("azure", url.username().to_owned(), path),
            "az" => ("azure", host, path),
            "azure" => {
                let (container, rest) = path.split_once('/').unwrap_or((path.as_str(), ""));
                ("azure", container.to_owned(), rest.to_owned())
            }
            _ => return None,
        };
        Some(Self { store, bucket, path })
    }
}

/// The folder of a lake below a stage, ending in `/` where it is not empty; `None` where the stage
/// points elsewhere.
pub(super) fn lake_below_stage(lake: &str, stage: &str) -> Option<String> {
    let (lake, stage) = (Place::parse(lake)?, Place::parse(stage)?);
    if (lake.store, &lake.bucket) != (stage.store, &stage.bucket) {
        return None;
    }
    let below = match lake.path.strip_prefix(&stage.path)? {
        rest if stage.path.is_empty() => rest,
        "" => "",
        rest => rest.strip_prefix('/')?,
    };
    Some(if below.is_empty() { String::new() } else { format!("{below}/") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lake: &str, stage: &str, expected: Option<&str>) {
        assert_eq!(lake_below_stage(lake, stage).as_deref(), expected, "{lake} below {stage}");
    }

    #[test]
    fn a_lake_is_found_below_a_stage_of_the_same_store() {
        check("s3://lake/calls", "s3://lake/calls/", Some(""));
        check("s3://lake/calls", "s3://lake/", Some("calls/"));
        check("s3://lake/a/b", "s3://lake/a", Some("b/"));
        check("s3://lake/ab", "s3://lake/a", None);
        check("s3://lake/a", "s3://lake/a/b", None);
        check("s3://lake", "s3://other", None);
        check("gs://lake/cx", "gcs://lake/", Some("cx/"));
        check("gs://lake/cx", "s3://lake/", None);
        check("abfss://files@acme.dfs.core.windows.net/cx", "azure://acme.blob.core.windows.net/files/", Some("cx/"));
        check("az://files/cx", "azure://acme.blob.core.windows.net/files/cx/", Some(""));
    }
}
