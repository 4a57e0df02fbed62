//! Between the binary and a store: a rule says what becomes of every request.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request as a rule sees it.
#[derive(Clone, Debug)]
pub(crate) struct StoreRequest {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Its headers, in lower case.
    pub(crate) head: String,
}

impl StoreRequest {
    /// Whether it changes what is in the store.
    pub(crate) fn changes(&self) -> bool {
        matches!(self.method.as_str(), "PUT" | "POST" | "DELETE" | "PATCH")
    }
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Forwarded,
    /// Answered instead of the store, with a status and an error code.
    Refused(u16, &'static str),
    /// Forwarded, and its answer is lost.
    AnswerLost,
    /// Forwarded, and then the process with this id is killed.
    KillsAfter(u32),
    /// The process with this id is killed, and nothing is forwarded.
    KillsBefore(u32),
}

type Rule = Box<dyn Fn(&StoreRequest) -> Fate + Send + Sync>;

/// A proxy on loopback that ends with the test's process.
pub(crate) struct StoreProxy {
    port: u16,
    rule: Arc<Mutex<Arc<Rule>>>,
    requests: Arc<Mutex<Vec<StoreRequest>>>,
}

impl StoreProxy {
    pub(crate) fn start(upstream: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let forwards: Rule = Box::new(|_| Fate::Forwarded);
        let (rule, requests) = (Arc::new(Mutex::new(Arc::new(forwards))), Arc::new(Mutex::new(Vec::new())));
        let (rules, seen) = (Arc::clone(&rule), Arc::clone(&requests));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (rules, seen) = (Arc::clone(&rules), Arc::clone(&seen));
                // A client that goes away is a client that was killed.
                std::thread::spawn(move || {
                    drop(stream.and_then(|mut stream| serve(&mut stream, upstream, &rules, &seen)));
                });
            }
        });
        Self { port, rule, requests }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn rule(&self, rule: impl Fn(&StoreRequest) -> Fate + Send + Sync + 'static) {
        self.requests.lock().unwrap().clear();
        *self.rule.lock().unwrap() = Arc::new(Box::new(rule));
    }

    /// The requests since the rule was given.
    pub(crate) fn requests(&self) -> Vec<StoreRequest> {
        self.requests.lock().unwrap().clone()
    }
}

/// One request: its head, and its whole text.
fn read_message(stream: &mut TcpStream) -> std::io::Result<Option<(String, Vec<u8>)>> {
    let mut text = Vec::new();
    let mut buffer = [0; 64 << 10];
    let end = loop {
        if let Some(at) = text.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        match stream.read(&mut buffer)? {
            0 => return Ok(None),
            read => text.extend_from_slice(&buffer[..read]),
        }
    };
    let head = String::from_utf8_lossy(&text[..end]).to_ascii_lowercase();
    let header =
        |name: &str| head.lines().find_map(|line| line.strip_prefix(name).map(|value| value.trim().to_owned()));
    let length: usize = header("content-length:").and_then(|length| length.parse().ok()).unwrap_or_default();
    if header("expect:").is_some() {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    while text.len() < end + length {
        match stream.read(&mut buffer)? {
            0 => return Ok(None),
            read => text.extend_from_slice(&buffer[..read]),
        }
    }
    Ok(Some((String::from_utf8_lossy(&text[..end]).into_owned(), text)))
}

fn serve(
    client: &mut TcpStream,
    upstream: u16,
    rule: &Mutex<Arc<Rule>>,
    seen: &Mutex<Vec<StoreRequest>>,
) -> std::io::Result<()> {
    let Some((head, text)) = read_message(client)? else { return Ok(()) };
    let mut words = head.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let rule = Arc::clone(&rule.lock().unwrap());
    let request = {
        let mut seen = seen.lock().unwrap();
        let request = StoreRequest { method, target, head: head.to_ascii_lowercase() };
        seen.push(request.clone());
        request
    };
    let fate = rule(&request);
    match &fate {
        Fate::KillsBefore(process) => {
            kill(*process);
            return Ok(());
        }
        Fate::Refused(status, code) => {
            let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{code}</Message></Error>");
            let length = body.len();
            return client.write_all(
                format!("HTTP/1.1 {status} {code}\r\nContent-Type: application/xml\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
                    .as_bytes(),
            );
        }
        _ => {}
    }
    let mut store = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream))?;
    // One request a connection: its answer ends where the store closes it.
    let end = head.len();
    let lines = head.trim_end().lines().filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    let head: Vec<&str> = lines.chain(["Connection: close", "", ""]).collect();
    store.write_all(head.join("\r\n").as_bytes())?;
    store.write_all(&text[end..])?;
    let mut answer = Vec::new();
    store.read_to_end(&mut answer)?;
    match fate {
        Fate::AnswerLost => return Ok(()),
        Fate::KillsAfter(process) => {
            kill(process);
            return Ok(());
        }
        _ => {}
    }
    // The client must not ask for more on a connection that ends here.
    let at = answer.windows(2).position(|window| window == b"\r\n").map_or(0, |at| at + 2);
    client.write_all(&answer[..at])?;
    client.write_all(b"Connection: close\r\n")?;
    client.write_all(&answer[at..])
}

fn kill(process: u32) {
    let killed = std::process::Command::new("kill").args(["-KILL", &process.to_string()]).status();
    assert!(killed.is_ok());
}
