//! The least rights that a lake needs, as its store's administrator grants them.

use url::Url;

/// What to grant for the lake at a URL; `None` for a local folder. Deleting, which only removing
/// leftovers needs, is not part of it.
pub fn least_rights(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let bucket = url.host_str().unwrap_or_default();
    let folder = url.path().trim_matches('/');
    let below = if folder.is_empty() { "*".to_owned() } else { format!("{folder}/*") };
    Some(match url.scheme() {
        // Listing is for the whole bucket: under a condition on prefixes, S3 answers 403 where an object is
        // not there (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html>).
        "s3" => format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject","s3:AbortMultipartUpload"],"Resource":"arn:aws:s3:::{bucket}/{below}"}},{{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::{bucket}"}}]}}; with SSE-KMS also kms:GenerateDataKey and kms:Decrypt on the key"#
        ),
        "gs" => format!(
            "gcloud storage buckets add-iam-policy-binding gs://{bucket} --member=serviceAccount:NAME \
             --role=roles/storage.objectUser"
        ),
        "az" | "azure" | "abfs" | "abfss" => {
            let container = if url.username().is_empty() { bucket } else { url.username() };
            format!(
                "az role assignment create --assignee NAME --role \"Storage Blob Data Contributor\" --scope \
                 \".../blobServices/default/containers/{container}\""
            )
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_granted_on_the_lakes_own_place() {
        let check = |url: &str, part: &str| assert!(least_rights(url).unwrap().contains(part), "{url}");
        check("s3://lake/loaded", "\"arn:aws:s3:::lake/loaded/*\"");
        check("s3://lake", "\"arn:aws:s3:::lake/*\"");
        check("gs://lake/loaded", "buckets add-iam-policy-binding gs://lake --member");
        check("abfss://raw@acme.dfs.core.windows.net/cx", "containers/raw\"");
        check("az://raw/cx", "containers/raw\"");
        assert_eq!(least_rights("/srv/lake"), None);
        assert_eq!(least_rights("file:///srv/lake"), None);
    }

    #[test]
    fn the_policy_of_s3_is_json() {
        let text = least_rights("s3://lake/loaded").unwrap();
        let policy: serde_json::Value = serde_json::from_str(text.split("; ").next().unwrap()).unwrap();
        assert_eq!(policy["Statement"][0]["Action"].as_array().unwrap().len(), 3);
    }
}
