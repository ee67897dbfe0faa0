//! Downloads from a server of this test that speaks as the hub does.

use alice_hub::{Hub, HubError, Watcher};
use alice_runs::hub;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const WEIGHTS: &str = "unet/diffusion_pytorch_model.safetensors";

/// A hub with one model, `owner/name`, and a gated one, `owner/gated`.
struct Server {
    endpoint: String,
    asked: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone)]
struct Shelf {
    files: BTreeMap<String, Vec<u8>>,
    /// A file whose first answer ends after so many bytes.
    broken: Option<(String, usize)>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(files: BTreeMap<String, Vec<u8>>, broken: Option<(String, usize)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let mut shelf = Shelf {
            files,
            broken,
            asked: asked.clone(),
        };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that goes away is no failure of the server.
                let _ = shelf.answer(stream.unwrap());
            }
        });
        Self { endpoint, asked }
    }

    fn hub(&self, cache: &Path) -> Hub {
        Hub {
            endpoint: self.endpoint.clone(),
            token: None,
            cache: cache.to_path_buf(),
        }
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

impl Shelf {
    fn answer(&mut self, stream: TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let request = lines.next().unwrap_or(Ok(String::new()))?;
        let mut first = None;
        for line in lines {
            let line = line?;
            if line.is_empty() {
                break;
            }
            let lower = line.to_lowercase();
            if let Some(range) = lower.strip_prefix("range: bytes=") {
                first = Some(range.to_owned());
            }
        }
        let path = request.split(' ').nth(1).unwrap_or_default();
        self.asked.lock().unwrap().push(path.to_owned());
        let status = |code: &str| {
            format!("HTTP/1.1 {code}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        };
        let mut out = stream;
        if path.starts_with("/api/models/owner/name/revision/") {
            let names = self
                .files
                .keys()
                .map(|name| format!("{{\"rfilename\":\"{name}\"}}"));
            let names: Vec<String> = names.collect();
            let body = format!(
                "{{\"sha\":\"{COMMIT}\",\"siblings\":[{}]}}",
                names.join(",")
            );
            let length = body.len();
            return write!(
                out,
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
        }
        if path.contains("owner/gated") {
            return out.write_all(status("403 Forbidden").as_bytes());
        }
        let prefix = format!("/owner/name/resolve/{COMMIT}/");
        let name = path.strip_prefix(&prefix).unwrap_or_default().to_owned();
        let Some(bytes) = self.files.get(&name).cloned() else {
            return out.write_all(status("404 Not Found").as_bytes());
        };
        let (start, end) = first.as_deref().unwrap_or("0-").split_once('-').unwrap();
        let start: usize = start.parse().unwrap();
        let end = end.parse().map_or(bytes.len(), |end: usize| end + 1);
        let part = &bytes[start.min(bytes.len())..end.min(bytes.len())];
        write!(
            out,
            "HTTP/1.1 206 Partial Content\r\ncontent-length: {}\r\ncontent-range: bytes {start}-{}/{}\r\netag: \"{}\"\r\nx-repo-commit: {COMMIT}\r\nconnection: close\r\n\r\n",
            part.len(),
            end - 1,
            bytes.len(),
            name.replace('/', "-"),
        )?;
        let breaks = self
            .broken
            .take_if(|(broken, _)| *broken == name && part.len() > 1);
        match breaks {
            Some((_, kept)) => out.write_all(&part[..kept]),
            None => out.write_all(part),
        }
    }
}

/// The tiny pipeline that diffusers made, with what nobody needs.
fn model() -> BTreeMap<String, Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../networks/tests/fixtures/half");
    let mut files = BTreeMap::new();
    collect(&folder, "", &mut files);
    assert!(files.contains_key(WEIGHTS), "{:?}", files.keys());
    files.insert("unet/diffusion_pytorch_model.bin".into(), vec![1; 9]);
    files.insert("README.md".into(), b"---\nlicense: mit\n---\n".to_vec());
    files.insert("picture.png".into(), vec![1; 9]);
    files
}

fn collect(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        match entry.file_type().unwrap().is_dir() {
            true => collect(&entry.path(), &format!("{name}/"), files),
            false => {
                files.insert(name, fs::read(entry.path()).unwrap());
            }
        }
    }
}

#[derive(Default)]
struct Seen(BTreeMap<String, (u64, u64)>, String);

impl Watcher for Seen {
    fn begin(&mut self, file: &str, bytes: u64) {
        self.0.insert(file.to_owned(), (bytes, 0));
        file.clone_into(&mut self.1);
    }

    fn advance(&mut self, bytes: u64) {
        self.0.get_mut(&self.1).unwrap().1 += bytes;
    }
}

#[test]
fn what_is_read_lands_in_the_cache_and_is_found_there() {
    let cache = tempfile::tempdir().unwrap();
    let files = model();
    let server = Server::start(files.clone(), None);
    let mut seen = Seen::default();
    let folder = server
        .hub(cache.path())
        .fetch("owner/name", &mut seen)
        .unwrap();
    assert_eq!(folder, hub::find_in(cache.path(), "owner/name").unwrap());
    assert_eq!(fs::read(folder.join(WEIGHTS)).unwrap(), files[WEIGHTS]);
    assert!(folder.join("README.md").is_file() && folder.join("unet/config.json").is_file());
    for unwanted in ["picture.png", "unet/diffusion_pytorch_model.bin"] {
        assert!(!folder.join(unwanted).exists(), "{unwanted}");
    }
    for (file, (bytes, advanced)) in &seen.0 {
        assert_eq!(
            (*bytes, *advanced),
            (files[file].len() as u64, *bytes),
            "{file}"
        );
    }
    let refs = cache.path().join("models--owner--name/refs");
    let refs: Vec<PathBuf> = fs::read_dir(refs)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    assert_eq!(refs.len(), 1, "{refs:?}");
    // Nothing is downloaded twice.
    server.asked();
    server
        .hub(cache.path())
        .fetch("owner/name@main", &mut seen)
        .unwrap();
    assert_eq!(server.asked().len(), 1, "the list of files alone");
}

#[test]
fn a_broken_connection_is_taken_up_and_a_broken_download_is_no_model() {
    let cache = tempfile::tempdir().unwrap();
    let files = model();
    let server = Server::start(files.clone(), Some((WEIGHTS.to_owned(), 1000)));
    let folder = server
        .hub(cache.path())
        .fetch("owner/name", &mut Seen::default())
        .unwrap();
    assert_eq!(fs::read(folder.join(WEIGHTS)).unwrap(), files[WEIGHTS]);

    // The list names a file that the hub does not give: nothing is found until it does.
    let cache = tempfile::tempdir().unwrap();
    let mut fewer = files.clone();
    fewer.insert(
        "vae/diffusion_pytorch_model.safetensors.index.json".into(),
        b"{}".to_vec(),
    );
    let server = Server::start(fewer, None);
    let error = server
        .hub(cache.path())
        .fetch("owner/name", &mut Seen::default());
    assert!(error.unwrap_err().to_string().contains("weight_map"));
    assert!(hub::find_in(cache.path(), "owner/name").is_err());
    let server = Server::start(files, None);
    server
        .hub(cache.path())
        .fetch("owner/name", &mut Seen::default())
        .unwrap();
    assert!(hub::find_in(cache.path(), "owner/name").is_ok());
    assert!(
        !server.asked().iter().any(|path| path.ends_with(WEIGHTS)),
        "it was there"
    );
}

#[test]
fn refusals_say_what_to_do() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start(BTreeMap::from([("README.md".into(), vec![1])]), None);
    let said = |id: &str, endpoint: &str| {
        let hub = Hub {
            endpoint: endpoint.to_owned(),
            ..server.hub(cache.path())
        };
        let error = hub.fetch(id, &mut Seen::default()).unwrap_err();
        assert!(hub::find_in(cache.path(), id).is_err());
        error.to_string()
    };
    for (id, endpoint, words) in [
        (
            "owner/name",
            &*server.endpoint,
            "owner/name holds no weights",
        ),
        ("owner/other", &*server.endpoint, "no model owner/other"),
        ("owner/gated", &*server.endpoint, "HF_TOKEN"),
        ("owner", &*server.endpoint, "OWNER/NAME"),
        // Nobody listens at the first port.
        ("owner/name", "http://127.0.0.1:1", "cannot be reached"),
    ] {
        let error = said(id, endpoint);
        assert!(error.contains(words), "{id}: {error}");
    }
    assert!(HubError::Offline.to_string().contains("HF_HUB_OFFLINE"));
}
