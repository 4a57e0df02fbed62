//! Somebody who is told by HTTP.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::thread::JoinHandle;

/// What was told.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
}

/// Answers one request after the other; their bodies.
pub(crate) fn webhook(answers: usize, status: &'static str) -> (String, JoinHandle<Vec<String>>) {
    let (url, server) = posts(answers, status);
    let text = |post: Post| String::from_utf8(post.body).unwrap();
    let bodies = std::thread::spawn(move || server.join().unwrap().into_iter().map(text).collect());
    (format!("{url}/secret-hook"), bodies)
}

/// The same, with their paths.
pub(crate) fn posts(answers: usize, status: &'static str) -> (String, JoinHandle<Vec<Post>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let mut posts = Vec::new();
        for _ in 0..answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut request = String::new();
            reader.read_line(&mut request).unwrap();
            let path = request.split(' ').nth(1).unwrap().to_owned();
            let mut length = 0;
            let mut line = String::new();
            while reader.read_line(&mut line).unwrap() > 2 {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
            posts.push(Post { path, body });
        }
        posts
    });
    (url, server)
}
