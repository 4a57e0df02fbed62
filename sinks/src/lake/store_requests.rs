//! How long a request to a store may take, and how often it is tried.

use std::time::Duration;

use async_trait::async_trait;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use object_store::{ClientConfigKey, ClientOptions, RetryConfig};

use super::store::LARGEST_PUT;

/// The longest request, but for that of a large object.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(300);
/// The longest request of a large object that goes up in one: 1.5 MB a second are enough for the largest.
const LARGE_PUT_TIMEOUT: Duration = Duration::from_secs(3600);

pub(super) fn client_options() -> ClientOptions {
    ClientOptions::new().with_timeout(REQUEST_TIMEOUT).with_connect_timeout(Duration::from_secs(10))
}

/// How long a failing store is tried.
pub(super) fn retry_config() -> RetryConfig {
    RetryConfig { retry_timeout: Duration::from_secs(60), max_retries: 5, ..RetryConfig::default() }
}

/// Gives large bodies the time that they need. A timeout that the lake's options name holds for all.
#[derive(Debug)]
pub(super) struct TimeBySize {
    large_bytes: usize,
    large_timeout: Duration,
}

impl Default for TimeBySize {
    fn default() -> Self {
        Self { large_bytes: LARGEST_PUT as usize, large_timeout: LARGE_PUT_TIMEOUT }
    }
}

impl HttpConnector for TimeBySize {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let connector = ReqwestConnector::default();
        let usual = connector.connect(options)?;
        let timeout = |options: &ClientOptions| options.get_config_value(&ClientConfigKey::Timeout);
        if timeout(options) != timeout(&client_options()) {
            return Ok(usual);
        }
        let patient = connector.connect(&options.clone().with_timeout(self.large_timeout))?;
        Ok(HttpClient::new(ClientBySize { usual, patient, large_bytes: self.large_bytes }))
    }
}

#[derive(Debug)]
struct ClientBySize {
    usual: HttpClient,
    patient: HttpClient,
    large_bytes: usize,
}

#[async_trait]
impl HttpService for ClientBySize {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let is_large = request.body().content_length() > self.large_bytes;
        if is_large { self.patient.execute(request).await } else { self.usual.execute(request).await }
    }
}

#[cfg(test)]
mod tests {
    use object_store::client::HttpErrorKind;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// A server that reads a request of some bytes and answers after a while.
    async fn slow_server(body: usize) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(&vec![b'x'; body]) {
                connection.read_buf(&mut request).await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
            connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        });
        url
    }

    /// How a request of some bytes ends at a slow server, where those of more than ten have less time.
    async fn check(body: usize, options: ClientOptions, expected: Option<HttpErrorKind>) {
        let client = TimeBySize { large_bytes: 10, large_timeout: Duration::from_millis(30) };
        let client = client.connect(&options.with_allow_http(true)).unwrap();
        let url = slow_server(body).await;
        let mut request = HttpRequest::new("x".repeat(body).into());
        *request.method_mut() = "PUT".parse().unwrap();
        *request.uri_mut() = url.parse().unwrap();
        assert_eq!(client.execute(request).await.err().map(|error| error.kind()), expected, "{body} bytes");
    }

    #[tokio::test]
    async fn a_large_body_has_a_time_of_its_own_unless_the_operator_set_one() {
        check(10, client_options(), None).await;
        check(11, client_options(), Some(HttpErrorKind::Timeout)).await;
        check(11, client_options().with_timeout(Duration::from_secs(30)), None).await;
    }
}
