//! Secrets: named in the configuration by reference, read when they are needed.
//!
//! A [`Secret`] can be neither printed nor serialized, so nothing that holds one can be either.
//! It does not wipe memory.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::regular;

/// Bytes of a secret at most.
pub const SECRET_BYTES_MAX: usize = 64 * 1024;

/// A value that must not be shown. It has no `Debug`, `Display` or `Serialize` on purpose.
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for the one place that uses it.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

/// Where a secret is: `{file: path}` or `{env: NAME}`. The secret itself cannot be written here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SecretSource {
    /// A file, relative to the file that names it.
    File(#[schemars(length(min = 1))] PathBuf),
    /// An environment variable.
    Env(
        #[schemars(
            regex(pattern = r"^[A-Za-z_][A-Za-z0-9_]{0,127}$"),
            extend(
                "x-noun" = "the name of an environment variable",
                "examples" = ["ISSUER_KEY"],
                "writeOnly" = true
            )
        )]
        String,
    ),
}

/// A secret that cannot be had. It says where it was looked for, never what was found.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read the secret file `{path}`")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The variable is not set.
    #[error("the environment variable `{0}` is not set")]
    Env(String),
    /// There is nothing in it.
    #[error("the secret in {0} is empty")]
    Empty(String),
    /// It is longer than [`SECRET_BYTES_MAX`].
    #[error("the secret in {0} is longer than {SECRET_BYTES_MAX} bytes")]
    Long(String),
}

impl SecretSource {
    /// Reads the secret, as it is: nothing is trimmed.
    pub fn read(&self) -> Result<Secret<Vec<u8>>, SecretError> {
        let bytes = match self {
            Self::File(path) => regular::read(path, SECRET_BYTES_MAX as u64).map_err(|source| {
                match source.kind() {
                    ErrorKind::FileTooLarge => SecretError::Long(self.to_string()),
                    _ => SecretError::File { path: path.clone(), source },
                }
            })?,
            Self::Env(name) => std::env::var_os(name)
                .ok_or_else(|| SecretError::Env(name.clone()))?
                .into_encoded_bytes(),
        };
        match bytes.len() {
            0 => Err(SecretError::Empty(self.to_string())),
            1..=SECRET_BYTES_MAX => Ok(Secret::new(bytes)),
            _ => Err(SecretError::Long(self.to_string())),
        }
    }

    /// The same source with a relative file taken from `base`.
    pub(super) fn relative_to(self, base: &Path) -> Self {
        match self {
            Self::File(path) => Self::File(base.join(path)),
            Self::Env(name) => Self::Env(name),
        }
    }
}

impl std::fmt::Display for SecretSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "file `{}`", path.display()),
            Self::Env(name) => write!(f, "environment variable `{name}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: usize, want: Result<usize, &str>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        std::fs::write(&path, vec![b'k'; bytes]).unwrap();
        let got = SecretSource::File(path.clone()).read();
        let got = got.map(|secret| secret.expose().len()).map_err(|e| e.to_string());
        assert_eq!(got, want.map_err(|e| e.replace("PATH", &path.to_string_lossy())), "{bytes}");
    }

    #[test]
    fn a_secret_file_has_at_least_one_byte_and_at_most_the_limit() {
        check(0, Err("the secret in file `PATH` is empty"));
        check(1, Ok(1));
        check(SECRET_BYTES_MAX, Ok(SECRET_BYTES_MAX));
        check(SECRET_BYTES_MAX + 1, Err("the secret in file `PATH` is longer than 65536 bytes"));
    }

    #[test]
    fn a_secret_that_is_not_there_is_an_error_that_says_where() {
        let gone = SecretSource::File("/nowhere/issuer.key".into()).read();
        assert_eq!(
            gone.err().unwrap().to_string(),
            "cannot read the secret file `/nowhere/issuer.key`"
        );
        let unset = SecretSource::Env("PORTCULLIS_TEST_NO_SUCH_VARIABLE".into()).read();
        assert_eq!(
            unset.err().unwrap().to_string(),
            "the environment variable `PORTCULLIS_TEST_NO_SUCH_VARIABLE` is not set"
        );
    }

    #[test]
    fn a_secret_in_the_environment_is_read_as_it_is() {
        // `PATH` is the one variable every test run has.
        let secret = SecretSource::Env("PATH".into()).read().ok().unwrap();
        assert_eq!(secret.expose().as_slice(), std::env::var("PATH").unwrap().as_bytes());
    }
}
