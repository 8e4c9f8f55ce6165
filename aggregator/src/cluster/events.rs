//! What events told of each node, for as long as it matters: steps of the provider's repair
//! for two hours, of other reasons the newest for a day. The API server itself forgets an
//! event after an hour.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};
use nodeward_domain::facts::{NodeEvent, NodeObject};

use super::convert::ToldEvent;

/// Who tells steps of the repair, and what these begin and end with (AKS: node-auto-repair).
const REPAIR: &str = "aks-auto-repair";

/// Steps of the repair are all kept for so long, other events by reason.
const REPAIR_KEPT: SignedDuration = SignedDuration::from_hours(2);
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// So many are kept of one node.
const EVENTS: usize = 50;

/// What was told so long before the node was made was told of another of its name; the kubelet
/// tells of itself before it registers.
const BEFORE_CREATION: SignedDuration = SignedDuration::from_mins(1);

/// So many are kept of names that are no nodes yet, all together: whoever may write events may
/// write any name.
const STRANGE: usize = 10_000;

/// The UID that an event names, and the event.
type Kept = (Option<String>, NodeEvent);

/// Events of all nodes, by name.
#[derive(Debug, Default)]
pub(super) struct Events {
    by_node: HashMap<String, Vec<Kept>>,
    /// Of names that may become nodes: events are listed beside nodes, and a kubelet tells of
    /// itself before it registers.
    strangers: HashMap<String, Vec<Kept>>,
    /// How many of strangers there was no room for.
    dropped: u64,
}

impl Events {
    /// An event was told, about a node or about a name that may become one. Whether it is new.
    pub(super) fn take(&mut self, told: ToldEvent, is_node: bool, now: Timestamp) -> bool {
        let ToldEvent { node, uid, event } = told;
        if now.duration_since(event.at) > KEPT {
            return false;
        }
        if !is_node && self.strangers.values().map(Vec::len).sum::<usize>() >= STRANGE {
            self.dropped += 1;
            return false;
        }
        let by_name = if is_node { &mut self.by_node } else { &mut self.strangers };
        let of_node = by_name.entry(node).or_default();
        if of_node.iter().any(|(_, one)| *one == event) {
            return false;
        }
        of_node.push((uid, event));
        trim(of_node, now);
        true
    }

    /// How many of strangers were dropped since this was asked before.
    pub(super) const fn dropped(&mut self) -> u64 {
        std::mem::replace(&mut self.dropped, 0)
    }

    /// That name is a node's.
    pub(super) fn meet(&mut self, node: &str, now: Timestamp) {
        if let Some(told) = self.strangers.remove(node) {
            let of_node = self.by_node.entry(node.to_owned()).or_default();
            of_node.extend(told);
            trim(of_node, now);
        }
    }

    /// What was told of a node before we began, as it was remembered.
    pub(super) fn remember(&mut self, node: &str, before: &NodeObject, now: Timestamp) {
        let of_node = self.by_node.entry(node.to_owned()).or_default();
        for event in &before.events {
            if of_node.iter().all(|(_, one)| one != event) {
                of_node.push((Some(before.uid.clone()), event.clone()));
            }
        }
        trim(of_node, now);
        if of_node.is_empty() {
            self.by_node.remove(node);
        }
    }

    /// The events of a node of that name and UID, oldest first.
    pub(super) fn of(&self, node: &str, object: &NodeObject, now: Timestamp) -> Vec<NodeEvent> {
        let Some(of_node) = self.by_node.get(node) else { return Vec::new() };
        let earliest = object.created_at.checked_sub(BEFORE_CREATION).unwrap_or(Timestamp::MIN);
        let mut events: Vec<(Option<String>, NodeEvent)> = of_node
            .iter()
            .filter(|(uid, _)| uid.as_ref().is_none_or(|uid| *uid == object.uid))
            .filter(|(_, event)| event.at >= earliest)
            .cloned()
            .collect();
        trim(&mut events, now);
        events.into_iter().map(|(_, event)| event).collect()
    }

    /// Forgets what is too old. Names the nodes of which something was forgotten.
    pub(super) fn expire(&mut self, now: Timestamp) -> Vec<String> {
        self.strangers.retain(|_, events| {
            trim(events, now);
            !events.is_empty()
        });
        let mut changed = Vec::new();
        self.by_node.retain(|node, events| {
            let before = events.len();
            trim(events, now);
            if events.len() != before {
                changed.push(node.clone());
            }
            !events.is_empty()
        });
        changed
    }
}

/// Sorts by time, and leaves what is kept.
fn trim(events: &mut Vec<(Option<String>, NodeEvent)>, now: Timestamp) {
    events.sort_by(|(_, a), (_, b)| {
        (a.at, &a.reason, &a.message).cmp(&(b.at, &b.reason, &b.message))
    });
    // Of one reason the newest stands last, and so wins.
    let newest: BTreeMap<(Option<String>, String), Timestamp> =
        events.iter().map(|(uid, event)| ((uid.clone(), event.reason.clone()), event.at)).collect();
    events.retain(|(uid, event)| {
        let age = now.duration_since(event.at);
        let is_newest = newest.get(&(uid.clone(), event.reason.clone())) == Some(&event.at);
        (is_repair(event) && age <= REPAIR_KEPT) || (is_newest && age <= KEPT)
    });
    events.dedup_by(|(_, later), (_, earlier)| {
        !is_repair(later) && (later.at, &later.reason) == (earlier.at, &earlier.reason)
    });
    // The oldest give way; of those that are no steps of the repair first.
    while events.len() > EVENTS {
        let first = events.iter().position(|(_, event)| !is_repair(event)).unwrap_or_default();
        events.remove(first);
    }
}

/// Whether it is a step of the provider's repair.
fn is_repair(event: &NodeEvent) -> bool {
    event.source == REPAIR
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: &str = "aks-a-1-vmss000000";

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + minute * 60).expect("in range")
    }

    fn told(minute: i64, reason: &str, source: &str) -> ToldEvent {
        ToldEvent {
            node: NODE.to_owned(),
            uid: None,
            event: NodeEvent {
                at: at(minute),
                reason: reason.to_owned(),
                source: source.to_owned(),
                is_warning: false,
                message: format!("at {minute}"),
            },
        }
    }

    fn object(created: i64) -> NodeObject {
        NodeObject {
            uid: "u".to_owned(),
            created_at: at(created),
            provider_id: String::new(),
            labels: Vec::new(),
            annotations: Vec::new(),
            taints: Vec::new(),
            is_unschedulable: false,
            deleted_at: None,
            system: Default::default(),
            conditions: Vec::new(),
            events: Vec::new(),
        }
    }

    fn reasons(events: &Events, object: &NodeObject, now: Timestamp) -> Vec<(String, Timestamp)> {
        let events = events.of(NODE, object, now);
        events.into_iter().map(|event| (event.reason, event.at)).collect()
    }

    #[test]
    fn steps_of_the_repair_stay_and_of_other_reasons_the_newest() {
        let mut events = Events::default();
        let steps = [(0, "NodeRebootStart"), (5, "NodeRebootEnd"), (20, "NodeRebootStart")];
        for (minute, reason) in steps {
            assert!(events.take(told(minute, reason, REPAIR), true, at(minute)));
        }
        for minute in [1, 2, 3] {
            events.take(told(minute, "OOMKilling", "kernel-monitor"), true, at(minute));
        }
        let again = told(3, "OOMKilling", "kernel-monitor");
        assert!(!events.take(again, true, at(4)), "nothing new");
        let expected = [
            ("NodeRebootStart", 0),
            ("OOMKilling", 3),
            ("NodeRebootEnd", 5),
            ("NodeRebootStart", 20),
        ];
        let expected = expected.map(|(reason, minute)| (reason.to_owned(), at(minute)));
        assert_eq!(reasons(&events, &object(-60), at(21)), expected);
        // After two hours of each step the newest, after a day nothing.
        assert_eq!(events.expire(at(150)), [NODE]);
        let kept = reasons(&events, &object(-60), at(150));
        assert_eq!(kept.iter().filter(|(reason, _)| reason == "NodeRebootStart").count(), 1);
        assert_eq!(events.expire(at(20 + 24 * 60 + 1)), [NODE]);
        assert!(events.by_node.is_empty());
    }

    #[test]
    fn an_event_of_another_life_is_not_told() {
        let mut events = Events::default();
        events.take(told(0, "NodeNotReady", "node-controller"), true, at(0));
        let mut of_other = told(30, "RegisteredNode", "node-controller");
        of_other.uid = Some("other".to_owned());
        events.take(of_other, true, at(30));
        assert_eq!(reasons(&events, &object(10), at(31)), []);
        assert_eq!(reasons(&events, &object(0), at(31)).len(), 1);
    }

    #[test]
    fn a_flood_is_cut_and_the_repair_stays() {
        let mut events = Events::default();
        events.take(told(0, "NodeRebootStart", REPAIR), true, at(0));
        for n in 0..200 {
            events.take(told(1 + n / 60, &format!("Reason{n}"), "x"), true, at(10));
        }
        let kept = reasons(&events, &object(0), at(10));
        assert_eq!(kept.len(), EVENTS);
        assert_eq!(kept[0].0, "NodeRebootStart");
    }

    #[test]
    fn names_that_are_no_nodes_are_bounded_and_keep_no_node_out() {
        let mut events = Events::default();
        for n in 0..STRANGE + 100 {
            let of_stranger =
                ToldEvent { node: format!("n-{n}"), ..told(0, "Starting", "kubelet") };
            assert_eq!(events.take(of_stranger, false, at(0)), n < STRANGE, "{n}");
        }
        assert_eq!((events.dropped(), events.dropped()), (100, 0));
        assert!(events.take(told(1, "NodeNotReady", "node-controller"), true, at(1)));
        // One that becomes a node brings along what was told of it.
        let met = ToldEvent { node: "n-7".to_owned(), ..told(0, "Starting", "kubelet") };
        events.meet("n-7", at(1));
        assert_eq!(events.of("n-7", &object(0), at(1)), [met.event]);
        assert!(events.take(met_again(), false, at(1)), "there is room again");
        events.expire(at(24 * 60 + 10));
        assert!(events.strangers.is_empty() && events.by_node.is_empty());
    }

    fn met_again() -> ToldEvent {
        ToldEvent { node: "another".to_owned(), ..told(1, "Starting", "kubelet") }
    }
}
