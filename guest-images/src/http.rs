//! Transfers over HTTP that survive interruption.
//!
//! A file grows as `NAME.part` beside its place and is renamed into it when its SHA-256 is right, so a file under its own
//! name is always whole. A later call goes on where the part ends (RFC 9110, 14: `Range`, `Content-Range`); a server
//! without ranges, or a part that turns out wrong, begins again from nothing. Proxies come from the environment.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use ureq::tls::{RootCerts, TlsConfig};

use crate::error::{At, Error, Result};

/// Attempts without progress before a transfer is given up.
const ATTEMPTS: u32 = 5;
/// Bytes after which an attempt counts as progress.
const WORTHWHILE: u64 = 64 << 10;

/// What an index promises of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Lower-case hexadecimal SHA-256.
    pub sha256: String,
    /// Length in bytes.
    pub size: u64,
}

/// An HTTP client with this crate's time limits.
pub struct Client {
    agent: ureq::Agent,
    pause: Duration,
}

impl Default for Client {
    fn default() -> Self {
        Client::new(Duration::from_millis(500))
    }
}

/// How one attempt ended.
enum Attempt {
    /// The body ended; the part may still be short.
    Ended,
    /// Worth another attempt.
    Failed(String),
    /// The server knows no such range of the file.
    BadRange,
}

impl Client {
    /// A client that waits `pause` before its second attempt and twice as long before each further one.
    pub fn new(pause: Duration) -> Client {
        // The machine's own certificates, as its other programs trust them.
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = ureq::Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(20)))
            .timeout_recv_response(Some(Duration::from_secs(30)))
            .timeout_per_read(Some(Duration::from_secs(30)))
            .user_agent(concat!("mimic/", env!("CARGO_PKG_VERSION")))
            .build();
        Client { agent: config.into(), pause }
    }

    /// The body of a file of at most `limit` bytes, or nothing where the server says that there is none.
    pub fn small(&self, url: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let mut why = String::new();
        for attempt in 0..ATTEMPTS {
            self.wait(attempt);
            let mut reply = match self.agent.get(url).call() {
                Ok(reply) => reply,
                Err(ureq::Error::HostNotFound | ureq::Error::BadUri(_)) => {
                    return Err(Error::Fetch { url: url.to_owned(), why: "no such host".to_owned() });
                }
                Err(e) => {
                    why = e.to_string();
                    continue;
                }
            };
            match reply.status().as_u16() {
                200 => match reply.body_mut().with_config().limit(limit).read_to_vec() {
                    Ok(body) => return Ok(Some(body)),
                    Err(e) => why = e.to_string(),
                },
                404 | 410 => return Ok(None),
                status if status >= 500 => why = format!("the server answers {}", reply.status()),
                _ => {
                    return Err(Error::Fetch {
                        url: url.to_owned(),
                        why: format!("the server answers {}", reply.status()),
                    });
                }
            }
        }
        Err(Error::Fetch { url: url.to_owned(), why })
    }

    /// Puts the file at `url` at `place`, going on with what an earlier call has left. `at` hears the bytes present.
    pub fn download(
        &self,
        url: &str,
        expected: &Expected,
        place: &Path,
        at: &mut dyn FnMut(u64),
    ) -> Result<()> {
        let part = part_path(place);
        let (mut failures, mut why, mut bad_sums) = (0, String::new(), 0);
        while failures < ATTEMPTS {
            self.wait(failures);
            let had = fs::metadata(&part).map_or(0, |m| m.len());
            if had > expected.size {
                remove_if_present(&part)?;
                continue;
            }
            if had < expected.size {
                match self.attempt(url, expected.size, &part, at)? {
                    Attempt::Ended => "the body is too short".clone_into(&mut why),
                    Attempt::Failed(reason) => why = reason,
                    Attempt::BadRange => {
                        "the server refuses the rest of the file".clone_into(&mut why);
                        remove_if_present(&part)?;
                    }
                }
            }
            let have = fs::metadata(&part).map_or(0, |m| m.len());
            if have != expected.size {
                failures = if have >= had + WORTHWHILE { 1 } else { failures + 1 };
                continue;
            }
            let found = sha256_of(&part)?;
            if found == expected.sha256 {
                return fs::rename(&part, place).at(place);
            }
            remove_if_present(&part)?;
            bad_sums += 1;
            // A wrong sum after a resumed transfer may be the old part's fault; after a whole one it is the server's.
            if had == 0 || bad_sums > 1 {
                return Err(Error::Checksum {
                    url: url.to_owned(),
                    found,
                    expected: expected.sha256.clone(),
                });
            }
        }
        Err(Error::Fetch { url: url.to_owned(), why })
    }

    fn attempt(&self, url: &str, size: u64, part: &Path, at: &mut dyn FnMut(u64)) -> Result<Attempt> {
        let had = fs::metadata(part).map_or(0, |m| m.len());
        let mut request = self.agent.get(url);
        if had > 0 {
            request = request.header("Range", format!("bytes={had}-"));
        }
        let mut reply = match request.call() {
            Ok(reply) => reply,
            Err(e) => return Ok(Attempt::Failed(e.to_string())),
        };
        let resumes = match reply.status().as_u16() {
            200 => false,
            206 => {
                let range = reply.headers().get("Content-Range").and_then(|v| v.to_str().ok());
                if had == 0 || !range.is_some_and(|r| r.starts_with(&format!("bytes {had}-"))) {
                    return Ok(Attempt::BadRange);
                }
                true
            }
            416 => return Ok(Attempt::BadRange),
            status if status >= 500 || status == 429 => {
                return Ok(Attempt::Failed(format!("the server answers {}", reply.status())));
            }
            _ => {
                let why = format!("the server answers {}", reply.status());
                return Err(Error::Fetch { url: url.to_owned(), why });
            }
        };
        let mut file = File::options()
            .create(true)
            .write(true)
            .append(resumes)
            .truncate(!resumes)
            .open(part)
            .at(part)?;
        let mut have = if resumes { had } else { 0 };
        // No more than is promised is ever written.
        let mut body = reply.body_mut().as_reader().take(size - have);
        let mut buffer = vec![0; 128 << 10];
        loop {
            at(have);
            match body.read(&mut buffer) {
                Ok(0) => return Ok(Attempt::Ended),
                Ok(n) => {
                    file.write_all(&buffer[..n]).at(part)?;
                    have += n as u64;
                }
                Err(e) => return Ok(Attempt::Failed(e.to_string())),
            }
        }
    }

    fn wait(&self, failures: u32) {
        if failures > 0 {
            std::thread::sleep(self.pause * (1 << (failures - 1)));
        }
    }
}

/// Whether the file is there and is the one promised.
pub(crate) fn is_present(place: &Path, expected: &Expected) -> Result<bool> {
    match fs::metadata(place) {
        Ok(meta) if meta.len() == expected.size => Ok(sha256_of(place)? == expected.sha256),
        _ => Ok(false),
    }
}

/// Lower-case hexadecimal SHA-256 of a file.
pub(crate) fn sha256_of(path: &Path) -> Result<String> {
    let mut file = File::open(path).at(path)?;
    let (mut sum, mut buffer) = (Sha256::new(), vec![0; 128 << 10]);
    loop {
        match file.read(&mut buffer).at(path)? {
            0 => break,
            n => sum.update(&buffer[..n]),
        }
    }
    Ok(hex(&sum.finalize()))
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn part_path(place: &Path) -> PathBuf {
    let mut name = place.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

fn remove_if_present(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).at(path),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
