//! Token ids and the highest discontinuity sequence on disk, so that a spent token stays spent and numbers do not go
//! back over a restart.
//!
//! One JSON object a line, appended; the last line of an id and the highest `dseq` count, and a line that cannot be
//! read (torn by a crash, or another version's) is passed over. A thread of its own writes: a claim never waits for the disk.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::{Duration, Instant, UNIX_EPOCH},
};

use media::StreamPath;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::{
    TokenId,
    ledger::{Change, Ledger, Remembered, TokenState},
    memory::Clock,
};

/// The journal's name in the state directory.
const FILE: &str = "tokens";
/// What it is called while it is being written anew.
const TEMPORARY: &str = "tokens.new";
/// Lines that may wait for a slow disk; beyond it the file is written anew from memory, so none is lost.
const QUEUE: usize = 1024;
/// Read at start at most: several times what the ledger's bound on tokens can fill.
const MAX_FILE: u64 = 256 << 20;
/// A higher discontinuity sequence was not written by us: no run of nodes gets so far.
const MAX_DSEQ: u64 = u32::MAX as u64;
/// Lines appended before the file is written anew, at least.
const COMPACT_AFTER: usize = 4096;
/// How long after a change the file is flushed to the disk itself.
const SYNC_AFTER: Duration = Duration::from_millis(200);
/// Between attempts while the state directory fails.
const RETRY: Duration = Duration::from_secs(5);
/// A closing process waits so long for its last lines.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// One line.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    /// `path` is there while the token is bound; without it the token is spent.
    Token {
        id: String,
        exp: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<String>,
    },
    Dseq {
        dseq: u64,
    },
}

impl Line {
    fn from_change(change: &Change) -> Self {
        match change {
            Change::Dseq(dseq) => Self::Dseq { dseq: *dseq },
            Change::Token(id, state) => {
                // Rounded up: a token must not be forgotten before it expires.
                let exp = state.expires_at.duration_since(UNIX_EPOCH).unwrap_or_default();
                Self::Token {
                    id: id.to_string(),
                    exp: exp.as_secs() + u64::from(exp.subsec_nanos() > 0),
                    path: state.bound.as_ref().map(ToString::to_string),
                }
            }
        }
    }

    fn encode(change: &Change) -> io::Result<Vec<u8>> {
        let mut line = serde_json::to_vec(&Self::from_change(change))?;
        line.push(b'\n');
        Ok(line)
    }

    fn into_change(self) -> Option<Change> {
        let (id, exp, path) = match self {
            Self::Token { id, exp, path } => (id, exp, path),
            Self::Dseq { dseq } => return (dseq <= MAX_DSEQ).then_some(Change::Dseq(dseq)),
        };
        let id = TokenId(u128::from_str_radix(&id, 16).ok()?);
        let expires_at = UNIX_EPOCH.checked_add(Duration::from_secs(exp))?;
        let bound = match path {
            Some(p) => Some(StreamPath::parse(&p).ok()?),
            None => None,
        };
        Some(Change::Token(id, TokenState { bound, expires_at }))
    }
}

/// What the registry and the writing thread share.
struct Shared {
    /// A line found no room: write the whole file anew.
    overflow: AtomicBool,
    problem: Mutex<Option<String>>,
}

/// The writing end. Dropping it waits, for a bounded time, until all is written.
pub(crate) struct Journal {
    lines: Option<SyncSender<Change>>,
    shared: Arc<Shared>,
    done: Mutex<Receiver<()>>,
}

impl Journal {
    /// Reads what an earlier run remembered. A missing file is an empty one.
    pub(crate) fn read(dir: &Path) -> io::Result<Remembered> {
        let mut remembered = Remembered::default();
        let file = match File::open(dir.join(FILE)) {
            Ok(f) => f,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(remembered),
            Err(e) => return Err(e),
        };
        let mut skipped = 0_u64;
        for line in BufReader::new(file.take(MAX_FILE)).split(b'\n') {
            let line = line?;
            match serde_json::from_slice::<Line>(&line).ok().and_then(Line::into_change) {
                Some(Change::Token(id, state)) => drop(remembered.tokens.insert(id, state)),
                Some(Change::Dseq(dseq)) => remembered.dseq = remembered.dseq.max(dseq),
                None if line.is_empty() => {}
                None => skipped += 1,
            }
        }
        if skipped > 0 {
            tracing::warn!(skipped, "passed over unreadable lines of the registry's journal");
        }
        Ok(remembered)
    }

    /// Writes the file anew from the ledger and starts the writing thread.
    pub(crate) fn start(dir: &Path, ledger: Arc<Mutex<Ledger>>, clock: Clock) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let (lines, rx) = sync_channel(QUEUE);
        let (finished, done) = sync_channel(1);
        let shared = Arc::new(Shared { overflow: AtomicBool::new(false), problem: Mutex::new(None) });
        let mut writer = Writer {
            dir: dir.to_path_buf(),
            rx,
            ledger,
            clock,
            shared: Arc::clone(&shared),
            file: None,
            appended: 0,
            compact_at: 0,
        };
        writer.rewrite()?;
        std::thread::Builder::new().name("token-journal".into()).spawn(move || {
            writer.run();
            // Room for one and sent once; if nobody waits any more there is nothing to tell.
            let _ = finished.try_send(());
        })?;
        Ok(Self { lines: Some(lines), shared, done: Mutex::new(done) })
    }

    /// Hands a change to the writing thread; never waits. The ledger must be locked (see [`Writer::rewrite`]).
    pub(crate) fn append(&self, change: Change) {
        if self.lines.as_ref().is_some_and(|l| l.try_send(change).is_err()) {
            self.shared.overflow.store(true, Ordering::Relaxed);
        }
    }

    /// Why changes are not being written, if they are not.
    pub(crate) fn problem(&self) -> Option<String> {
        self.shared.problem.lock().clone()
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.lines = None;
        if self.done.get_mut().recv_timeout(CLOSE_WITHIN) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the state directory hangs: the registry's last changes may not be written");
        }
    }
}

/// The thread's side.
struct Writer {
    dir: PathBuf,
    rx: Receiver<Change>,
    ledger: Arc<Mutex<Ledger>>,
    clock: Clock,
    shared: Arc<Shared>,
    /// `None` after a failure: the next write writes the whole file anew.
    file: Option<File>,
    appended: usize,
    compact_at: usize,
}

impl Writer {
    fn run(&mut self) {
        let mut due: Option<Instant> = None;
        loop {
            let received = match due {
                Some(at) => self.rx.recv_timeout(at.saturating_duration_since(Instant::now())),
                None => self.rx.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            let outcome = match &received {
                Ok(change) => {
                    due.get_or_insert(Instant::now() + SYNC_AFTER);
                    self.write(change)
                }
                Err(_) => {
                    due = None;
                    self.sync()
                }
            };
            if outcome.is_err() {
                self.file = None;
                due = Some(Instant::now() + RETRY);
            }
            self.report(outcome);
            if received == Err(RecvTimeoutError::Disconnected) {
                return;
            }
        }
    }

    fn write(&mut self, change: &Change) -> io::Result<()> {
        let whole = self.shared.overflow.load(Ordering::Relaxed) || self.appended >= self.compact_at;
        match &mut self.file {
            Some(file) if !whole => {
                self.appended += 1;
                file.write_all(&Line::encode(change)?)
            }
            _ => self.rewrite(),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        match &self.file {
            // A file without a name was deleted under us.
            Some(file) if file.metadata()?.nlink() > 0 && !self.shared.overflow.load(Ordering::Relaxed) => {
                file.sync_data()
            }
            _ => self.rewrite(),
        }
    }

    /// Writes the whole file from memory, under another name that then takes the place of the old one.
    fn rewrite(&mut self) -> io::Result<()> {
        let changes = {
            let mut ledger = self.ledger.lock();
            // Lines are sent under this lock, so those that wait are part of what is read here.
            while self.rx.try_recv().is_ok() {}
            self.shared.overflow.store(false, Ordering::Relaxed);
            ledger.memorable((self.clock)())
        };
        let temporary = self.dir.join(TEMPORARY);
        match fs::remove_file(&temporary) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        let mut text = Vec::with_capacity(changes.len() * 100);
        for change in &changes {
            text.extend(Line::encode(change)?);
        }
        file.write_all(&text)?;
        file.sync_data()?;
        fs::rename(&temporary, self.dir.join(FILE))?;
        self.file = Some(file);
        self.appended = 0;
        self.compact_at = changes.len().max(COMPACT_AFTER);
        Ok(())
    }

    fn report(&self, outcome: io::Result<()>) {
        let problem =
            outcome.err().map(|e| format!("the registry is not written to the state directory: {e}"));
        let mut last = self.shared.problem.lock();
        match &problem {
            Some(text) if last.is_none() => tracing::error!("{text}"),
            None if last.is_some() => tracing::info!("the registry is written again"),
            _ => {}
        }
        *last = problem;
    }
}
