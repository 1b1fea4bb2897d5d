//! A server for downloads, in a thread of the test: it answers as it is told to, and may hang up in the middle.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use sha2::Digest;

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// `GET` or `HEAD`.
    pub method: String,
    /// With its query.
    pub path: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// How often the path was asked for before, in the same way.
    pub n_before: usize,
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    n_sent: usize,
}

impl Answer {
    pub(crate) fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: b"no".to_vec(), n_sent: 2 }
    }

    pub(crate) fn body(body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self { status: 200, headers: Vec::new(), n_sent: body.len(), body }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// A file with a tag, from where it is asked for if the tag is the one that is asked for.
    pub(crate) fn file(request: &Request, bytes: &[u8], tag: &str) -> Self {
        let start = request
            .headers
            .get("range")
            .and_then(|range| range.strip_prefix("bytes=")?.split('-').next()?.parse::<usize>().ok());
        let is_same = request.headers.get("if-range").is_none_or(|asked| asked == tag);
        let answer = match start.filter(|_| is_same) {
            Some(start) if start >= bytes.len() => Self::status(416),
            Some(start) => {
                let range = format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len());
                Self { status: 206, ..Self::body(&bytes[start..]) }.with("Content-Range", range)
            }
            None => Self::body(bytes),
        };
        answer.with("ETag", tag)
    }

    /// Hangs up after so many bytes of the body.
    pub(crate) fn cut_after(mut self, n_bytes: usize) -> Self {
        self.n_sent = n_bytes.min(self.n_sent);
        self
    }
}

pub(crate) struct Server {
    /// `http://127.0.0.1:PORT`.
    pub address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// It ends with the test's process.
    pub(crate) fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("it is bound"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (Arc::clone(&requests), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                // a client may go away whenever it likes
                std::thread::spawn(move || serve(stream, &seen, &*answer).ok());
            }
        });
        Self { address, requests }
    }

    /// What was asked since the last call.
    pub(crate) fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.requests.lock().expect("no test panicked with it"))
    }
}

fn serve(
    mut stream: TcpStream,
    seen: &Mutex<Vec<Request>>,
    answer: &dyn Fn(&Request) -> Answer,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut words = first.split(' ').map(ToOwned::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let request = {
        let mut seen = seen.lock().expect("no test panicked with it");
        let is_same = |earlier: &&Request| earlier.path == path && earlier.method == method;
        let n_before = seen.iter().filter(is_same).count();
        let request = Request { method, path, headers, n_before };
        seen.push(request.clone());
        request
    };
    let Answer { status, headers, body, n_sent } = answer(&request);
    write!(stream, "HTTP/1.1 {status} Any\r\nContent-Length: {}\r\nConnection: close\r\n", body.len())?;
    for (name, value) in headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    stream.write_all(b"\r\n")?;
    if request.method != "HEAD" {
        stream.write_all(&body[..n_sent])?;
    }
    stream.flush()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every file in a folder and in those below.
pub(crate) fn walk(dir: &Path) -> Vec<String> {
    let mut paths = Vec::new();
    for item in fs::read_dir(dir).expect("it is a folder").flatten() {
        let path = item.path();
        if path.is_dir() { paths.extend(walk(&path)) } else { paths.push(path.display().to_string()) }
    }
    paths
}
