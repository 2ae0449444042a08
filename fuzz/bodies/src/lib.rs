//! What each fuzz target does with bytes that somebody else wrote: it reads them, and panics if
//! what comes of it breaks the property that the target's module names.
//!
//! Each body returns whether the bytes were accepted, so that the replay of the seeds below can
//! tell a body that looks from one that refuses everything. libFuzzer's entry points are in the
//! workspace around this crate; nothing here needs more than a stable compiler.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a body is an assertion throughout"
)]

mod bearer;
mod chunked;
mod event;
mod forwarded;
mod head;
mod notes;
mod proxy;
mod seclang;
mod seclang_body;
mod seclang_filters;
mod seclang_transform;
mod target;
mod waf;
mod wal;
mod yaml;

pub use bearer::bearer;
pub use chunked::chunked;
pub use event::event;
pub use forwarded::forwarded;
pub use head::head;
pub use notes::notes;
pub use proxy::proxy;
pub use seclang::seclang;
pub use seclang_body::seclang_body;
pub use seclang_filters::seclang_filters;
pub use seclang_transform::seclang_transform;
pub use target::target;
pub use waf::waf;
pub use wal::wal;
pub use yaml::yaml;

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    type Body = fn(&[u8]) -> bool;

    const TARGETS: [(&str, Body); 15] = [
        ("bearer", crate::bearer),
        ("chunked", crate::chunked),
        ("event", crate::event),
        ("forwarded", crate::forwarded),
        ("head", crate::head),
        ("notes", crate::notes),
        ("proxy", crate::proxy),
        ("seclang", crate::seclang),
        ("seclang_body", crate::seclang_body),
        ("seclang_filters", crate::seclang_filters),
        ("seclang_transform", crate::seclang_transform),
        ("target", crate::target),
        ("waf", crate::waf),
        ("wal", crate::wal),
        ("yaml", crate::yaml),
    ];

    fn fuzz() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
    }

    fn names(dir: &str) -> Vec<String> {
        let entries = fs::read_dir(fuzz().join(dir)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn every_seed_keeps_its_target_s_property() {
        for (name, body) in TARGETS {
            let (mut accepted, mut refused) = (0, 0);
            for seed in names(&format!("seeds/{name}")) {
                println!("{name}/{seed}");
                match body(&fs::read(fuzz().join("seeds").join(name).join(seed)).unwrap()) {
                    true => accepted += 1,
                    false => refused += 1,
                }
            }
            assert!(accepted > 0 && refused > 0, "{name}: accepted={accepted} refused={refused}");
        }
    }

    #[test]
    fn every_body_has_seeds_and_an_entry_point() {
        let names_of_targets = TARGETS.map(|(name, _)| name.to_owned());
        assert_eq!(names("seeds"), names_of_targets);
        assert_eq!(names("targets"), names_of_targets.each_ref().map(|name| format!("{name}.rs")));
        let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
        for name in names_of_targets {
            assert!(manifest.contains(&format!("[[bin]]\nname = \"{name}\"\n")), "{name}");
            let entry = fs::read_to_string(fuzz().join(format!("targets/{name}.rs"))).unwrap();
            assert!(entry.contains(&format!("fuzz_bodies::{name}(data)")), "{name}");
        }
    }
}
