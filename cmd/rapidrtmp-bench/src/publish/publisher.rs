//! One publisher: connects, plays the clip in real time, and connects again if it may.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::{
    Progress,
    client::{Connection, PublishError},
    clip::Clip,
    report::Row,
    target::Target,
};

/// Pause before a reconnect: what encoders wait at least.
const RECONNECT: Duration = Duration::from_secs(1);

/// Where, what, and until when.
pub(crate) struct Publisher {
    pub(crate) n: usize,
    pub(crate) target: Target,
    pub(crate) clip: Arc<Clip>,
    pub(crate) until: Option<Instant>,
    /// Becomes true when the user interrupts.
    pub(crate) interrupted: watch::Receiver<bool>,
    pub(crate) reconnect: bool,
    pub(crate) progress: Arc<Progress>,
}

impl Publisher {
    /// Publishes until its time is over, it is interrupted, or it fails for good.
    pub(crate) async fn run(mut self) -> Row {
        let mut row = Row { n: self.n, url: self.target.to_string(), ..Row::default() };
        let started = Instant::now();
        loop {
            row.error = self.session(&mut row).await.err().map(|e| e.to_string());
            let over =
                self.until.is_some_and(|u| Instant::now() + RECONNECT >= u) || *self.interrupted.borrow();
            if row.error.is_none() || !self.reconnect || over {
                break;
            }
            row.reconnects += 1;
            sleep(RECONNECT).await;
        }
        row.seconds = started.elapsed().as_secs_f64();
        row
    }

    /// One connection, until its time is over (`Ok`) or it ends (`Err`).
    async fn session(&mut self, row: &mut Row) -> Result<(), PublishError> {
        let mut c = Connection::open(&self.target).await?;
        self.progress.live.fetch_add(1, Ordering::Relaxed);
        let result = self.play(&mut c, row).await;
        self.progress.live.fetch_sub(1, Ordering::Relaxed);
        result?;
        c.close().await
    }

    async fn play(&mut self, c: &mut Connection, row: &mut Row) -> Result<(), PublishError> {
        if let Some(m) = &self.clip.metadata {
            c.metadata(m).await?;
        }
        for h in &self.clip.headers {
            c.tag(h, 0).await?;
        }
        let start = Instant::now();
        for i in 0.. {
            let (tag, time) = self.clip.at(i);
            let due = start + Duration::from_millis(time);
            if self.until.is_some_and(|u| due >= u) {
                return Ok(());
            }
            tokio::select! {
                biased;
                Ok(()) = self.interrupted.changed() => return Ok(()),
                () = sleep_until(due) => {}
                e = c.watch() => return Err(e),
            }
            let bytes = c.tag(tag, time).await? as u64;
            row.sent(bytes, due.elapsed());
            self.progress.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        Ok(())
    }
}
