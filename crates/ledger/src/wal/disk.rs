//! The three calls that make a record durable, in one place, so that a test can hold a sync,
//! fail a write, or fill the disk. A build without tests has nothing to hold.

#![expect(clippy::disallowed_methods, reason = "the write-ahead log is files")]

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes of zeros written at a time.
const ZEROS: usize = 1024 * 1024;

/// The disk under the log.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    #[cfg(test)]
    pub(crate) faults: std::sync::Arc<faults::Faults>,
}

impl Disk {
    /// Fills an empty file with `header` and zeros, `bytes` in all, and syncs it.
    pub(crate) fn allocate(&self, file: &File, bytes: u64, header: &[u8]) -> io::Result<()> {
        #[cfg(test)]
        self.faults.allocate()?;
        let zeros = vec![0; ZEROS];
        let mut offset = 0;
        while offset < bytes {
            let length = usize::try_from(bytes - offset).unwrap_or(ZEROS).min(ZEROS);
            let (part, _) = zeros.split_at_checked(length).unwrap_or((&zeros, &[]));
            file.write_all_at(part, offset)?;
            offset += part.len() as u64;
        }
        file.write_all_at(header, 0)?;
        file.sync_all()
    }

    /// Writes all of `bytes` at `offset`.
    pub(crate) fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        #[cfg(test)]
        self.faults.write(file, bytes, offset)?;
        file.write_all_at(bytes, offset)
    }

    /// `fdatasync`. After an error nothing is known of what was written since the last good one.
    pub(crate) fn sync(&self, file: &File) -> io::Result<()> {
        #[cfg(test)]
        self.faults.sync()?;
        file.sync_data()
    }
}

#[cfg(test)]
pub(crate) mod faults {
    //! What a test can do to the disk.

    use std::fs::File;
    use std::io;
    use std::os::unix::fs::FileExt;
    use std::sync::{Condvar, Mutex};

    /// Armed faults and what happened so far.
    #[derive(Debug, Default)]
    pub(crate) struct Faults {
        state: Mutex<State>,
        changed: Condvar,
    }

    #[derive(Debug, Default)]
    struct State {
        hold_syncs: bool,
        held: usize,
        syncs: u64,
        fail_syncs: u32,
        fail_writes: u32,
        /// Bytes that a failing write leaves behind.
        torn_bytes: usize,
        full: bool,
    }

    impl Faults {
        fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
            let out = change(&mut self.state.lock().unwrap());
            self.changed.notify_all();
            out
        }

        /// Syncs wait until `release`.
        pub(crate) fn hold_syncs(&self) {
            self.with(|state| state.hold_syncs = true);
        }

        /// Lets held syncs go.
        pub(crate) fn release(&self) {
            self.with(|state| state.hold_syncs = false);
        }

        /// Waits until a sync is being held.
        pub(crate) fn await_held(&self) {
            let state = self.state.lock().unwrap();
            drop(self.changed.wait_while(state, |state| state.held == 0).unwrap());
        }

        /// Syncs that were done.
        pub(crate) fn syncs(&self) -> u64 {
            self.with(|state| state.syncs)
        }

        /// The next `count` syncs fail.
        pub(crate) fn fail_syncs(&self, count: u32) {
            self.with(|state| state.fail_syncs = count);
        }

        /// The next `count` writes fail after `torn_bytes` bytes.
        pub(crate) fn fail_writes(&self, count: u32, torn_bytes: usize) {
            self.with(|state| (state.fail_writes, state.torn_bytes) = (count, torn_bytes));
        }

        /// No further segment can be allocated while `full`.
        pub(crate) fn fill(&self, full: bool) {
            self.with(|state| state.full = full);
        }

        pub(super) fn allocate(&self) -> io::Result<()> {
            if self.with(|state| state.full) {
                Err(io::ErrorKind::StorageFull.into())
            } else {
                Ok(())
            }
        }

        pub(super) fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
            let torn = self.with(|state| {
                let failing = state.fail_writes > 0;
                state.fail_writes = state.fail_writes.saturating_sub(1);
                failing.then_some(state.torn_bytes)
            });
            let Some(torn) = torn else { return Ok(()) };
            file.write_all_at(&bytes[..torn.min(bytes.len())], offset)?;
            Err(io::Error::other("injected write error"))
        }

        pub(super) fn sync(&self) -> io::Result<()> {
            let mut state = self.state.lock().unwrap();
            state.held += 1;
            self.changed.notify_all();
            state = self.changed.wait_while(state, |state| state.hold_syncs).unwrap();
            state.held -= 1;
            state.syncs += 1;
            let failing = state.fail_syncs > 0;
            state.fail_syncs = state.fail_syncs.saturating_sub(1);
            if failing { Err(io::Error::other("injected sync error")) } else { Ok(()) }
        }
    }
}
