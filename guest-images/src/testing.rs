//! What the unit tests share: a small web server, and packages made in memory.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::Client;
use crate::http::{Expected, hex};

/// How the server treats the requests for one path, beyond the file itself.
#[derive(Debug, Clone, Default)]
pub struct Page {
    pub body: Vec<u8>,
    /// Ends the connection after so many bytes of the body, the first so many times.
    pub cut_at: Option<(usize, u32)>,
    /// Takes no notice of `Range`.
    pub no_ranges: bool,
    /// Answers 503 the first so many times.
    pub busy: u32,
}

/// Serves pages on the loopback interface until it is dropped.
pub struct Server {
    pub url: String,
    pages: Arc<Mutex<BTreeMap<String, Page>>>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let pages: Arc<Mutex<BTreeMap<String, Page>>> = Arc::default();
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let (shared, log) = (Arc::downgrade(&pages), Arc::clone(&requests));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some(pages) = shared.upgrade() else { return };
                let _ = answer(stream, &pages, &log);
            }
        });
        Server { url, pages, requests }
    }

    pub fn put(&self, path: &str, page: Page) {
        self.pages.lock().unwrap().insert(path.to_owned(), page);
    }

    pub fn put_file(&self, path: &str, body: impl Into<Vec<u8>>) {
        self.put(path, Page { body: body.into(), ..Page::default() });
    }

    /// `PATH` or `PATH RANGE` of each request so far.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn answer(
    stream: TcpStream,
    pages: &Mutex<BTreeMap<String, Page>>,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().ok_or(std::io::ErrorKind::UnexpectedEof)??;
    let path = first.split(' ').nth(1).unwrap_or("").to_owned();
    let mut range = None;
    for line in lines {
        let line = line?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        range = range.or_else(|| Some(line.strip_prefix("range: bytes=")?.trim_end_matches('-').to_owned()));
    }
    log.lock().unwrap().push(range.iter().fold(path.clone(), |all, from| format!("{all} {from}")));

    let mut out = stream;
    let mut pages = pages.lock().unwrap();
    let Some(page) = pages.get_mut(&path) else {
        return out.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    if page.busy > 0 {
        page.busy -= 1;
        return out.write_all(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    let total = page.body.len();
    let from: usize = range.filter(|_| !page.no_ranges).and_then(|r| r.parse().ok()).unwrap_or(0);
    if from > 0 && from >= total {
        return out.write_all(b"HTTP/1.1 416 Range\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    let status = match from {
        0 => "200 OK\r\n".to_owned(),
        from => format!("206 Partial\r\nContent-Range: bytes {from}-{}/{total}\r\n", total - 1),
    };
    write!(out, "HTTP/1.1 {status}Content-Length: {}\r\nConnection: close\r\n\r\n", total - from)?;
    let end = match &mut page.cut_at {
        Some((at, times @ 1..)) => {
            *times -= 1;
            (*at).clamp(from, total)
        }
        _ => total,
    };
    out.write_all(&page.body[from..end])
}

/// A client that does not wait long.
pub fn client() -> Client {
    Client::new(Duration::from_millis(1))
}

pub fn expected(bytes: &[u8]) -> Expected {
    Expected { sha256: hex(&Sha256::digest(bytes)), size: bytes.len() as u64 }
}

/// Bytes that do not compress and are the same every time.
pub fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(step).collect()
}

/// A tar archive of regular files, with the paths exactly as given.
pub fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        // `set_path` refuses what a hostile archive would contain.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        archive.append(&header, *bytes).unwrap();
    }
    archive.into_inner().unwrap()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::read::GzEncoder::new(bytes, flate2::Compression::fast()).read_to_end(&mut out).unwrap();
    out
}

/// A package from its two archives.
pub fn deb_of(control: &[(&str, &[u8])], data: &[u8]) -> Vec<u8> {
    let mut archive = ar::Builder::new(Vec::new());
    let mut add = |name: &str, bytes: &[u8]| {
        archive.append(&ar::Header::new(name.into(), bytes.len() as u64), bytes).unwrap();
    };
    add("debian-binary", b"2.0\n");
    add("control.tar.gz", &gzip(&tar_of(control)));
    add("data.tar.gz", &gzip(data));
    archive.into_inner().unwrap()
}

pub fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut writer = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(0)).unwrap();
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// An ELF relocatable for RISC-V with nothing but a `.modinfo` section and the section names.
pub fn module(modinfo: &[&str]) -> Vec<u8> {
    let text: Vec<u8> = modinfo.iter().flat_map(|line| format!("{line}\0").into_bytes()).collect();
    let names = b"\0.modinfo\0.shstrtab\0";
    let (text_at, names_at) = (64, 64 + text.len());
    let sections_at = names_at + names.len();
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    for half in [1u16, 243] {
        elf.extend(half.to_le_bytes()); // ET_REL, EM_RISCV
    }
    elf.extend(1u32.to_le_bytes());
    for word in [0, 0, sections_at as u64] {
        elf.extend(word.to_le_bytes()); // entry, program headers, section headers
    }
    elf.extend(0u32.to_le_bytes());
    for half in [64u16, 0, 0, 64, 3, 2] {
        elf.extend(half.to_le_bytes()); // sizes and counts, section names in section 2
    }
    elf.extend(&text);
    elf.extend(names);
    // Name, type (PROGBITS, STRTAB), place and size of each section.
    for (name, kind, at, size) in
        [(0u32, 0u32, 0, 0), (1, 1, text_at, text.len()), (10, 3, names_at, names.len())]
    {
        elf.extend(name.to_le_bytes());
        elf.extend(kind.to_le_bytes());
        for word in [0, 0, at as u64, size as u64, 0, 1, 0] {
            elf.extend(word.to_le_bytes());
        }
    }
    elf
}
