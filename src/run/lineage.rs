//! Where lineage goes: to a server of OpenLineage's, to a file, or both. It never fails a run.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::post::post;
use crate::settings::limits::ALERT_TIMEOUT_SECS;

/// Who takes lineage, by OpenLineage's own variables
/// (<https://openlineage.io/docs/client/python/configuration>) and a file.
#[derive(Clone, Debug, Default)]
pub struct LineageTargets {
    /// Where events are posted to.
    url: Option<String>,
    /// What the server knows the sender by.
    token: Option<crate::vocabulary::Secret>,
    /// A file to which each event is added as a line.
    file: Option<PathBuf>,
    /// The namespace of jobs.
    pub namespace: String,
    /// The run that this one is a part of: namespace, job, run id.
    pub parent: Option<[String; 3]>,
}

impl LineageTargets {
    /// The targets that the environment names, and a file; `None` where nobody takes any.
    pub fn of(variable: &dyn Fn(&str) -> Option<String>, file: Option<PathBuf>) -> Option<Self> {
        let variable = |name: &str| variable(name).filter(|text| !text.is_empty());
        if variable("OPENLINEAGE_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
            return None;
        }
        let endpoint = variable("OPENLINEAGE_ENDPOINT").unwrap_or_else(|| "api/v1/lineage".to_owned());
        let url = variable("OPENLINEAGE_URL");
        let url = url.map(|url| format!("{}/{}", url.trim_end_matches('/'), endpoint.trim_start_matches('/')));
        if url.is_none() && file.is_none() {
            return None;
        }
        let parent = variable("OPENLINEAGE_PARENT_ID").and_then(|text| {
            // A job's name may hold slashes, the run's id none.
            let (rest, run) = text.rsplit_once('/')?;
            let (namespace, job) = rest.split_once('/')?;
            Some([namespace, job, run].map(str::to_owned))
        });
        Some(Self {
            url,
            token: variable("OPENLINEAGE_API_KEY").map(crate::vocabulary::Secret::new),
            file,
            namespace: variable("OPENLINEAGE_NAMESPACE").unwrap_or_else(|| "cxlake".to_owned()),
            parent,
        })
    }

    /// Tells of events; what cannot be told is in the log. The file has all of them, whatever the server
    /// takes.
    pub async fn tell(&self, events: &[Value]) {
        if let Some(file) = &self.file {
            let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
            let opened = std::fs::OpenOptions::new().create(true).append(true).open(file);
            if let Err(error) = opened.and_then(|mut file| file.write_all(lines.as_bytes())) {
                tracing::warn!(file = %file.display(), %error, "lineage events were not written");
            }
        }
        let Some(url) = &self.url else { return };
        let token = self.token.as_ref().map(crate::vocabulary::Secret::reveal);
        for event in events {
            if let Err(reason) = post(url, token, event.to_string(), Duration::from_secs(ALERT_TIMEOUT_SECS)).await {
                tracing::warn!(reason, "lineage events were not taken: the rest is not sent");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(variables: &[(&str, &str)]) -> Option<LineageTargets> {
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        LineageTargets::of(&variable, None)
    }

    #[test]
    fn targets_are_named_by_openlineages_variables() {
        assert!(targets(&[]).is_none());
        assert!(targets(&[("OPENLINEAGE_URL", "http://x"), ("OPENLINEAGE_DISABLED", "True")]).is_none());
        let found = targets(&[("OPENLINEAGE_URL", "http://x/"), ("OPENLINEAGE_PARENT_ID", "air/dag.task/a/run-1")]);
        let found = found.unwrap();
        assert_eq!(found.url.as_deref(), Some("http://x/api/v1/lineage"));
        assert_eq!(found.parent.unwrap(), ["air", "dag.task/a", "run-1"]);
        assert_eq!(found.namespace, "cxlake");
    }
}
