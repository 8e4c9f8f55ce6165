//! What each node may have under way in a relay. All nodes share its connections: one that
//! stalls, or calls again and again, must keep no other waiting.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// So many calls of one kind: a second one while the first is being given up.
pub(super) const AT_ONCE: usize = 2;

/// Calls of one kind that are under way, by node.
#[derive(Debug, Default)]
pub(super) struct Shares(Mutex<HashMap<String, usize>>);

/// A call that is under way. It ends with this.
#[derive(Debug)]
pub(super) struct Share<'a> {
    of: &'a Shares,
    node: &'a str,
}

impl Shares {
    /// A share for one more call of that node; none where it has as many as it may.
    pub(super) fn take<'a>(&'a self, node: &'a str) -> Option<Share<'a>> {
        let mut under_way = self.under_way();
        let calls = under_way.entry(node.to_owned()).or_default();
        if *calls == AT_ONCE {
            return None;
        }
        *calls += 1;
        Some(Share { of: self, node })
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let mut under_way = self.of.under_way();
        if let Some(calls) = under_way.get_mut(self.node) {
            *calls -= 1;
            if *calls == 0 {
                under_way.remove(self.node);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_has_its_share_and_no_other_s() {
        let shares = Shares::default();
        let held: Vec<Share<'_>> = (0..AT_ONCE).filter_map(|_| shares.take("a")).collect();
        assert_eq!(held.len(), AT_ONCE);
        assert!(shares.take("a").is_none() && shares.take("b").is_some());
        drop(held);
        assert!(shares.take("a").is_some());
        assert!(shares.under_way().is_empty());
    }
}
