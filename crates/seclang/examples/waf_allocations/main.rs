//! How many allocations a request takes in the rule engine: a part of `cargo xtask bench waf`, and
//! a program of its own because what counts them takes the allocator's place.

#![expect(clippy::disallowed_methods, reason = "a bench reads files")]

#[path = "../benign/files.rs"]
mod files;
#[expect(dead_code, reason = "what is found is for the bench to look at")]
#[path = "../waf/ours.rs"]
mod ours;
#[expect(dead_code, reason = "what is an attack is for the bench to look at")]
#[path = "../waf/requests.rs"]
mod requests;

use std::{hint::black_box, path::Path};

use allocation_counter::measure;
use anyhow::{Context, Result};
use ours::{Asked, Ours};

fn main() -> Result<()> {
    let rules = std::env::args_os().nth(1).context("usage: waf_allocations RULES")?;
    let ours = Ours::load(Path::new(&rules))?;
    for request in &requests::benign() {
        let asked = Asked::new(request);
        drop(black_box(ours.run(&asked))); // what is made once
        let counted = measure(|| drop(black_box(ours.run(&asked))));
        println!("{} {}", request.name, counted.count_total);
    }
    Ok(())
}
