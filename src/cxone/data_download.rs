//! Pages of a report (guide, sections 2 and 3).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::Serialize;
use twox_hash::XxHash3_64;

use super::address::Call;
use super::answer::{Answer, Setback, is_html, message_of};
use super::client::Client;
use super::envelope::{Envelope, split_page};
use crate::settings::Group;
use crate::vocabulary::{Failure, Page};

/// What is asked for, over all pages of a window.
#[derive(Clone, Debug)]
pub struct ReportRequest {
    /// The report's name at the tenant.
    pub report: String,
    /// Standard metrics.
    pub metrics: Vec<String>,
    /// Ids of custom metrics.
    pub custom_metrics: Vec<String>,
    /// Keys of `groupBy`.
    pub group_by: Vec<String>,
    /// The group to filter by.
    pub group: Option<Group>,
    /// The first instant, inclusive, with `Z` and three decimals.
    pub from: String,
    /// The last instant, inclusive, with `Z` and three decimals.
    pub to: String,
    /// The tenant's zone.
    pub time_zone: String,
    /// What the log calls it.
    pub label: RequestLabel,
}

/// What the configuration calls a tenant and its report, and the window's name.
#[derive(Clone, Debug)]
pub struct RequestLabel {
    /// The tenant.
    pub tenant: String,
    /// The report.
    pub report: String,
    /// The window.
    pub window: String,
}

/// The log's target for pages: a line each.
pub const PAGE_LOG: &str = "cxlake::page";

/// Which page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// From this record on, from 0.
    Offset(u64),
    /// Where an earlier page's cursor points; its first record has this number.
    Cursor {
        /// The tenant's text.
        cursor: String,
        /// The records before it.
        offset: u64,
    },
}

impl Place {
    /// The number of the page's first record.
    pub fn offset(&self) -> u64 {
        match self {
            Self::Offset(offset) | Self::Cursor { offset, .. } => *offset,
        }
    }
}

/// A page and what it says of the whole.
#[derive(Clone, Debug)]
pub struct PageAnswer {
    /// The records.
    pub page: Page,
    /// Records of the whole window.
    pub total: u64,
    /// Where the next page is, with a tenant that pages by cursor.
    pub next_cursor: Option<String>,
}

/// Reads the pages of one window of one report.
#[derive(Clone, Debug)]
pub struct ReportReader {
    client: Client,
    request: Arc<ReportRequest>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    report: &'a str,
    metrics: &'a [String],
    custom_metrics: &'a [String],
    filter: Filter<'a>,
    group_by: &'a [String],
    limit: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Filter<'a> {
    date: DateFilter<'a>,
    time_zone: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a Group>,
}

#[derive(Serialize)]
struct DateFilter<'a> {
    from: &'a str,
    to: &'a str,
}

impl ReportReader {
    /// A reader; nothing is called yet.
    pub fn new(client: Client, request: ReportRequest) -> Self {
        Self { client, request: Arc::new(request) }
    }

    /// Reads one page of at most `limit` records.
    ///
    /// # Errors
    /// Where the tenant refuses, or fails for longer than the limits allow.
    pub async fn page(&self, place: &Place, limit: u64) -> Result<PageAnswer, Failure> {
        let request = &*self.request;
        let body = Body {
            report: &request.report,
            metrics: &request.metrics,
            custom_metrics: &request.custom_metrics,
            filter: Filter {
                date: DateFilter { from: &request.from, to: &request.to },
                time_zone: &request.time_zone,
                group: request.group.as_ref(),
            },
            group_by: &request.group_by,
            limit,
            offset: match place {
                Place::Offset(offset) => Some(*offset),
                Place::Cursor { .. } => None,
            },
            cursor: match place {
                Place::Offset(_) => None,
                Place::Cursor { cursor, .. } => Some(cursor),
            },
        };
        let mut not_utf8_before = None;
        let (attempts, mut http_status) = (AtomicU32::new(0), 0);
        let began = self.client.monotonic();
        let answer = self
            .client
            .call(
                Call::DataDownload,
                |client, url| {
                    attempts.fetch_add(1, Ordering::Relaxed);
                    client.post(url).header("accept", "application/json").json(&body)
                },
                |answer| {
                    http_status = answer.status.as_u16();
                    read_page(answer, place, &mut not_utf8_before)
                },
            )
            .await?;
        let duration = self.client.monotonic().saturating_duration_since(began);
        tracing::info!(
            target: PAGE_LOG,
            tenant = request.label.tenant,
            report = request.label.report,
            window = request.label.window,
            page = place.offset(),
            attempt = attempts.into_inner(),
            http_status,
            rows = answer.page.record_count(),
            bytes = answer.page.body.len(),
            duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            "page read"
        );
        Ok(answer)
    }
}

/// The records of a page whose bytes are not UTF-8, each by its place and its bytes' hash.
type NotUtf8 = Vec<(usize, u64)>;

/// Reads a page. Bytes that are not UTF-8 are a passing fault the first time; where the same
/// records have the same bytes again, the page goes on with them (`typing.md`).
fn read_page(answer: Answer, place: &Place, not_utf8_before: &mut Option<NotUtf8>) -> Result<PageAnswer, Setback> {
    if answer.status.as_u16() == 204 {
        let page = Page::new(place.offset(), answer.body, Vec::new(), 0);
        return Ok(PageAnswer { page, total: 0, next_cursor: None });
    }
    let envelope = split_page(&answer.body).map_err(|reason| match message_of(&answer) {
        _ if is_html(&answer) => Setback::passing(format!("{} with an HTML page in the place of JSON", answer.status)),
        Some(message) => Setback::passing(format!("{} with an error in the place of a page: {message}", answer.status)),
        None => Setback::passing(reason),
    });
    let Envelope { total, records, deepest_record, next_cursor } = envelope?;
    let page = Page::new(place.offset(), answer.body, records, deepest_record);
    if !page.is_utf8() {
        if !page.is_utf8_around_records() {
            return Err(Setback::passing("a broken page: bytes around its records are not UTF-8"));
        }
        let texts = page.record_bytes().enumerate();
        let not_utf8: NotUtf8 = texts
            .filter(|(_, text)| std::str::from_utf8(text).is_err())
            .map(|(index, text)| (index, XxHash3_64::oneshot(text)))
            .collect();
        if not_utf8_before.as_ref() != Some(&not_utf8) {
            let reason = format!("a broken page: {} of its records are not UTF-8", not_utf8.len());
            *not_utf8_before = Some(not_utf8);
            return Err(Setback::passing(reason));
        }
    }
    Ok(PageAnswer { page, total, next_cursor })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reqwest::StatusCode;

    use super::*;

    #[test]
    fn a_page_is_one_whatever_its_answer_is_called() {
        let read = |text: &'static str| {
            let (status, content_type) = (StatusCode::OK, Some("text/html".to_owned()));
            let answer = Answer { status, request_id: None, content_type, body: Bytes::from(text) };
            read_page(answer, &Place::Offset(0), &mut None)
        };
        assert_eq!(read("{\"totalRecords\":1,\"data\":[1]}").unwrap().page.record_count(), 1);
        match read("<html>") {
            Err(Setback::Passing { reason, .. }) => assert_eq!(reason, "200 OK with an HTML page in the place of JSON"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_pass_only_where_a_record_has_them_twice() {
        fn check(bodies: [&[u8]; 2], expected: [Option<&str>; 2]) {
            let mut before = None;
            for (body, expected) in bodies.into_iter().zip(expected) {
                let body = Bytes::copy_from_slice(body);
                let answer = Answer { status: StatusCode::OK, request_id: None, content_type: None, body };
                match (read_page(answer, &Place::Offset(0), &mut before), expected) {
                    (Ok(_), None) => {}
                    (Err(Setback::Passing { reason, .. }), Some(expected)) => assert_eq!(reason, expected),
                    other => panic!("{other:?}"),
                }
            }
        }
        let record: &[u8] = b"{\"totalRecords\":1,\"data\":[\"\xff\"]}";
        let around: &[u8] = b"{\"totalRecords\":1,\"data\":[1],\"report\":\"\xff\"}";
        let (of_record, of_envelope) =
            ("a broken page: 1 of its records are not UTF-8", "a broken page: bytes around its records are not UTF-8");
        check([record, record], [Some(of_record), None]);
        check([around, around], [Some(of_envelope); 2]);
        check([record, around], [Some(of_record), Some(of_envelope)]);
        let both: &[u8] = b"{\"totalRecords\":1,\"data\":[\"\xff\"],\"report\":\"\xff\"}";
        check([both, both], [Some(of_envelope); 2]);
    }
}
