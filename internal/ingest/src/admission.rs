//! Who may publish: path, credentials, limits, claim (contract "Tokens").

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use auth::Grant;
use live::{Directory, PublishError, Publisher, Stream};
use media::{Epoch, StreamPath};
use parking_lot::Mutex;
use registry::{Claim, ClaimError, ClaimRequest, Holder, StreamRegistry, TokenGrant, TokenId};
use rtmp::{PublishRequest, Refusal};

use crate::{
    IngestOptions, Takeover,
    running::{Place, Running},
};

/// A publisher that sent nothing for this long may be replaced.
const SILENT: Duration = Duration::from_secs(2);
/// A claim younger than this is not taken over while it sends.
const YOUNG: Duration = Duration::from_secs(10);

/// What decides on publishes.
pub(crate) struct Admission {
    pub(crate) directory: Directory,
    pub(crate) registry: Arc<dyn StreamRegistry>,
    pub(crate) policy: Arc<auth::Policy>,
    pub(crate) running: Running,
}

/// A publisher that may send.
pub(crate) struct Admitted {
    pub(crate) publisher: Publisher,
    pub(crate) stream: Stream,
    pub(crate) place: Place,
}

/// One that may not. The text is for its user, and holds nothing secret.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) refusal: Refusal,
    pub(crate) text: String,
}

/// The claim that a connection must give back, whatever happens to it.
#[derive(Clone, Default)]
pub(crate) struct Held(Arc<Mutex<Option<HeldClaim>>>);

struct HeldClaim {
    path: StreamPath,
    epoch: Epoch,
    refused: bool,
}

impl Held {
    fn set(&self, claim: &Claim) {
        let (path, epoch) = (claim.path.clone(), claim.epoch);
        *self.0.lock() = Some(HeldClaim { path, epoch, refused: false });
    }

    /// The publish is refused though it was claimed, before anything came of it: its token is not used up.
    pub(crate) fn refuse(&self) {
        if let Some(held) = &mut *self.0.lock() {
            held.refused = true;
        }
    }

    /// Tells the registry that the publisher is gone. A claim that was lost meanwhile is no error.
    pub(crate) async fn release(&self, registry: &dyn StreamRegistry) {
        let held = self.0.lock().take();
        let Some(HeldClaim { path, epoch, refused }) = held else { return };
        let done =
            if refused { registry.abandon(&path, epoch).await } else { registry.release(&path, epoch).await };
        if let Err(registry::Lost::Unavailable(e)) = done {
            tracing::warn!(%path, %epoch, error = %e, "the claim could not be released");
        }
    }
}

fn refused<T>(refusal: Refusal, text: &(impl ToString + ?Sized)) -> Result<T, Refused> {
    Err(Refused { refusal, text: text.to_string() })
}

impl Admission {
    /// Decides on a publish and makes its stream. Waits for registry and packager; `held` is set once the
    /// path is claimed, so that a task that ends in between can be cleaned up after.
    pub(crate) async fn admit(
        &self,
        o: &IngestOptions,
        request: &PublishRequest,
        held: &Held,
    ) -> Result<Admitted, Refused> {
        let path = match &request.path {
            Ok(path) => path,
            Err(e) => return refused(Refusal::BadName, e),
        };
        let allowed = self.policy.publish(path, &request.credentials, SystemTime::now());
        let grant = match allowed {
            Ok(publish) => publish.grant.map(token_grant),
            Err(e) => return refused(Refusal::Unauthorized, &e),
        };
        let Some(mut place) = self.running.enter(path) else {
            return refused(Refusal::Rejected, &PublishError::Full);
        };
        let claim = self.claim(o, path, grant).await?;
        held.set(&claim);
        let (publisher, stream) = live::stream(path.clone(), claim.epoch, o.stream);
        match self.directory.publish(stream.clone()).await {
            Ok(()) => {
                place.decided();
                Ok(Admitted { publisher, stream, place })
            }
            Err(e @ PublishError::Fenced) => refused(Refusal::BadName, &e),
            Err(e) => refused(Refusal::Rejected, &e),
        }
    }

    /// Claims the path; a holder is looked at, and evicted if the contract allows. Then one more try, so of
    /// many that evict the same holder one wins.
    async fn claim(
        &self,
        o: &IngestOptions,
        path: &StreamPath,
        grant: Option<TokenGrant>,
    ) -> Result<Claim, Refused> {
        let mut request = ClaimRequest { path: path.clone(), node: o.node.clone(), grant, evict: None };
        let holder = match self.registry.claim(request.clone()).await {
            Ok(claim) => return Ok(claim),
            Err(ClaimError::Held(holder)) => holder,
            Err(e) => return refuse_claim(&e),
        };
        let seen = self.probe(o, path, &holder);
        if let Err(text) = may_evict(*o.takeover.of(path), holder.same_token, &seen) {
            return refused(Refusal::BadName, text);
        }
        request.evict = Some(holder.epoch);
        self.registry.claim(request).await.or_else(|e| refuse_claim(&e))
    }

    /// Looks at the publisher that holds a path.
    fn probe(&self, o: &IngestOptions, path: &StreamPath, holder: &Holder) -> Seen {
        let age = SystemTime::now().duration_since(holder.claimed_at).unwrap_or_default();
        if holder.node != o.node {
            // Nodes are asked by the relay, which this version does not have: believe the registry.
            return Seen::Open { age, silent_for: Duration::ZERO, has_sent: true };
        }
        // In this order: who is done deciding is in the directory.
        let deciding = self.running.others_deciding(path);
        match self.directory.stream(path).filter(|s| s.epoch() == holder.epoch) {
            Some(stream) => {
                let stats = stream.stats();
                let has_sent = stats.video_frames + stats.audio_frames > 0;
                Seen::Open { age, silent_for: stream.idle_for(), has_sent }
            }
            None if deciding && age < SILENT => Seen::Open { age, silent_for: age, has_sent: false },
            None => Seen::Closed,
        }
    }
}

/// The present holder of a path.
#[derive(Clone, Copy, Debug)]
enum Seen {
    Closed,
    Open {
        /// Of the claim.
        age: Duration,
        /// Since the last frame, or since the publish began.
        silent_for: Duration,
        has_sent: bool,
    },
}

/// Contract "Tokens": the same token again only after silence; another one by policy.
fn may_evict(policy: Takeover, same_token: bool, seen: &Seen) -> Result<(), &'static str> {
    let Seen::Open { age, silent_for, has_sent } = *seen else { return Ok(()) };
    let sending = silent_for < SILENT;
    match policy {
        _ if same_token && sending => Err("this token is publishing here already"),
        _ if same_token => Ok(()),
        Takeover::Reject => Err("somebody is publishing here already"),
        Takeover::Takeover if age < YOUNG && has_sent && sending => {
            Err("somebody has just begun to publish here; try again in 10 seconds")
        }
        Takeover::Takeover => Ok(()),
    }
}

fn refuse_claim<T>(e: &ClaimError) -> Result<T, Refused> {
    let refusal = match e {
        ClaimError::Held(_) => Refusal::BadName,
        ClaimError::TokenSpent | ClaimError::TokenExpired | ClaimError::TokenBoundElsewhere => {
            Refusal::Unauthorized
        }
        ClaimError::Unavailable(_) => Refusal::Rejected,
    };
    refused(refusal, e)
}

fn token_grant(g: Grant) -> TokenGrant {
    TokenGrant { id: TokenId(g.id.as_u128()), expires_at: g.expires_at, expired: g.expired }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(age: u64, silent: u64, has_sent: bool) -> Seen {
        let s = Duration::from_secs;
        Seen::Open { age: s(age), silent_for: s(silent), has_sent }
    }

    // Contract "Tokens", first point.
    #[test]
    fn the_same_token_may_come_back_after_a_drop_or_two_silent_seconds() {
        for policy in [Takeover::Takeover, Takeover::Reject] {
            assert!(may_evict(policy, true, &Seen::Closed).is_ok());
            assert!(may_evict(policy, true, &open(60, 2, true)).is_ok());
            assert!(may_evict(policy, true, &open(60, 1, true)).is_err());
            assert!(may_evict(policy, true, &open(1, 1, false)).is_err());
        }
    }

    // Contract "Tokens", second point.
    #[test]
    fn another_token_takes_over_unless_the_claim_is_young_and_sends() {
        let may = |seen| may_evict(Takeover::Takeover, false, &seen).is_ok();
        assert!(may(Seen::Closed));
        assert!(!may(open(9, 1, true)));
        assert!(may(open(10, 1, true)));
        assert!(may(open(9, 2, true)));
        assert!(may(open(1, 1, false)));
    }

    #[test]
    fn the_policy_reject_keeps_whoever_is_connected() {
        let may = |seen| may_evict(Takeover::Reject, false, &seen).is_ok();
        assert!(may(Seen::Closed));
        assert!(!may(open(3600, 9, true)));
    }
}
