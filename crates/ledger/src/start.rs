//! Starting a ledger: lock, recover, open an epoch, and write its first records durably.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;

use tokio::sync::{mpsc as async_mpsc, watch};

use crate::cursor::{Cursor, Trail};
use crate::epoch::Maker;
use crate::ledger::{Ledger, Options, Position, Progress, Shared, StartError};
use crate::recover::{Recovered, recover};
use crate::wal::disk::Disk;
use crate::wal::prepare::Prepared;
use crate::wal::space::{OWN_ROOM, Space};
use crate::wal::spool::Spool;
use crate::wal::walk::Walk;
use crate::writer::{Begin, Fixed, Writer};

impl Ledger {
    /// Locks the spool, recovers the logs of earlier processes, opens a new one, and returns
    /// when its `log_open` and the completions that a crash left unwritten are durable.
    ///
    /// It blocks: for the disk, and for reading what the spool holds.
    ///
    /// # Errors
    /// [`StartError`]. Nothing that was recorded has been changed.
    pub fn start(options: Options) -> Result<Self, StartError> {
        Self::start_on(options, Disk::default())
    }

    pub(crate) fn start_on(options: Options, disk: Disk) -> Result<Self, StartError> {
        let spool = Arc::new(Spool::lock(options.spool.clone())?);
        let recovered = recover(&spool)?;
        let Options {
            producer,
            issuer,
            binary,
            digests,
            spool: settings,
            deadline,
            heartbeat,
            epoch_max,
            now,
        } = options;
        let space =
            Arc::new(Space::new(settings.bytes_max, settings.segment_bytes, recovered.bytes));
        let log = producer.log.clone();
        let maker = Maker {
            spool: Arc::clone(&spool),
            space: Arc::clone(&space),
            disk: disk.clone(),
            issuer,
            log,
        };
        if space.room_to_come() <= OWN_ROOM {
            return Err(maker.full());
        }
        let (epoch, segment) = maker.make(now(), recovered.newest)?;

        let position = Position {
            epoch: epoch.id,
            origin: Arc::clone(&epoch.origin),
            size: 0,
            synced: 0,
            shipped: 0,
            busy_since: None,
        };
        let shared = Arc::new(Shared::new(Arc::clone(&space), producer, now, position));
        let (progress, seen) = watch::channel(Progress { end: Walk::start(), ended: false });
        let live = Cursor::live(&spool, &shared, &epoch, seen)?;
        let failed = |source| StartError::Spool { dir: spool.dir().to_owned(), source };
        let prepared = Prepared::start(Arc::clone(&space), disk, epoch.dir.clone(), epoch.id, 1)
            .map_err(failed)?;

        let (jobs, queue) = mpsc::channel();
        let (trail, cursors) = async_mpsc::unbounded_channel();
        let fixed = Fixed { binary, digests, compress: settings.compress, heartbeat, epoch_max };
        let id = epoch.id;
        let begin = Begin { epoch, segment, progress };
        let mut writer = Writer::new(
            fixed,
            Arc::clone(&shared),
            maker,
            Arc::clone(&prepared),
            begin,
            queue,
            trail.clone(),
        );

        let Recovered { epochs, open, previous, .. } = recovered;
        if let Err(error) = writer.begin(previous.as_ref(), &open) {
            prepared.stop().map_err(failed)?;
            return Err(error);
        }
        // The first request must not be the one that waits for a segment.
        prepared.await_ready();
        // From here on, whatever earlier processes left open has its completion in this log.
        let settle =
            spool.change_state(|state| (state.settled, state.open) = (Some(id), Vec::new()));
        settle.map_err(failed)?;

        shared.unshipped_epochs.store(epochs.len() as u64, Ordering::Relaxed);
        let old = epochs.into_iter().map(|found| Cursor::old(&spool, Some(&shared), found, true));
        let old = old.collect::<Result<_, _>>()?;
        // The receiver is here: this cannot fail.
        let _ = trail.send(live);
        drop(trail);
        std::thread::Builder::new()
            .name("ledger-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(failed)?;
        Ok(Self::new(jobs, shared, deadline, Trail::new(old, cursors)))
    }
}
