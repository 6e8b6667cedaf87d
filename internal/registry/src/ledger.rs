//! The state behind [`MemoryRegistry`](crate::MemoryRegistry): paths and tokens, and the rules between them.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use media::{Epoch, Msn, StreamPath};

use crate::{
    Checkpoint, Claim, ClaimError, ClaimRequest, Holder, Lost, PathState, Record, Start, TokenGrant, TokenId,
    Unavailable, first_numbers,
};

/// Ended paths remembered: numbers are safe without them (the clock rule), this is for the live list's history.
const MAX_ENDED: usize = 10_000;
/// How long an ended path is remembered (as `cluster.md`: 24 h after the end).
const KEEP_ENDED: Duration = Duration::from_secs(24 * 3600);
/// Live and gap paths: far above what one node can carry.
const MAX_OPEN: usize = 100_000;
/// Token ids remembered, about 100 bytes each; expired ones make room first.
const MAX_TOKENS: usize = 200_000;

/// What is remembered of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenState {
    /// The path that it is bound to; `None`: spent.
    pub(crate) bound: Option<StreamPath>,
    /// When it may be forgotten, unless its path is still open.
    pub(crate) expires_at: SystemTime,
}

#[derive(Debug)]
struct Entry {
    record: Record,
    token: Option<TokenId>,
    /// The claim was the token's first use.
    first_use: bool,
    /// Something was announced since the path was last free.
    announced: bool,
}

/// The highest numbers of records that were forgotten, so that a clock set back cannot reuse them.
#[derive(Clone, Copy, Debug, Default)]
struct Floor {
    epoch: u64,
    msn: Msn,
}

/// What a restart must know; the journal writes changes down in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A token is bound or spent.
    Token(TokenId, TokenState),
    /// The highest discontinuity sequence rose to this.
    Dseq(u64),
}

/// What an earlier run left.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    pub(crate) tokens: HashMap<TokenId, TokenState>,
    /// Highest discontinuity sequence of any path; 0: none known.
    pub(crate) dseq: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    paths: HashMap<StreamPath, Entry>,
    ended: VecDeque<(SystemTime, StreamPath, Epoch)>,
    tokens: HashMap<TokenId, TokenState>,
    bound: HashMap<StreamPath, Vec<TokenId>>,
    floor: Floor,
    /// The highest discontinuity sequence ever started or reported, over all paths. A path of which nothing is
    /// known begins above it, as it may be one of them that was forgotten.
    dseq: u64,
}

impl Ledger {
    /// With what the journal remembered; what has expired by `now` is left out.
    pub(crate) fn new(remembered: Remembered, now: SystemTime) -> Self {
        let mut ledger = Self { dseq: remembered.dseq, ..Self::default() };
        for (id, state) in remembered.tokens {
            if state.expires_at > now && ledger.tokens.len() < MAX_TOKENS {
                ledger.set_token(id, state);
            }
        }
        ledger
    }

    /// See [`StreamRegistry::claim`](crate::StreamRegistry::claim).
    pub(crate) fn claim(
        &mut self,
        r: ClaimRequest,
        now: SystemTime,
    ) -> Result<(Claim, Vec<Change>), ClaimError> {
        if let Some(grant) = &r.grant {
            self.check_token(grant, &r.path, now)?;
        }
        self.check_holder(&r)?;
        self.make_room(&r, now)?;

        let (epoch, start) = self.next_numbers(&r.path, now);
        let mut changes = Vec::from_iter(self.raise(start.dseq));
        let first_use = r.grant.is_some_and(|g| !self.tokens.contains_key(&g.id));
        let announced = start.continues && self.paths.get(&r.path).is_some_and(|e| e.announced);
        changes.extend(r.grant.map(|g| {
            let expires_at = self.tokens.get(&g.id).map_or(g.expires_at, |t| t.expires_at.max(g.expires_at));
            let state = TokenState { bound: Some(r.path.clone()), expires_at };
            self.set_token(g.id, state.clone());
            Change::Token(g.id, state)
        }));
        let record = Record {
            path: r.path.clone(),
            epoch,
            node: r.node,
            state: PathState::Live,
            claimed_at: now,
            start,
            checkpoint: self.paths.get(&r.path).and_then(|e| e.record.checkpoint),
        };
        self.paths
            .insert(r.path.clone(), Entry { record, token: r.grant.map(|g| g.id), first_use, announced });
        Ok((Claim { path: r.path, epoch, start }, changes))
    }

    fn check_token(&self, g: &TokenGrant, path: &StreamPath, now: SystemTime) -> Result<(), ClaimError> {
        let expired = g.expired || g.expires_at <= now;
        match self.tokens.get(&g.id) {
            Some(TokenState { bound: None, .. }) => Err(ClaimError::TokenSpent),
            Some(TokenState { bound: Some(p), .. }) if p != path => Err(ClaimError::TokenBoundElsewhere),
            Some(_) if expired && !self.is_open(path) => Err(ClaimError::TokenExpired),
            None if expired => Err(ClaimError::TokenExpired),
            _ => Ok(()),
        }
    }

    fn check_holder(&self, r: &ClaimRequest) -> Result<(), ClaimError> {
        let Some(entry) = self.paths.get(&r.path) else { return Ok(()) };
        let record = &entry.record;
        if record.state != PathState::Live || r.evict == Some(record.epoch) {
            return Ok(());
        }
        Err(ClaimError::Held(Holder {
            epoch: record.epoch,
            node: record.node.clone(),
            claimed_at: record.claimed_at,
            same_token: entry.token.is_some() && entry.token == r.grant.map(|g| g.id),
        }))
    }

    fn make_room(&mut self, r: &ClaimRequest, now: SystemTime) -> Result<(), Unavailable> {
        self.forget_ended(now);
        if !self.is_open(&r.path) && self.paths.len() - self.ended.len().min(self.paths.len()) >= MAX_OPEN {
            return Err(Unavailable("too many streams".into()));
        }
        let new_token = r.grant.is_some_and(|g| !self.tokens.contains_key(&g.id));
        if new_token && self.tokens.len() >= MAX_TOKENS {
            self.forget_expired(now);
            if self.tokens.len() >= MAX_TOKENS {
                return Err(Unavailable("too many tokens in use".into()));
            }
        }
        Ok(())
    }

    /// The one place of the number rule (contract "When a stream ends").
    fn next_numbers(&self, path: &StreamPath, now: SystemTime) -> (Epoch, Start) {
        let millis = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let Some(Entry { record, .. }) = self.paths.get(path) else {
            let (msn, dseq) = first_numbers(now);
            let start = Start {
                msn: msn.max(self.floor.msn + 1),
                dseq: dseq.max(self.dseq.saturating_add(1)),
                target_duration: None,
                continues: false,
            };
            return (Epoch(millis.max(self.floor.epoch + 1)), start);
        };
        let start = match record.checkpoint {
            Some(c) => Start {
                msn: (c.msn + 1).max(record.start.msn),
                dseq: (c.dseq + 1).max(record.start.dseq),
                target_duration: c.target_duration,
                continues: record.state != PathState::Ended,
            },
            // Nothing was ever announced: the same first numbers hold.
            None => Start { continues: record.state != PathState::Ended, ..record.start },
        };
        (Epoch(millis.max(record.epoch.0 + 1)), start)
    }

    /// See [`StreamRegistry::checkpoint`](crate::StreamRegistry::checkpoint).
    pub(crate) fn checkpoint(
        &mut self,
        path: &StreamPath,
        epoch: Epoch,
        at: Checkpoint,
    ) -> Result<Option<Change>, Lost> {
        let entry = self.entry(path, epoch)?;
        let record = &mut entry.record;
        if record.state == PathState::Ended {
            return Err(Lost::Fenced(record.epoch));
        }
        entry.announced = true;
        let before = record.checkpoint;
        record.checkpoint = Some(Checkpoint {
            msn: before.map_or(at.msn, |b| b.msn.max(at.msn)),
            dseq: before.map_or(at.dseq, |b| b.dseq.max(at.dseq)),
            target_duration: at.target_duration.or(before.and_then(|b| b.target_duration)),
        });
        Ok(self.raise(at.dseq))
    }

    /// See [`StreamRegistry::release`](crate::StreamRegistry::release).
    pub(crate) fn release(&mut self, path: &StreamPath, epoch: Epoch) -> Result<(), Lost> {
        let record = &mut self.entry(path, epoch)?.record;
        if record.state == PathState::Live {
            record.state = PathState::Gap;
        }
        Ok(())
    }

    /// See [`StreamRegistry::abandon`](crate::StreamRegistry::abandon).
    pub(crate) fn abandon(
        &mut self,
        path: &StreamPath,
        epoch: Epoch,
        now: SystemTime,
    ) -> Result<Option<Change>, Lost> {
        let entry = self.entry(path, epoch)?;
        if entry.record.state == PathState::Ended {
            return Ok(None);
        }
        if entry.announced {
            entry.record.state = PathState::Gap;
            return Ok(None);
        }
        entry.record.state = PathState::Ended;
        let token = entry.token.filter(|_| entry.first_use);
        self.ended.push_back((now, path.clone(), epoch));
        self.forget_ended(now);
        Ok(token.and_then(|id| self.forget_use(id)))
    }

    /// A token as before its first use. One that was revoked meanwhile stays spent.
    fn forget_use(&mut self, id: TokenId) -> Option<Change> {
        let bound = self.tokens.get(&id)?.bound.clone()?;
        // In the journal it is one that expired long ago, which every reader leaves out.
        let unused = TokenState { bound: None, expires_at: UNIX_EPOCH };
        self.set_token(id, unused.clone());
        self.tokens.remove(&id);
        if self.bound.get(&bound).is_some_and(Vec::is_empty) {
            self.bound.remove(&bound);
        }
        Some(Change::Token(id, unused))
    }

    /// See [`StreamRegistry::end`](crate::StreamRegistry::end).
    pub(crate) fn end(
        &mut self,
        path: &StreamPath,
        epoch: Epoch,
        now: SystemTime,
    ) -> Result<Vec<Change>, Lost> {
        let record = &mut self.entry(path, epoch)?.record;
        if record.state == PathState::Ended {
            return Ok(Vec::new());
        }
        record.state = PathState::Ended;
        self.ended.push_back((now, path.clone(), epoch));
        let ids = self.bound.remove(path).unwrap_or_default();
        let spent = ids.into_iter().filter_map(|id| {
            let token = self.tokens.get_mut(&id)?;
            token.bound = None;
            Some(Change::Token(id, token.clone()))
        });
        let spent = spent.collect();
        self.forget_ended(now);
        Ok(spent)
    }

    /// See [`StreamRegistry::revoke`](crate::StreamRegistry::revoke).
    pub(crate) fn revoke(
        &mut self,
        id: TokenId,
        expires_at: SystemTime,
        now: SystemTime,
    ) -> Result<(Option<(StreamPath, Epoch)>, Change), Unavailable> {
        if !self.tokens.contains_key(&id) && self.tokens.len() >= MAX_TOKENS {
            self.forget_expired(now);
            if self.tokens.len() >= MAX_TOKENS {
                return Err(Unavailable("too many tokens in use".into()));
            }
        }
        let old = self.tokens.get(&id).cloned();
        let expires_at = old.as_ref().map_or(expires_at, |t| t.expires_at.max(expires_at));
        let state = TokenState { bound: None, expires_at };
        self.set_token(id, state.clone());
        let claim = old.and_then(|t| t.bound).and_then(|path| {
            let entry = self.paths.get(&path)?;
            let open = entry.record.state != PathState::Ended && entry.token == Some(id);
            open.then_some((path, entry.record.epoch))
        });
        Ok((claim, Change::Token(id, state)))
    }

    /// What is known of a path.
    pub(crate) fn look_up(&self, path: &StreamPath) -> Option<Record> {
        self.paths.get(path).map(|e| e.record.clone())
    }

    /// Every un-ended path, ordered.
    pub(crate) fn list(&self) -> Vec<Record> {
        let open = self.paths.values().map(|e| &e.record).filter(|r| r.state != PathState::Ended);
        let mut all: Vec<Record> = open.cloned().collect();
        all.sort_by(|a, b| a.path.cmp(&b.path));
        all
    }

    /// Paths and tokens known.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        (self.paths.len(), self.tokens.len())
    }

    /// All that a restart must remember.
    pub(crate) fn memorable(&mut self, now: SystemTime) -> Vec<Change> {
        self.forget_expired(now);
        let dseq = (self.dseq > 0).then_some(Change::Dseq(self.dseq));
        let tokens = self.tokens.iter().map(|(id, state)| Change::Token(*id, state.clone()));
        dseq.into_iter().chain(tokens).collect()
    }

    /// Takes note of a discontinuity sequence in use; a change where it is the highest so far.
    fn raise(&mut self, dseq: u64) -> Option<Change> {
        if dseq <= self.dseq {
            return None;
        }
        self.dseq = dseq;
        Some(Change::Dseq(dseq))
    }

    fn entry(&mut self, path: &StreamPath, epoch: Epoch) -> Result<&mut Entry, Lost> {
        match self.paths.get_mut(path) {
            None => Err(Lost::Missing),
            Some(e) if e.record.epoch != epoch => Err(Lost::Fenced(e.record.epoch)),
            Some(e) => Ok(e),
        }
    }

    fn is_open(&self, path: &StreamPath) -> bool {
        self.paths.get(path).is_some_and(|e| e.record.state != PathState::Ended)
    }

    fn set_token(&mut self, id: TokenId, state: TokenState) {
        let bound = state.bound.clone();
        let old = self.tokens.insert(id, state).and_then(|t| t.bound);
        if old == bound {
            return;
        }
        if let Some(ids) = old.as_ref().and_then(|p| self.bound.get_mut(p)) {
            ids.retain(|other| *other != id);
        }
        if let Some(path) = bound {
            self.bound.entry(path).or_default().push(id);
        }
    }

    /// Drops ended paths beyond the bounds; their numbers stay below the floor and the highest `dseq`.
    fn forget_ended(&mut self, now: SystemTime) {
        while let Some((at, path, epoch)) = self.ended.front() {
            let old = now.duration_since(*at).is_ok_and(|age| age > KEEP_ENDED);
            if !old && self.ended.len() <= MAX_ENDED {
                return;
            }
            let still = self.paths.get(path).filter(|e| e.record.epoch == *epoch);
            if let Some(Entry { record, .. }) = still {
                let msn = record.checkpoint.map_or(0, |c| c.msn);
                self.floor.epoch = self.floor.epoch.max(record.epoch.0);
                self.floor.msn = self.floor.msn.max(msn);
                self.paths.remove(path);
            }
            self.ended.pop_front();
        }
    }

    /// Drops tokens that expired, except those bound to an open path.
    fn forget_expired(&mut self, now: SystemTime) {
        let paths = &self.paths;
        let open = |p: &StreamPath| paths.get(p).is_some_and(|e| e.record.state != PathState::Ended);
        self.tokens.retain(|_, t| t.expires_at > now || t.bound.as_ref().is_some_and(open));
        let tokens = &self.tokens;
        self.bound.retain(|_, ids| {
            ids.retain(|id| tokens.contains_key(id));
            !ids.is_empty()
        });
    }
}
