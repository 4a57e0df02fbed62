//! Where an external stage points, and what a lake's file is called below it.

use url::Url;

/// A place in a store: which kind, Azure's account where the URL tells it, the bucket or container,
/// the path without slashes at its ends.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    store: &'static str,
    account: Option<String>,
    bucket: String,
    path: String,
}

impl Place {
    /// Reads a lake's or a stage's URL: `s3://`, `gs://` or `gcs://`, `abfss://` or `az://` or `azure://`.
    fn parse(url: &str) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        let host = url.host_str()?.to_owned();
        let path = url.path().trim_matches('/').to_owned();
        let account = || host.split('.').next().map(str::to_owned);
        let (store, account, bucket, path) = match url.scheme() {
            "s3" | "s3gov" | "s3china" | "s3compat" => ("s3", None, host, path),
            "gs" | "gcs" => ("gcs", None, host, path),
            // The container stands before the account in one, and after it in the other.
            "abfss" => ("azure", account(), url.username().to_owned(), path),
            "az" => ("azure", None, host, path),
            "azure" => {
                let (container, rest) = path.split_once('/').unwrap_or((path.as_str(), ""));
                ("azure", account(), container.to_owned(), rest.to_owned())
            }
            _ => return None,
        };
        Some(Self { store, account, bucket, path })
    }
}

/// A lake's URL as stages write it.
pub(super) fn stage_url(lake: &str) -> String {
    let Some(Place { store, account, bucket, path }) = Place::parse(lake) else { return lake.to_owned() };
    let account = account.unwrap_or_else(|| "ACCOUNT".to_owned());
    match store {
        "azure" => format!("azure://{account}.blob.core.windows.net/{bucket}/{path}/"),
        store => format!("{store}://{bucket}/{path}/"),
    }
}

/// The folder of a lake below a stage, ending in `/` where it is not empty; `None` where the stage
/// points elsewhere.
pub(super) fn lake_below_stage(lake: &str, stage: &str) -> Option<String> {
    let (lake, stage) = (Place::parse(lake)?, Place::parse(stage)?);
    let accounts = (&lake.account, &stage.account);
    let is_other_account = matches!(accounts, (Some(lake), Some(stage)) if lake != stage);
    if (lake.store, &lake.bucket) != (stage.store, &stage.bucket) || is_other_account {
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
        check("abfss://files@acme.dfs.core.windows.net/cx", "azure://other.blob.core.windows.net/files/", None);
        check("az://files/cx", "azure://acme.blob.core.windows.net/files/cx/", Some(""));
    }

    #[test]
    fn a_lake_is_told_as_stages_are_made() {
        for (lake, stage) in [
            ("s3://lake/calls", "s3://lake/calls/"),
            ("gs://lake/calls", "gcs://lake/calls/"),
            ("abfss://files@acme.dfs.core.windows.net/calls", "azure://acme.blob.core.windows.net/files/calls/"),
        ] {
            assert_eq!(stage_url(lake), stage);
            assert_eq!(lake_below_stage(lake, stage).as_deref(), Some(""));
        }
    }
}
