//! What the kernel says of a process: memory and CPU time.

use anyhow::{Context, Result};

/// Resident memory of a process, MB; `self` is this one.
pub(crate) fn resident_mb(process: &str) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kb: f64 = line.context("no `VmRSS`")?.trim().trim_end_matches(" kB").parse()?;
    Ok(kb / 1024.0)
}

/// CPU time of this thread, µs. Another look at the queue brings the count up to date.
pub(crate) fn cpu_us() -> Result<f64> {
    std::thread::yield_now();
    let counts = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let ns: u64 = counts.split(' ').next().context("no count")?.parse()?;
    Ok(ns as f64 / 1_000.0)
}

/// CPU time of `work`, µs, and what it gives.
pub(crate) fn measure<T>(work: impl FnOnce() -> T) -> Result<(f64, T)> {
    let begin = cpu_us()?;
    let nothing = cpu_us()? - begin;
    let begin = cpu_us()?;
    let given = work();
    Ok(((cpu_us()? - begin - nothing).max(0.0), given))
}

/// The value in the middle.
pub(crate) fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}
