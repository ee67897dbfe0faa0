//! What went wrong with the hub, and what to do about it.

use alice_networks::NetworkError;
use hf_hub::api::sync::ApiError;

/// Why a model was not downloaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// The user wants no connection.
    #[error("HF_HUB_OFFLINE forbids connections")]
    Offline,
    /// No home folder and no variable that names one.
    #[error("no folder for downloads is known. Set HF_HOME")]
    NoCache,
    /// A name that no model can have.
    #[error("{id}: a model of the hub is named OWNER/NAME or OWNER/NAME@REVISION")]
    Name {
        /// The name.
        id: String,
    },
    /// There is nothing for Alice in it.
    #[error("{id} {why}")]
    Empty {
        /// The model.
        id: String,
        /// What is there instead.
        why: String,
    },
    /// The hub knows no such model, or does not say that it does.
    #[error(
        "{endpoint} has no model {id} that it shows. Check the name and the revision; for a private \
         model set HF_TOKEN"
    )]
    Unknown {
        /// The model.
        id: String,
        /// The hub's address.
        endpoint: String,
    },
    /// The model is gated or private.
    #[error(
        "{endpoint} does not give {id} to everybody. Accept its terms at {endpoint}/{id} and set \
         HF_TOKEN, or log in with: hf auth login"
    )]
    Forbidden {
        /// The model.
        id: String,
        /// The hub's address.
        endpoint: String,
    },
    /// There is no connection, or it broke more often than was tried.
    #[error("{endpoint} cannot be reached: {why}. What was downloaded is kept; try again later")]
    Unreachable {
        /// The hub's address.
        endpoint: String,
        /// What the system says.
        why: String,
    },
    /// The hub's answer makes no sense.
    #[error("{endpoint} answered what Alice does not understand: {why}")]
    Answer {
        /// The hub's address.
        endpoint: String,
        /// What is wrong.
        why: String,
    },
    /// The disk refused.
    #[error("the cache cannot be written: {0}. Free some space, or set HF_HOME to another folder")]
    Disk(std::io::Error),
    /// Another program downloads the same file.
    #[error("{0} is being downloaded by another program. Wait for it")]
    Busy(String),
    /// A downloaded file is not what it should be.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// What was downloaded cannot be found again.
    #[error(transparent)]
    Cache(#[from] alice_runs::Error),
}

impl HubError {
    /// What hf-hub's error means to a person.
    pub(crate) fn of(error: ApiError, id: &str, endpoint: &str) -> Self {
        let (id, endpoint) = (id.to_owned(), endpoint.to_owned());
        match error {
            ApiError::TooManyRetries(last) => Self::of(*last, &id, &endpoint),
            ApiError::RequestError(error) => match *error {
                ureq::Error::StatusCode(401 | 404) => Self::Unknown { id, endpoint },
                ureq::Error::StatusCode(403) => Self::Forbidden { id, endpoint },
                ureq::Error::StatusCode(code) => Self::Answer {
                    endpoint,
                    why: format!("status {code}"),
                },
                other => Self::Unreachable {
                    endpoint,
                    why: other.to_string(),
                },
            },
            // A connection that breaks inside a file is the system's error too.
            ApiError::IoError(error) if of_connection(&error) => Self::Unreachable {
                endpoint,
                why: error.to_string(),
            },
            ApiError::IoError(error) => Self::Disk(error),
            ApiError::LockAcquisition(path) => Self::Busy(path.display().to_string()),
            other => Self::Answer {
                endpoint,
                why: other.to_string(),
            },
        }
    }
}

fn of_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{
        ConnectionAborted, ConnectionReset, Other, TimedOut, UnexpectedEof, WouldBlock,
    };
    let kinds = [
        ConnectionAborted,
        ConnectionReset,
        Other,
        TimedOut,
        UnexpectedEof,
        WouldBlock,
    ];
    kinds.contains(&error.kind())
}
