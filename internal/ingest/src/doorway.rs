//! How many connections of one address may be there before they have shown that they may publish.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections of one address that may wait for a place: a socket each, and nothing else.
const MAX_WAITING: usize = 1024;

/// Places by address.
#[derive(Debug)]
pub(crate) struct Doorway {
    places: usize,
    doors: Mutex<HashMap<IpAddr, Door>>,
}

#[derive(Debug)]
struct Door {
    places: Arc<Semaphore>,
    /// Connections that hold a place or wait for one.
    users: usize,
}

impl Doorway {
    pub(crate) fn new(places: usize) -> Arc<Self> {
        Arc::new(Self { places, doors: Mutex::default() })
    }

    /// A ticket for a new connection; `None` when too many of its address wait already.
    pub(crate) fn enter(self: &Arc<Self>, ip: IpAddr) -> Option<Ticket> {
        // A v4 address mapped into v6 is the same peer.
        let ip = ip.to_canonical();
        let mut doors = self.doors.lock();
        let door = doors
            .entry(ip)
            .or_insert_with(|| Door { places: Arc::new(Semaphore::new(self.places)), users: 0 });
        if door.users >= self.places + MAX_WAITING {
            return None;
        }
        door.users += 1;
        let places = Arc::clone(&door.places);
        drop(doors);
        Some(Ticket { doorway: Arc::clone(self), ip, places, place: None })
    }

    #[cfg(test)]
    fn addresses(&self) -> usize {
        self.doors.lock().len()
    }
}

/// A connection's right to wait for a place, then the place. Dropped once it publishes, or ends.
#[derive(Debug)]
pub(crate) struct Ticket {
    doorway: Arc<Doorway>,
    ip: IpAddr,
    places: Arc<Semaphore>,
    place: Option<OwnedSemaphorePermit>,
}

impl Ticket {
    /// Waits for a place, in order of arrival. Cancel-safe.
    pub(crate) async fn place(&mut self) {
        if self.place.is_none() {
            // Nobody closes it.
            self.place = Arc::clone(&self.places).acquire_owned().await.ok();
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut doors = self.doorway.doors.lock();
        if let Some(door) = doors.get_mut(&self.ip) {
            door.users -= 1;
            if door.users == 0 {
                doors.remove(&self.ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

    use tokio::time::timeout;

    use super::*;

    const IP: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    #[tokio::test(start_paused = true)]
    async fn places_are_counted_by_address_and_given_on() {
        let d = Doorway::new(2);
        let mut tickets: Vec<_> = (0..3).map(|_| d.enter(IP).unwrap()).collect();
        for t in &mut tickets[..2] {
            t.place().await;
        }
        let wait = Duration::from_secs(5);
        assert!(timeout(wait, tickets[2].place()).await.is_err());
        let mapped = IpAddr::V6(Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped());
        assert!(timeout(wait, d.enter(mapped).unwrap().place()).await.is_err());
        let other = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
        assert!(timeout(wait, d.enter(other).unwrap().place()).await.is_ok());
        tickets.remove(0);
        assert!(timeout(wait, tickets[1].place()).await.is_ok());
        drop(tickets);
        assert_eq!(d.addresses(), 0);
    }

    #[test]
    fn those_who_wait_are_bounded() {
        let d = Doorway::new(1);
        let tickets: Vec<_> = (0..=MAX_WAITING).map(|_| d.enter(IP).unwrap()).collect();
        assert!(d.enter(IP).is_none());
        drop(tickets);
        assert!(d.enter(IP).is_some());
    }
}
