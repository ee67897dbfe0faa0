//! Models of the Hugging Face hub, downloaded into its cache.
//!
//! What lands there is what Hugging Face's own tools would have left, so they
//! and Alice share it; `alice_runs::hub` finds it again without a network.
//! Only this crate opens connections.

mod choose;
mod error;

pub use choose::wanted;
pub use error::HubError;

use alice_networks::shard_names;
use alice_runs::hub;
use hf_hub::api::sync::{ApiBuilder, ApiRepo};
use hf_hub::{Cache, Repo, RepoType};
use std::path::{Path, PathBuf};

/// Attempts after a connection broke; each goes on where the last one ended.
const RETRIES: usize = 4;

/// Who is told how a download goes.
pub trait Watcher {
    /// A file of so many bytes begins.
    fn begin(&mut self, file: &str, bytes: u64);
    /// So many more bytes are here.
    fn advance(&mut self, bytes: u64);
}

/// Where the hub is, and who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hub {
    /// The address, without a slash at its end.
    pub endpoint: String,
    /// What gated models are asked for with.
    pub token: Option<String>,
    /// Where downloads go.
    pub cache: PathBuf,
}

impl Hub {
    /// As Hugging Face's tools read the environment: `HF_ENDPOINT`, `HF_TOKEN`
    /// or the token beside the cache, and the cache of [`hub::cache`].
    ///
    /// # Errors
    /// When `HF_HUB_OFFLINE` forbids connections, or no folder is known.
    pub fn from_environment() -> Result<Self, HubError> {
        let variable = |name| std::env::var(name).ok().filter(|v| !v.is_empty());
        let offline =
            |value: String| !["0", "false", "no", "off"].contains(&&*value.to_lowercase());
        if variable("HF_HUB_OFFLINE").is_some_and(offline) {
            return Err(HubError::Offline);
        }
        let cache = hub::cache().ok_or(HubError::NoCache)?;
        let endpoint = variable("HF_ENDPOINT").unwrap_or("https://huggingface.co".to_owned());
        Ok(Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token: variable("HF_TOKEN").or_else(|| Cache::new(cache.clone()).token()),
            cache,
        })
    }

    /// Downloads what Alice reads of the model `OWNER/NAME` or
    /// `OWNER/NAME@REVISION`; returns its folder in the cache. Files that are
    /// there already are kept, and what was broken off goes on. The model is
    /// found in the cache only once all of it is there.
    ///
    /// # Errors
    /// When the hub cannot be reached or refuses, has no such model, or the
    /// model has no files that Alice reads.
    pub fn fetch(&self, id: &str, watcher: &mut dyn Watcher) -> Result<PathBuf, HubError> {
        if !hub::is_id(id) {
            return Err(HubError::Name { id: id.to_owned() });
        }
        let (name, revision) = hub::split(id);
        let revision = revision.unwrap_or(hub::MAIN).to_owned();
        let failed = |error| HubError::of(error, id, &self.endpoint);
        let api = ApiBuilder::from_cache(Cache::new(self.cache.clone()))
            .with_endpoint(self.endpoint.clone())
            .with_token(self.token.clone())
            .with_retries(RETRIES)
            .with_progress(false)
            .build()
            .map_err(failed)?;
        let repo =
            |revision: String| Repo::with_revision(name.to_owned(), RepoType::Model, revision);
        let info = api.repo(repo(revision.clone())).info().map_err(failed)?;
        let commit = info.sha;
        if commit.is_empty() || !commit.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(HubError::Answer {
                endpoint: self.endpoint.clone(),
                why: format!("{commit:?} is no commit"),
            });
        }
        let names: Vec<String> = info.siblings.into_iter().map(|s| s.rfilename).collect();
        let files = wanted(names.iter().map(String::as_str)).map_err(|why| HubError::Empty {
            id: id.to_owned(),
            why,
        })?;
        // By its commit, so that all files are of one moment.
        let pinned = api.repo(repo(commit.clone()));
        let get = |file: &str, watcher: &mut dyn Watcher| {
            self.get(&pinned, name, &commit, file, watcher)
                .map_err(failed)
        };
        for file in &files {
            let path = get(file, watcher)?;
            if file.ends_with(".index.json") {
                let folder = &file[..file.rfind('/').map_or(0, |at| at + 1)];
                for shard in shard_names(&path)? {
                    get(&format!("{folder}{shard}"), watcher)?;
                }
            }
        }
        let cache = Cache::new(self.cache.clone());
        let refs = cache.repo(repo(revision.clone()));
        refs.create_ref(&commit).map_err(|e| failed(e.into()))?;
        if revision != commit {
            // What pinning left; other tools have no references of this form.
            let left = self.model(name).join("refs").join(&commit);
            let _ = std::fs::remove_file(left);
        }
        Ok(hub::find_in(&self.cache, id)?)
    }

    /// The folder of a model in the cache.
    fn model(&self, name: &str) -> PathBuf {
        self.cache.join(hub::folder_name(name))
    }

    /// One file, downloaded unless it is there.
    fn get(
        &self,
        repo: &ApiRepo,
        name: &str,
        commit: &str,
        file: &str,
        watcher: &mut dyn Watcher,
    ) -> Result<PathBuf, hf_hub::api::sync::ApiError> {
        let path = self.model(name).join("snapshots").join(commit).join(file);
        if path.exists() {
            return Ok(path);
        }
        repo.download_with_progress(file, Told(watcher))
    }
}

/// hf-hub's progress, passed on.
struct Told<'a>(&'a mut dyn Watcher);

impl hf_hub::api::Progress for Told<'_> {
    fn init(&mut self, size: usize, filename: &str) {
        self.0.begin(filename, size as u64);
    }

    fn update(&mut self, size: usize) {
        self.0.advance(size as u64);
    }

    fn finish(&mut self) {}
}

/// Whether a name that is nothing on this disk can mean a model of the hub: not
/// if it begins with a folder that is here or ends as a file of weights does, as
/// mistyped paths would.
#[must_use]
pub fn may_be_on_the_hub(name: &Path) -> bool {
    const FILES: [&str; 5] = ["safetensors", "ckpt", "bin", "pt", "pth"];
    let is_id = name.to_str().is_some_and(hub::is_id);
    let owner = name.components().next();
    let is_path = owner.is_some_and(|folder| Path::new(folder.as_os_str()).exists());
    let extension = name.extension().and_then(|e| e.to_str());
    let is_file = extension.is_some_and(|e| FILES.contains(&e));
    is_id && !is_path && !is_file
}
