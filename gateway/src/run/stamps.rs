//! When each file that is served was changed, and where each link points, to see that something
//! was. It reads no file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::config::{Config, SecretSource};

/// Files and directories looked at, at most: twice what a directory of policies may hold.
const PLACES_MAX: usize = 20_000;

/// The time of each place's last change, by its path without links.
pub(super) type Stamps = BTreeMap<PathBuf, Option<SystemTime>>;

/// The files of `config`, the policies, where the rule files are and those that they name, the
/// issuers' certificates and the key of pseudonyms, and the certificates and keys of the listeners
/// that it was `started` with.
pub(super) fn stamps(
    config: &Config,
    rules: impl Iterator<Item = PathBuf>,
    started: &Config,
) -> Stamps {
    let mut open: Vec<PathBuf> = config.files.clone();
    open.push(config.policies.directory.clone());
    open.extend(config.policies.candidate.iter().map(|candidate| candidate.directory.clone()));
    open.extend(config.waf.files.iter().map(|files| files.glob.directory.clone()));
    open.extend(rules);
    open.extend(config.issuers.values().filter_map(|issuer| issuer.ca.clone()));
    if let Some(SecretSource::File(key)) = &config.audit.pseudonym_key {
        open.push(key.clone());
    }
    for tls in started.listeners.iter().filter_map(|listener| listener.transport.tls()) {
        open.push(tls.certificate.clone());
        if let SecretSource::File(key) = &tls.key {
            open.push(key.clone());
        }
    }
    below(open)
}

/// Each place is looked at once, whatever links lead to it: one may lead to where it is itself.
fn below(mut open: Vec<PathBuf>) -> Stamps {
    let mut stamps = Stamps::new();
    while let Some(path) = open.pop().filter(|_| stamps.len() < PLACES_MAX) {
        let path = path.canonicalize().unwrap_or(path);
        if stamps.contains_key(&path) {
            continue;
        }
        let metadata = fs::metadata(&path).ok();
        if metadata.as_ref().is_some_and(fs::Metadata::is_dir) {
            open.extend(entries(&path));
        }
        stamps.insert(path, metadata.and_then(|metadata| metadata.modified().ok()));
    }
    stamps
}

fn entries(directory: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_place_is_looked_at_once() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().canonicalize().unwrap().join(name);
        fs::create_dir_all(path("a/b")).unwrap();
        fs::write(path("a/b/x.cedar"), "").unwrap();
        symlink("..", path("a/b/up")).unwrap();
        symlink("b/x.cedar", path("a/link")).unwrap();
        symlink("nowhere", path("a/dangling")).unwrap();
        let seen = below(vec![path("a"), path("a/link")]);
        let want = ["a", "a/b", "a/b/x.cedar", "a/dangling"].map(path);
        assert_eq!(seen.keys().collect::<Vec<_>>(), want.iter().collect::<Vec<_>>());
        assert_eq!(seen[&path("a/dangling")], None);
    }

    #[test]
    fn whatever_a_load_reads_is_looked_at() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let text = include_str!("../../portcullis.yaml")
            .replace("# ca: tls/login-ca.crt", "ca: tls/login-ca.crt")
            .replace("directory: ../policies", "directory: policies");
        fs::write(root.join("portcullis.yaml"), text).unwrap();
        let config = Config::load(&root.join("portcullis.yaml")).unwrap();
        let seen = stamps(&config, std::iter::once(root.join("crs/a.conf")), &config);
        let key = config.audit.pseudonym_key.clone();
        let Some(SecretSource::File(pseudonym_key)) = key else { panic!("no key in a file") };
        for path in ["portcullis.yaml", "policies", "crs/a.conf", "tls/login-ca.crt"] {
            assert!(seen.contains_key(&root.join(path)), "{path} of {seen:?}");
        }
        let tls = config.listeners.iter().filter_map(|listener| listener.transport.tls());
        let certificates = tls.map(|tls| tls.certificate.clone());
        for path in certificates.chain([pseudonym_key]) {
            assert!(seen.contains_key(&path), "{} of {seen:?}", path.display());
        }
    }

    #[test]
    fn what_changed_is_seen() {
        let root = tempfile::tempdir().unwrap();
        let check = |what: &str, change: &dyn Fn(&Path)| {
            let before = below(vec![root.path().to_owned()]);
            assert_eq!(below(vec![root.path().to_owned()]), before, "before {what}");
            change(root.path());
            assert_ne!(below(vec![root.path().to_owned()]), before, "{what}");
        };
        check("a new file", &|root| fs::write(root.join("1"), "").unwrap());
        check("a changed file", &|root| {
            let file = fs::File::options().write(true).open(root.join("1")).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        });
        check("a link", &|root| symlink("1", root.join("link")).unwrap());
        check("a file that is gone", &|root| fs::remove_file(root.join("1")).unwrap());
    }
}
