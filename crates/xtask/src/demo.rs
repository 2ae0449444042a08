//! `cargo xtask demo`: builds, then becomes the tour, so that Ctrl-C reaches it alone.

use std::{os::unix::process::CommandExt, process::Command};

use anyhow::{Context, Result};

use crate::{
    machine::{build, built},
    setup::{BUILD, obtain},
};

/// Returns only if the tour could not be started.
pub(crate) fn demo(arguments: &[&str]) -> Result<()> {
    obtain(&BUILD)?;
    build()?;
    let error = Command::new(built()?.join("fixtures")).arg("tour").args(arguments).exec();
    Err(error).context("start the tour")
}
