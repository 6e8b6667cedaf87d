use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, UNIX_EPOCH},
};

use super::*;
use crate::{
    PathState, TokenGrant,
    conformance::{self, request},
};

/// A clock that stands until it is set, in unix milliseconds.
#[derive(Clone)]
struct Hand(Arc<AtomicU64>);

impl Hand {
    fn at(millis: u64) -> Self {
        Self(Arc::new(AtomicU64::new(millis)))
    }

    fn set(&self, millis: u64) {
        self.0.store(millis, Ordering::SeqCst);
    }

    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn clock(&self) -> Clock {
        let hand = self.clone();
        Arc::new(move || hand.now())
    }

    fn registry(&self, dir: Option<&Path>) -> MemoryRegistry {
        MemoryRegistry::with_clock(dir, self.clock()).unwrap()
    }
}

const START: u64 = 1_800_000_000_250;

fn path(s: &str) -> StreamPath {
    StreamPath::parse(s).unwrap()
}

fn token(hand: &Hand, id: u128, seconds: u64) -> TokenGrant {
    TokenGrant { id: TokenId(id), expires_at: hand.now() + Duration::from_secs(seconds), expired: false }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_conformance_suite_passes() {
    conformance::all(Arc::new(MemoryRegistry::open(None).unwrap())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_conformance_suite_passes_with_a_journal() {
    let dir = tempfile::tempdir().unwrap();
    conformance::all(Arc::new(MemoryRegistry::open(Some(dir.path())).unwrap())).await;
}

/// Contract "When a stream ends": epoch = max(known + 1, unix milliseconds); first MSN = unix seconds. 0007: first
/// discontinuity sequence = hours since 2026.
#[tokio::test]
async fn epochs_follow_the_clock_and_never_repeat() {
    let hand = Hand::at(START);
    let r = hand.registry(None);
    let p = path("live/a");
    let first = r.claim(request(&p, None)).await.unwrap();
    assert_eq!((first.epoch, first.start.msn, first.start.dseq), (Epoch(START), START / 1000, 9104));
    r.release(&p, first.epoch).await.unwrap();
    assert_eq!(r.claim(request(&p, None)).await.unwrap().epoch, Epoch(START + 1));
    r.release(&p, Epoch(START + 1)).await.unwrap();
    hand.set(START - 5_000_000);
    assert_eq!(r.claim(request(&p, None)).await.unwrap().epoch, Epoch(START + 2));
    r.release(&p, Epoch(START + 2)).await.unwrap();
    hand.set(START + 9_000);
    assert_eq!(r.claim(request(&p, None)).await.unwrap().epoch, Epoch(START + 9_000));
}

#[tokio::test]
async fn ended_paths_are_forgotten_and_their_numbers_stay_safe() {
    let hand = Hand::at(START);
    let r = hand.registry(None);
    let p = path("live/a");
    let first = r.claim(request(&p, None)).await.unwrap();
    let far =
        Checkpoint { msn: first.start.msn + 500_000, dseq: first.start.dseq + 9, target_duration: Some(3) };
    r.checkpoint(&p, first.epoch, far).await.unwrap();
    r.end(&p, first.epoch).await.unwrap();
    hand.set(START + 25 * 3_600_000);
    let other = r.claim(request(&path("live/b"), None)).await.unwrap();
    assert_eq!(r.look_up(&p).await.unwrap(), None);
    assert!(other.epoch > first.epoch);
    // Even with a clock set back, nothing is used twice.
    hand.set(START - 1000);
    let again = r.claim(request(&p, None)).await.unwrap();
    assert!(again.epoch > first.epoch && again.start.msn > far.msn && again.start.dseq > far.dseq);
    assert!(!again.start.continues && again.start.target_duration.is_none());
}

#[tokio::test]
async fn ended_paths_are_bounded_by_number_too() {
    let hand = Hand::at(START);
    let r = hand.registry(None);
    for i in 0..10_050 {
        let p = path(&format!("live/{i}"));
        let claim = r.claim(request(&p, None)).await.unwrap();
        r.end(&p, claim.epoch).await.unwrap();
    }
    assert_eq!(r.health().await.paths, 10_000);
}

#[tokio::test]
async fn a_broadcast_outlives_its_token() {
    let hand = Hand::at(START);
    let r = hand.registry(None);
    let (p, t) = (path("live/a"), token(&hand, 1, 10));
    let first = r.claim(request(&p, Some(t))).await.unwrap();
    hand.set(START + 3_600_000);
    r.release(&p, first.epoch).await.unwrap();
    // The id has expired, and other tokens come and go; the binding holds while the path is open.
    r.claim(request(&path("live/b"), Some(token(&hand, 2, 10)))).await.unwrap();
    let late = TokenGrant { expired: true, ..t };
    let second = r.claim(request(&p, Some(late))).await.unwrap();
    assert!(second.start.continues);
    r.end(&p, second.epoch).await.unwrap();
    assert_eq!(r.claim(request(&p, Some(late))).await, Err(ClaimError::TokenSpent));
}

#[tokio::test]
async fn spent_and_bound_ids_survive_a_restart_until_they_expire() {
    let dir = tempfile::tempdir().unwrap();
    let hand = Hand::at(START);
    let (p, q) = (path("live/a"), path("live/b"));
    let (spent, bound, revoked, short) =
        (token(&hand, 1, 3600), token(&hand, 2, 3600), token(&hand, 3, 3600), token(&hand, 4, 60));
    {
        let r = hand.registry(Some(dir.path()));
        let claim = r.claim(request(&p, Some(spent))).await.unwrap();
        r.end(&p, claim.epoch).await.unwrap();
        r.claim(request(&q, Some(bound))).await.unwrap();
        r.revoke(revoked.id, revoked.expires_at).await.unwrap();
        r.revoke(short.id, short.expires_at).await.unwrap();
    }
    hand.set(START + 120_000);
    let r = hand.registry(Some(dir.path()));
    assert_eq!(r.claim(request(&p, Some(spent))).await, Err(ClaimError::TokenSpent));
    assert_eq!(r.claim(request(&p, Some(revoked))).await, Err(ClaimError::TokenSpent));
    // Its broadcast had not ended, so its own path takes it back, and no other.
    assert_eq!(r.claim(request(&p, Some(bound))).await, Err(ClaimError::TokenBoundElsewhere));
    let claim = r.claim(request(&q, Some(bound))).await.unwrap();
    assert_eq!(r.health().await.tokens, 3, "the short one has expired and is forgotten");
    r.end(&q, claim.epoch).await.unwrap();
    drop(r);
    let r = hand.registry(Some(dir.path()));
    assert_eq!(r.claim(request(&q, Some(bound))).await, Err(ClaimError::TokenSpent));
    drop(r);
    hand.set(START + 3_700_000);
    let r = hand.registry(Some(dir.path()));
    assert_eq!(r.health().await.tokens, 0);
    assert_eq!(r.claim(request(&p, Some(spent))).await, Err(ClaimError::TokenExpired));
}

#[tokio::test]
async fn a_torn_journal_is_read_as_far_as_it_goes() {
    let dir = tempfile::tempdir().unwrap();
    let hand = Hand::at(START);
    let (p, t) = (path("live/a"), token(&hand, 5, 3600));
    {
        let r = hand.registry(Some(dir.path()));
        let claim = r.claim(request(&p, Some(t))).await.unwrap();
        r.end(&p, claim.epoch).await.unwrap();
    }
    let file = dir.path().join("tokens");
    let mut f = fs::OpenOptions::new().append(true).open(&file).unwrap();
    f.write_all(
        b"\xff\xfe garbage\n\n{\"id\":\"zz\",\"exp\":1}\n{\"id\":\"6\",\"exp\":18446744073709551615}\n",
    )
    .unwrap();
    // Neither of these is a number that a node came to.
    f.write_all(b"{\"dseq\":-1}\n{\"dseq\":18446744073709551615}\n{\"later\":\"version\"}\n").unwrap();
    f.write_all(b"{\"id\":\"5\",\"exp\":99999").unwrap();
    drop(f);
    let r = hand.registry(Some(dir.path()));
    assert_eq!(r.claim(request(&p, Some(t))).await, Err(ClaimError::TokenSpent));
    // Written anew at the start, without what could not be read.
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.starts_with("{\"dseq\":9104}\n{\"id\":"), "{text}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

/// One run: publishes `paths`, each with `reconnects` discontinuities, and ends without ending them. Returns the
/// first and the last discontinuity sequence used.
async fn run(r: &MemoryRegistry, paths: &[&str], reconnects: u64) -> (u64, u64) {
    let (mut first, mut last) = (u64::MAX, 0);
    for name in paths {
        let p = path(name);
        let Claim { epoch, start, .. } = r.claim(request(&p, None)).await.unwrap();
        for n in 0..=reconnects {
            let at = Checkpoint { msn: start.msn + n, dseq: start.dseq + n, target_duration: None };
            r.checkpoint(&p, epoch, at).await.unwrap();
        }
        first = first.min(start.dseq);
        last = last.max(start.dseq + reconnects);
    }
    (first, last)
}

/// 0007: as long as the state directory lives, no discontinuity sequence is used twice on a path.
#[tokio::test]
async fn discontinuity_sequences_rise_over_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let hand = Hand::at(START);
    let mut last = 0;
    // The clock stands still, goes back an hour, goes back before 2026, comes back.
    for clock in [START, START, START - 3_600_000, 1_000, START] {
        hand.set(clock);
        let (first, end) = run(&hand.registry(Some(dir.path())), &["live/a", "live/b"], 5).await;
        assert!(first > last, "{first} after {last}");
        last = end;
    }
    assert_eq!(last, 9104 + 5 * 12 - 1, "and no faster than they are used");
    // Later on the hours are ahead again.
    hand.set(START + 1_000 * 3_600_000);
    assert_eq!(run(&hand.registry(Some(dir.path())), &["live/a"], 0).await.0, 10_104);
}

/// kill -9: no destructor runs, only what was handed to the kernel stays.
#[tokio::test]
async fn discontinuity_sequences_rise_over_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let hand = Hand::at(START);
    let killed = hand.registry(Some(dir.path()));
    let (_, last) = run(&killed, &["live/a"], 7).await;
    // The thread of the journal writes without being asked; a process has that long before anything kills it.
    let written = format!("{{\"dseq\":{last}}}\n");
    while !fs::read_to_string(dir.path().join("tokens")).unwrap().ends_with(&written) {
        tokio::task::yield_now().await;
    }
    // A line that the kill tore.
    let mut f = fs::OpenOptions::new().append(true).open(dir.path().join("tokens")).unwrap();
    f.write_all(b"{\"dseq\":91").unwrap();
    std::mem::forget(killed);
    let (first, _) = run(&hand.registry(Some(dir.path())), &["live/a"], 0).await;
    assert_eq!(first, last + 1);
}

/// Without a state directory the hours bound what can come again; they do not rule it out within one.
#[tokio::test]
async fn a_lost_state_directory_goes_back_to_the_hour_at_most() {
    let hand = Hand::at(START);
    let (first, last) = run(&hand.registry(None), &["live/a"], 1).await;
    assert_eq!((first, last), (9104, 9105));
    hand.set(START + 2 * 3_600_000);
    assert_eq!(run(&hand.registry(None), &["live/a"], 1).await.0, last + 1);
}

/// 0007: players keep arrays indexed by the discontinuity sequence; at 1e6 a copy takes tens of milliseconds.
#[tokio::test]
async fn discontinuity_sequences_stay_below_a_million_for_a_year_of_normal_use() {
    let hand = Hand::at(START);
    let r = hand.registry(None);
    let mut highest = 0;
    for hour in 0..8_760 {
        hand.set(START + hour * 3_600_000);
        // Ten broadcasts an hour, each at a path of its own and with three reconnects.
        for n in 0..10 {
            let name = format!("live/{hour}-{n}");
            highest = highest.max(run(&r, &[&name], 3).await.1);
            let p = path(&name);
            let epoch = r.look_up(&p).await.unwrap().unwrap().epoch;
            r.end(&p, epoch).await.unwrap();
        }
    }
    assert!((9104 + 8_759..1_000_000).contains(&highest), "{highest}");
}

#[tokio::test]
async fn the_journal_is_compacted() {
    let dir = tempfile::tempdir().unwrap();
    let hand = Hand::at(START);
    let (p, t) = (path("live/a"), token(&hand, 1, 3600));
    let r = hand.registry(Some(dir.path()));
    for _ in 0..20_000 {
        let claim = r.claim(request(&p, Some(t))).await.unwrap();
        r.release(&p, claim.epoch).await.unwrap();
    }
    drop(r);
    let lines = fs::read_to_string(dir.path().join("tokens")).unwrap().lines().count();
    assert!((2..=4098).contains(&lines), "{lines} lines for one token and one number");
}

#[tokio::test]
async fn claims_go_on_while_the_state_directory_fails_and_it_shows() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let hand = Hand::at(START);
    let r = hand.registry(Some(&state));
    assert_eq!(r.health().await.problem, None);
    // The folder makes place for a file: neither appending nor writing anew can work. (Root passes permissions.)
    fs::remove_dir_all(&state).unwrap();
    fs::write(&state, "in the way").unwrap();
    for i in 0..6_000 {
        let p = path(&format!("live/{i}"));
        r.claim(request(&p, Some(token(&hand, i, 3600)))).await.unwrap();
    }
    // The append of some thousand lines to the unlinked file is followed by one that is written anew.
    let problem = loop {
        match r.health().await.problem {
            Some(p) => break p,
            None => tokio::task::yield_now().await,
        }
    };
    assert!(problem.contains("state directory"), "{problem}");
    assert_eq!(r.list().await.unwrap().len(), 6_000);
    fs::remove_file(&state).unwrap();
    fs::create_dir(&state).unwrap();
    drop(r);
    let r = hand.registry(Some(&state));
    assert_eq!(r.health().await.tokens, 6_000, "nothing was lost");
    assert_eq!(r.list().await.unwrap().iter().filter(|e| e.state == PathState::Live).count(), 0);
}

#[test]
fn an_unusable_state_directory_is_an_error_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(MemoryRegistry::open(Some(&file)).is_err());
}

// Contract "Tokens": a refused publish burns nothing, over a restart either.
#[tokio::test]
async fn a_publish_that_is_refused_after_its_claim_burns_nothing() {
    let (hand, dir) = (Hand::at(START), tempfile::tempdir().unwrap());
    let grant = token(&hand, 7, 3600);
    {
        let r = hand.registry(Some(dir.path()));
        let claim = r.claim(request(&path("live/a"), Some(grant))).await.unwrap();
        r.abandon(&path("live/a"), claim.epoch).await.unwrap();
        // The lane hears of it later and ends what is over already.
        r.end(&path("live/a"), claim.epoch).await.unwrap();
        let again = r.claim(request(&path("live/a"), Some(grant))).await.unwrap();
        assert!(again.epoch > claim.epoch && !again.start.continues);
        r.abandon(&path("live/a"), again.epoch).await.unwrap();
        assert_eq!(r.abandon(&path("live/a"), claim.epoch).await, Err(Lost::Fenced(again.epoch)));
    }
    let r = hand.registry(Some(dir.path()));
    assert!(r.claim(request(&path("live/b"), Some(grant))).await.is_ok(), "it is bound to nothing");
}

// The second publisher of a broadcast is refused: the broadcast goes on, and its tokens end with it.
#[tokio::test]
async fn a_refusal_within_a_broadcast_ends_nothing() {
    let hand = Hand::at(START);
    let r = hand.registry(None);
    let grant = token(&hand, 7, 3600);
    let first = r.claim(request(&path("live/a"), Some(grant))).await.unwrap();
    let at = Checkpoint { msn: first.start.msn, dseq: first.start.dseq, target_duration: None };
    r.checkpoint(&path("live/a"), first.epoch, at).await.unwrap();
    r.release(&path("live/a"), first.epoch).await.unwrap();
    let second = r.claim(request(&path("live/a"), Some(grant))).await.unwrap();
    r.abandon(&path("live/a"), second.epoch).await.unwrap();
    assert_eq!(r.look_up(&path("live/a")).await.unwrap().unwrap().state, PathState::Gap);
    r.end(&path("live/a"), second.epoch).await.unwrap();
    assert_eq!(r.claim(request(&path("live/a"), Some(grant))).await.unwrap_err(), ClaimError::TokenSpent);
}

#[tokio::test]
async fn a_token_revoked_before_the_refusal_stays_spent() {
    let hand = Hand::at(START);
    let r = hand.registry(None);
    let grant = token(&hand, 7, 3600);
    let claim = r.claim(request(&path("live/a"), Some(grant))).await.unwrap();
    r.revoke(grant.id, grant.expires_at).await.unwrap();
    r.abandon(&path("live/a"), claim.epoch).await.unwrap();
    assert_eq!(r.claim(request(&path("live/a"), Some(grant))).await.unwrap_err(), ClaimError::TokenSpent);
}
