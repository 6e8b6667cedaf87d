//! What every registry must do, whatever it is made of. Needs no clock but the real one and no empty registry: each
//! case has paths and tokens of its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use media::{Epoch, StreamPath};

use crate::{
    Checkpoint, Claim, ClaimError, ClaimRequest, Holder, Lost, NodeId, PathState, StreamRegistry, TokenGrant,
    TokenId, first_numbers,
};

/// A registry under test.
pub(crate) type Registry = Arc<dyn StreamRegistry>;

/// Runs the whole suite.
pub(crate) async fn all(r: Registry) {
    first_numbers_are_the_clock(&r).await;
    an_unknown_path_starts_above_every_discontinuity_sequence(&r).await;
    a_held_path_is_refused_and_evicted_by_compare_and_set(&r).await;
    a_released_path_goes_on(&r).await;
    an_ended_path_begins_anew_and_higher(&r).await;
    numbers_never_go_back(&r).await;
    stale_owners_are_fenced(&r).await;
    a_token_is_bound_until_the_end(&r).await;
    a_refused_claim_burns_nothing(&r).await;
    an_expired_token_carries_only_its_own_live_path(&r).await;
    a_token_of_another_path_is_refused(&r).await;
    a_revoked_token_is_spent_and_names_its_stream(&r).await;
    lists_show_open_paths_in_order(&r).await;
    of_1000_racing_claims_one_wins(&r).await;
    of_100_racing_uses_of_a_token_one_wins(&r).await;
    racing_evictions_have_one_winner(&r).await;
}

/// Fresh names, so that cases do not meet.
fn fresh(case: &str) -> StreamPath {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!("{case}/{}", NEXT.fetch_add(1, Ordering::Relaxed));
    StreamPath::parse(&name).expect("letters, digits and one slash")
}

pub(crate) fn grant_until(expires_at: SystemTime) -> TokenGrant {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let id = TokenId(u128::from(NEXT.fetch_add(1, Ordering::Relaxed)) | 7 << 100);
    TokenGrant { id, expires_at, expired: false }
}

fn grant() -> TokenGrant {
    grant_until(SystemTime::now() + Duration::from_secs(3600))
}

pub(crate) fn request(path: &StreamPath, grant: Option<TokenGrant>) -> ClaimRequest {
    ClaimRequest { path: path.clone(), node: NodeId::new("node-a"), grant, evict: None }
}

async fn claim(r: &Registry, path: &StreamPath, grant: Option<TokenGrant>) -> Result<Claim, ClaimError> {
    r.claim(request(path, grant)).await
}

async fn evict(
    r: &Registry,
    path: &StreamPath,
    grant: Option<TokenGrant>,
    e: Epoch,
) -> Result<Claim, ClaimError> {
    r.claim(ClaimRequest { evict: Some(e), ..request(path, grant) }).await
}

fn held(result: Result<Claim, ClaimError>) -> Holder {
    match result {
        Err(ClaimError::Held(holder)) => holder,
        other => panic!("not held: {other:?}"),
    }
}

fn at(msn: u64, dseq: u64, target_duration: Option<u32>) -> Checkpoint {
    Checkpoint { msn, dseq, target_duration }
}

async fn first_numbers_are_the_clock(r: &Registry) {
    let hours = first_numbers(SystemTime::now()).1;
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let claim = claim(r, &fresh("first"), None).await.unwrap();
    let after = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    assert!((before.as_millis()..=after.as_millis()).contains(&u128::from(claim.epoch.0)));
    assert!((before.as_secs()..=after.as_secs()).contains(&claim.start.msn));
    assert!(claim.start.dseq >= hours, "at least the hours; more where others have been here before");
    assert_eq!((claim.start.target_duration, claim.start.continues), (None, false));
}

/// 0007: a path that the registry has forgotten, or that it had before it was started again, may be any of those that
/// it does not know.
async fn an_unknown_path_starts_above_every_discontinuity_sequence(r: &Registry) {
    let (a, b) = (fresh("dseq"), fresh("dseq"));
    let first = claim(r, &a, None).await.unwrap();
    let second = claim(r, &b, None).await.unwrap();
    assert!(second.start.dseq > first.start.dseq, "started is enough");
    let far = first.start.dseq + 40;
    r.checkpoint(&a, first.epoch, at(first.start.msn, far, None)).await.unwrap();
    // What is behind does not lower it, and what was refused does not raise it.
    r.checkpoint(&b, second.epoch, at(second.start.msn, second.start.dseq, None)).await.unwrap();
    let stale = r.checkpoint(&b, Epoch(1), at(second.start.msn, far + 900_000, None)).await;
    assert_eq!(stale, Err(Lost::Fenced(second.epoch)));
    let third = claim(r, &fresh("dseq"), None).await.unwrap();
    assert_eq!(third.start.dseq, far + 1);
    // A path that is known goes on from itself.
    r.release(&b, second.epoch).await.unwrap();
    assert_eq!(claim(r, &b, None).await.unwrap().start.dseq, second.start.dseq + 1);
}

async fn a_held_path_is_refused_and_evicted_by_compare_and_set(r: &Registry) {
    let path = fresh("held");
    let (a, b) = (grant(), grant());
    let first = claim(r, &path, Some(a)).await.unwrap();
    let holder = held(claim(r, &path, Some(b)).await);
    assert_eq!((holder.epoch, holder.node.as_str(), holder.same_token), (first.epoch, "node-a", false));
    assert!(held(claim(r, &path, Some(a)).await).same_token);
    assert!(!held(claim(r, &path, None).await).same_token);

    held(evict(r, &path, Some(b), Epoch(first.epoch.0 - 1)).await);
    let second = evict(r, &path, Some(b), first.epoch).await.unwrap();
    assert!(second.epoch > first.epoch && second.start.continues);
    // Who named the first holder comes too late for the second.
    assert_eq!(held(evict(r, &path, Some(a), first.epoch).await).epoch, second.epoch);
}

async fn a_released_path_goes_on(r: &Registry) {
    let path = fresh("released");
    let first = claim(r, &path, None).await.unwrap();
    r.checkpoint(&path, first.epoch, at(first.start.msn + 4, first.start.dseq + 1, Some(3))).await.unwrap();
    r.release(&path, first.epoch).await.unwrap();
    r.release(&path, first.epoch).await.unwrap();
    assert_eq!(r.look_up(&path).await.unwrap().unwrap().state, PathState::Gap);
    let second = claim(r, &path, None).await.unwrap();
    assert!(second.epoch > first.epoch && second.start.continues);
    assert_eq!(second.start.msn, first.start.msn + 5);
    assert_eq!(second.start.dseq, first.start.dseq + 2);
    assert_eq!(second.start.target_duration, Some(3));
}

async fn an_ended_path_begins_anew_and_higher(r: &Registry) {
    let path = fresh("ended");
    let first = claim(r, &path, None).await.unwrap();
    r.checkpoint(&path, first.epoch, at(first.start.msn, first.start.dseq, Some(2))).await.unwrap();
    r.end(&path, first.epoch).await.unwrap();
    r.end(&path, first.epoch).await.unwrap();
    // The publisher's connection may notice later than the playlist ended.
    r.release(&path, first.epoch).await.unwrap();
    assert_eq!(r.look_up(&path).await.unwrap().unwrap().state, PathState::Ended);
    let late = r.checkpoint(&path, first.epoch, at(first.start.msn + 1, 0, None)).await;
    assert_eq!(late, Err(Lost::Fenced(first.epoch)));
    let second = claim(r, &path, None).await.unwrap();
    assert!(second.epoch > first.epoch && !second.start.continues);
    assert_eq!(second.start.msn, first.start.msn + 1);
    assert_eq!(second.start.target_duration, Some(2));
}

async fn numbers_never_go_back(r: &Registry) {
    let path = fresh("numbers");
    let first = claim(r, &path, None).await.unwrap();
    let s = first.start;
    r.checkpoint(&path, first.epoch, at(s.msn + 9, s.dseq + 3, Some(4))).await.unwrap();
    r.checkpoint(&path, first.epoch, at(s.msn + 2, s.dseq, None)).await.unwrap();
    let record = r.look_up(&path).await.unwrap().unwrap();
    assert_eq!(record.checkpoint, Some(at(s.msn + 9, s.dseq + 3, Some(4))));
    assert_eq!(record.start, s);
    // A claim that opened no segment at all leaves the numbers where they were.
    r.release(&path, first.epoch).await.unwrap();
    let second = claim(r, &path, None).await.unwrap();
    r.release(&path, second.epoch).await.unwrap();
    let third = claim(r, &path, None).await.unwrap();
    assert!(third.start.msn > s.msn + 9 && third.start.msn >= second.start.msn);
    assert!(third.start.dseq > s.dseq + 3 && third.start.dseq >= second.start.dseq);
}

async fn stale_owners_are_fenced(r: &Registry) {
    let path = fresh("fenced");
    assert_eq!(r.checkpoint(&path, Epoch(1), at(1, 1, None)).await, Err(Lost::Missing));
    assert_eq!(r.end(&path, Epoch(1)).await, Err(Lost::Missing));
    let first = claim(r, &path, None).await.unwrap();
    let second = evict(r, &path, None, first.epoch).await.unwrap();
    let fenced = Err(Lost::Fenced(second.epoch));
    assert_eq!(r.checkpoint(&path, first.epoch, at(u64::MAX - 1, 1, None)).await, fenced);
    assert_eq!(r.release(&path, first.epoch).await, fenced);
    assert_eq!(r.end(&path, first.epoch).await, fenced);
    let record = r.look_up(&path).await.unwrap().unwrap();
    assert_eq!((record.epoch, record.state, record.checkpoint), (second.epoch, PathState::Live, None));
}

async fn a_token_is_bound_until_the_end(r: &Registry) {
    let path = fresh("bound");
    let (a, b) = (grant(), grant());
    let first = claim(r, &path, Some(a)).await.unwrap();
    r.release(&path, first.epoch).await.unwrap();
    let second = claim(r, &path, Some(a)).await.unwrap();
    let third = evict(r, &path, Some(b), second.epoch).await.unwrap();
    r.end(&path, third.epoch).await.unwrap();
    assert_eq!(claim(r, &path, Some(a)).await, Err(ClaimError::TokenSpent));
    assert_eq!(claim(r, &path, Some(b)).await, Err(ClaimError::TokenSpent));
    assert!(claim(r, &path, Some(grant())).await.is_ok());
}

async fn a_refused_claim_burns_nothing(r: &Registry) {
    let (held_path, path) = (fresh("burn"), fresh("burn"));
    let first = claim(r, &held_path, None).await.unwrap();
    let token = grant();
    held(claim(r, &held_path, Some(token)).await);
    // Not bound to the path that refused it, nor spent with it.
    r.end(&held_path, first.epoch).await.unwrap();
    let second = claim(r, &path, Some(token)).await.unwrap();
    assert_eq!(second.path, path);
}

async fn an_expired_token_carries_only_its_own_live_path(r: &Registry) {
    let path = fresh("expired");
    let token = grant();
    let late = TokenGrant { expired: true, ..token };
    assert_eq!(claim(r, &path, Some(late)).await, Err(ClaimError::TokenExpired));
    let past = grant_until(SystemTime::now() - Duration::from_secs(1));
    assert_eq!(claim(r, &path, Some(past)).await, Err(ClaimError::TokenExpired));

    let first = claim(r, &path, Some(token)).await.unwrap();
    assert!(held(claim(r, &path, Some(late)).await).same_token);
    r.release(&path, first.epoch).await.unwrap();
    let second = claim(r, &path, Some(late)).await.unwrap();
    r.end(&path, second.epoch).await.unwrap();
    assert_eq!(claim(r, &path, Some(late)).await, Err(ClaimError::TokenSpent));
}

async fn a_token_of_another_path_is_refused(r: &Registry) {
    let token = grant();
    let first = claim(r, &fresh("elsewhere"), Some(token)).await.unwrap();
    let other = fresh("elsewhere");
    assert_eq!(claim(r, &other, Some(token)).await, Err(ClaimError::TokenBoundElsewhere));
    assert_eq!(r.look_up(&other).await.unwrap(), None);
    r.end(&first.path, first.epoch).await.unwrap();
    assert_eq!(claim(r, &other, Some(token)).await, Err(ClaimError::TokenSpent));
}

async fn a_revoked_token_is_spent_and_names_its_stream(r: &Registry) {
    let path = fresh("revoked");
    let (a, b, unused) = (grant(), grant(), grant());
    assert_eq!(r.revoke(unused.id, unused.expires_at).await, Ok(None));
    assert_eq!(claim(r, &path, Some(unused)).await, Err(ClaimError::TokenSpent));

    let first = claim(r, &path, Some(a)).await.unwrap();
    assert_eq!(r.revoke(a.id, a.expires_at).await, Ok(Some((path.clone(), first.epoch))));
    let second = evict(r, &path, Some(b), first.epoch).await.unwrap();
    // Revoked again: the stream is another token's by now.
    assert_eq!(r.revoke(a.id, a.expires_at).await, Ok(None));
    r.release(&path, second.epoch).await.unwrap();
    assert_eq!(r.revoke(b.id, b.expires_at).await, Ok(Some((path.clone(), second.epoch))));
    assert_eq!(claim(r, &path, Some(b)).await, Err(ClaimError::TokenSpent));
}

async fn lists_show_open_paths_in_order(r: &Registry) {
    let paths = [fresh("list"), fresh("list"), fresh("list")];
    let mut epochs = Vec::new();
    for path in &paths {
        epochs.push(claim(r, path, None).await.unwrap().epoch);
    }
    r.release(&paths[0], epochs[0]).await.unwrap();
    r.end(&paths[1], epochs[1]).await.unwrap();
    let list = r.list().await.unwrap();
    let states: Vec<_> = list.iter().filter(|e| paths.contains(&e.path)).map(|e| e.state).collect();
    assert_eq!(states, [PathState::Gap, PathState::Live]);
    assert!(list.is_sorted_by_key(|e| &e.path));
    assert!(r.health().await.reachable);
}

/// Runs `n` claims at once and returns what came of them.
async fn race(
    r: &Registry,
    n: usize,
    make: impl Fn(usize) -> ClaimRequest,
) -> Vec<Result<Claim, ClaimError>> {
    let start = Arc::new(tokio::sync::Barrier::new(n));
    let tasks: Vec<_> = (0..n)
        .map(|i| {
            let (r, start, request) = (Arc::clone(r), Arc::clone(&start), make(i));
            tokio::spawn(async move {
                start.wait().await;
                r.claim(request).await
            })
        })
        .collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

fn one_winner(results: &[Result<Claim, ClaimError>]) -> Epoch {
    let winners: Vec<Epoch> = results.iter().flatten().map(|c| c.epoch).collect();
    assert_eq!(winners.len(), 1);
    let told = |r: &Result<Claim, ClaimError>| matches!(r, Err(ClaimError::Held(h)) if h.epoch == winners[0]);
    assert_eq!(results.iter().filter(|r| told(r)).count(), results.len() - 1);
    winners[0]
}

/// limits-and-faults 25: of claims at the same moment exactly one owns the path.
async fn of_1000_racing_claims_one_wins(r: &Registry) {
    let path = fresh("race");
    let winner = one_winner(&race(r, 1000, |_| request(&path, Some(grant()))).await);
    assert_eq!(r.look_up(&path).await.unwrap().unwrap().epoch, winner);
}

/// Contract "Tokens": of 100 parallel uses exactly one wins.
async fn of_100_racing_uses_of_a_token_one_wins(r: &Registry) {
    let (path, token) = (fresh("race"), grant());
    let results = race(r, 100, |_| request(&path, Some(token))).await;
    one_winner(&results);
    assert!(results.iter().all(|r| !matches!(r, Err(ClaimError::Held(h)) if !h.same_token)));
}

async fn racing_evictions_have_one_winner(r: &Registry) {
    let path = fresh("race");
    let first = claim(r, &path, None).await.unwrap();
    let evicting = || ClaimRequest { evict: Some(first.epoch), ..request(&path, Some(grant())) };
    let winner = one_winner(&race(r, 100, |_| evicting()).await);
    assert!(winner > first.epoch);
}
