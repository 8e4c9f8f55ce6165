//! What every store must do, whichever it is: one suite, called with a way to open the
//! store and to open it again on what it kept.

use std::path::Path;

use jiff::Timestamp;
use nodeward_aggregator::peer::Peer;
use nodeward_aggregator::store::{
    Batch, ChangeNumber, Document, DocumentKey, EARLIER_BOOTS, Seen, SeenComponent, SeenStanding,
    Store, StoredNode, Transition,
};
use nodeward_domain::check::{Credential, Presented};
use nodeward_proto::content::Content;
use nodeward_proto::digest::Digest;

/// A point in time of the tests.
///
/// # Panics
/// When there are more seconds than time has.
#[must_use]
pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).expect("a time of our days")
}

fn peer(cluster: &str, node: &str, life: &str) -> Peer {
    Peer { cluster: cluster.to_owned(), node: node.to_owned(), uid: life.to_owned() }
}

fn content(component: &str, bytes: &[u8]) -> Content {
    Content { component: component.to_owned(), form: 1, bytes: bytes.to_vec() }
}

fn transition(content: &Content, second: i64) -> Transition {
    Transition {
        component: content.component.clone(),
        form: content.form,
        digest: content.digest(),
        valid_from: at(second),
    }
}

/// A report of `node` in its first life.
fn batch(node: &str, seq: u64, contents: &[Content]) -> Batch {
    let second = i64::try_from(seq).expect("a small order");
    Batch {
        peer: peer("c", node, "life-1"),
        boot_id: "boot-1".to_owned(),
        seq,
        received_at: at(second),
        contents: contents.to_vec(),
        transitions: contents.iter().map(|content| transition(content, second)).collect(),
    }
}

async fn everything(store: &dyn Store) -> (Vec<StoredNode>, ChangeNumber) {
    loaded_since(store, ChangeNumber::default(), 100).await
}

async fn loaded_since(
    store: &dyn Store,
    after: ChangeNumber,
    intervals: usize,
) -> (Vec<StoredNode>, ChangeNumber) {
    let loaded = store.load_since(after, intervals).await.expect("the store answers");
    assert_eq!(loaded.spoilt, []);
    (loaded.nodes, loaded.upto)
}

/// Copies an embedded store that a process has open, as it is at this moment.
///
/// # Panics
/// When there is none, or there is something already where the copy goes.
pub fn copy(store: &Path, to: &Path) {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let store = rusqlite::Connection::open_with_flags(store, flags).expect("a store");
    store.execute("VACUUM INTO ?1", [to.to_str().expect("UTF-8")]).expect("copied");
}

/// Runs the whole suite. `open` opens a store on an empty place, `again` the same place
/// once more, after the first was closed.
///
/// # Panics
/// When the store does not do what it must.
pub async fn run<S: Store>(open: impl Fn(&str) -> S) {
    an_empty_store_is_empty(&open("empty")).await;
    a_batch_is_there_as_a_whole_and_after_reopening(&open).await;
    transitions_end_what_stood_before(&open("transitions")).await;
    only_what_changed_is_loaded_and_numbers_grow(&open("changes")).await;
    lives_and_clusters_are_kept_apart(&open("lives")).await;
    boots_are_remembered_newest_first(&open("boots")).await;
    what_was_seen_only_moves_forwards(&open("seen")).await;
    contents_are_stored_once_and_missed_by_name(&open("contents")).await;
    documents_are_replaced_by_their_key_and_stay_in_order(&open).await;
    a_setting_is_made_once(&open("settings")).await;
    many_writers_at_once_lose_nothing(open("many")).await;
    a_closed_store_says_so(&open("closed")).await;
}

async fn an_empty_store_is_empty(store: &dyn Store) {
    assert_eq!(everything(store).await, (Vec::new(), ChangeNumber(0)));
    store.ping().await.expect("an open store commits");
    store.intact().expect("nobody took it away");
    assert_eq!(everything(store).await, (Vec::new(), ChangeNumber(0)), "a ping is no change");
}

async fn a_batch_is_there_as_a_whole_and_after_reopening<S: Store>(open: &impl Fn(&str) -> S) {
    let store = open("batch");
    let contents = [content("kernel", b"k"), content("packages", &[7; 300_000])];
    let written = batch("a", 5, &contents);
    store.append(written.clone()).await.expect("committed");
    let before = everything(&store).await;
    store.close().await.expect("closed");

    let store = open("batch");
    assert_eq!(everything(&store).await, before);
    let [node] = before.0.as_slice() else { panic!("one node, not {before:?}") };
    assert_eq!((&node.peer, node.seq), (&written.peer, 5));
    assert_eq!((node.first_seen, node.last_seen), (at(5), at(5)));
    let digests: Vec<Digest> = node.intervals.iter().map(|interval| interval.digest).collect();
    assert_eq!(digests, contents.each_ref().map(Content::digest));
    for content in contents {
        let stored = store.content(content.digest()).await.expect("the store answers");
        assert_eq!(stored, Some(content));
    }
}

async fn transitions_end_what_stood_before(store: &dyn Store) {
    for (seq, bytes) in [(10, b"a"), (20, b"b"), (30, b"a")] {
        store.append(batch("a", seq, &[content("kernel", bytes)])).await.expect("committed");
    }
    let all = store.intervals("c".to_owned(), "a".to_owned()).await.expect("the store answers");
    let stretches: Vec<_> = all.iter().map(|(_, one)| (one.valid_from, one.valid_to)).collect();
    let expected = [(at(10), Some(at(20))), (at(20), Some(at(30))), (at(30), None)];
    assert_eq!(stretches, expected);
    // A transition that claims to be older than the last one cannot turn time round.
    let mut late = batch("a", 40, &[content("kernel", b"c")]);
    late.transitions[0].valid_from = at(1);
    store.append(late).await.expect("committed");
    let all = store.intervals("c".to_owned(), "a".to_owned()).await.expect("the store answers");
    assert!(all.windows(2).all(|two| two[0].1.valid_to == Some(two[1].1.valid_from)), "{all:?}");
    assert!(all.iter().all(|(_, one)| one.valid_to.is_none_or(|end| end > one.valid_from)));
    // Only the newest ones are loaded, oldest first.
    let (nodes, _) = loaded_since(store, ChangeNumber::default(), 2).await;
    let loaded: Vec<_> = nodes[0].intervals.iter().map(|one| one.valid_from).collect();
    assert_eq!(loaded, all[2..].iter().map(|(_, one)| one.valid_from).collect::<Vec<_>>());
}

async fn only_what_changed_is_loaded_and_numbers_grow(store: &dyn Store) {
    let first = store.append(batch("a", 1, &[])).await.expect("committed");
    let second = store.append(batch("b", 2, &[])).await.expect("committed");
    assert!(first < second);
    let (changed, upto) = loaded_since(store, first, 10).await;
    let names: Vec<&str> = changed.iter().map(|node| node.peer.node.as_str()).collect();
    assert_eq!((names, upto), (vec!["b"], second));
    assert_eq!(loaded_since(store, second, 10).await, (Vec::new(), second));
}

async fn lives_and_clusters_are_kept_apart(store: &dyn Store) {
    let kernel = content("kernel", b"k");
    for (second, cluster, life) in [(1, "c", "life-1"), (2, "c", "life-2"), (3, "d", "life-1")] {
        let mut batch = batch("a", second, std::slice::from_ref(&kernel));
        batch.peer = peer(cluster, "a", life);
        store.append(batch).await.expect("committed");
    }
    let (nodes, _) = everything(store).await;
    let lives: Vec<_> =
        nodes.iter().map(|node| (node.peer.clone(), node.intervals.len())).collect();
    let expected = [("c", "life-1"), ("c", "life-2"), ("d", "life-1")]
        .map(|(cluster, life)| (peer(cluster, "a", life), 1));
    assert_eq!(lives, expected, "in the order of their beginnings");
    let of_c = store.intervals("c".to_owned(), "a".to_owned()).await.expect("the store answers");
    assert_eq!(of_c.iter().map(|(uid, _)| uid.as_str()).collect::<Vec<_>>(), ["life-1", "life-2"]);
}

async fn boots_are_remembered_newest_first(store: &dyn Store) {
    let boots = EARLIER_BOOTS + 3;
    for boot in 0..boots {
        let seq = u64::try_from(boot).expect("a small number") + 1;
        let boot_id = format!("boot-{boot}");
        store.append(Batch { boot_id, ..batch("a", seq, &[]) }).await.expect("committed");
    }
    let (nodes, _) = everything(store).await;
    assert_eq!(nodes[0].boot_id, format!("boot-{}", boots - 1));
    let expected: Vec<String> =
        (0..boots - 1).rev().take(EARLIER_BOOTS).map(|boot| format!("boot-{boot}")).collect();
    assert_eq!(nodes[0].earlier_boots, expected);
}

async fn what_was_seen_only_moves_forwards(store: &dyn Store) {
    let kernel = content("kernel", b"k");
    store.append(batch("a", 10, std::slice::from_ref(&kernel))).await.expect("committed");
    let seen = |boot: &str, seq: u64, observations: u32| Seen {
        peer: peer("c", "a", "life-1"),
        boot_id: boot.to_owned(),
        seq,
        received_at: at(i64::try_from(seq).expect("a small order")),
        shown: match seq % 3 {
            0 => Presented::Certificate(Credential { not_before: at(1), not_after: at(500) }),
            1 => Presented::Nothing,
            _ => Presented::NotSeen,
        },
        components: vec![SeenComponent {
            component: "kernel".to_owned(),
            digest: kernel.digest(),
            observations,
            last_observed: at(i64::try_from(seq).expect("a small order")),
        }],
        standings: vec![SeenStanding { reason: format!("At{seq}"), observations, since: at(7) }],
    };
    store.save_seen(vec![seen("boot-1", 90, 9)]).await.expect("saved");
    store.save_seen(vec![seen("boot-1", 50, 5)]).await.expect("saved");
    store.save_seen(vec![seen("boot-0", 500, 0)]).await.expect("saved");
    let (nodes, _) = everything(store).await;
    assert_eq!(nodes[0].standings, seen("boot-1", 90, 9).standings);
    let interval = &nodes[0].intervals[0];
    assert_eq!((nodes[0].seq, nodes[0].last_seen), (90, at(90)));
    assert_eq!(nodes[0].shown, seen("boot-1", 90, 9).shown);
    assert_eq!((interval.observations, interval.last_observed), (9, at(90)));
    // The order of the reports counts. A clock may have run ahead.
    let corrected = Seen { received_at: at(80), ..seen("boot-1", 91, 10) };
    store.save_seen(vec![corrected]).await.expect("saved");
    let (nodes, _) = everything(store).await;
    assert_eq!((nodes[0].last_seen, nodes[0].shown), (at(80), Presented::Nothing));
    let unseen = seen("boot-1", 92, 11);
    store.save_seen(vec![unseen]).await.expect("saved");
    assert_eq!(everything(store).await.0[0].shown, Presented::NotSeen);
}

async fn contents_are_stored_once_and_missed_by_name(store: &dyn Store) {
    let here = content("kernel", b"here");
    let gone = content("kernel", b"gone").digest();
    for _ in 0..2 {
        store.put_content(here.clone()).await.expect("committed");
    }
    assert_eq!(store.content(gone).await.expect("the store answers"), None);
    let missing = store.missing(vec![here.digest(), gone]).await.expect("the store answers");
    assert_eq!(missing, [gone]);
}

fn document(kind: &str, name: &str, second: i64, content: &[u8]) -> Document {
    Document {
        key: DocumentKey { kind: kind.to_owned(), name: name.to_owned() },
        stored_at: at(second),
        file: format!("{name}.json"),
        content: content.to_vec(),
    }
}

async fn documents(store: &dyn Store) -> Vec<Document> {
    let stored = store.documents().await.expect("the store answers");
    assert_eq!(stored.spoilt, []);
    stored.documents
}

async fn documents_are_replaced_by_their_key_and_stay_in_order<S: Store>(
    open: &impl Fn(&str) -> S,
) {
    let store = open("documents");
    assert_eq!(documents(&store).await, []);
    let first = [document("note", "b", 1, b"b"), document("plan", "a", 1, &[7; 300_000])];
    let one = store.put_documents(first.to_vec()).await.expect("committed");
    // One name of two kinds is two documents.
    let other = document("note", "a", 2, b"");
    let two = store.put_documents(vec![other.clone()]).await.expect("committed");
    assert!(one < two);
    let kept = documents(&store).await;
    assert_eq!(kept, [first[0].clone(), first[1].clone(), other.clone()], "as they came");
    // What takes another's place comes behind what was there meanwhile, and within one commit
    // the last of a name stays.
    let again = [document("note", "b", 3, b"gone"), document("note", "b", 4, b"newer")];
    store.put_documents(again.to_vec()).await.expect("committed");
    let expected = [first[1].clone(), other, again[1].clone()];
    assert_eq!(documents(&store).await, expected);
    // They are no nodes, and no number goes back.
    let (nodes, upto) = everything(&store).await;
    assert_eq!(nodes, []);
    assert!(upto >= two);
    store.close().await.expect("closed");
    assert!(store.put_documents(vec![document("note", "c", 5, b"c")]).await.is_err());
    let store = open("documents");
    assert_eq!(documents(&store).await, expected);
}

async fn a_setting_is_made_once(store: &dyn Store) {
    for made in ["first", "second"] {
        let setting = store.setting("k", made.to_owned()).await.expect("committed");
        assert_eq!(setting, "first");
    }
}

async fn many_writers_at_once_lose_nothing(store: impl Store) {
    const NODES: usize = 300;
    let store = std::sync::Arc::new(store);
    let writers: Vec<_> = (0..NODES)
        .map(|number| {
            let store = std::sync::Arc::clone(&store);
            tokio::spawn(async move {
                let kernel = content("kernel", &number.to_be_bytes());
                store.append(batch(&format!("n{number}"), 1, &[kernel])).await
            })
        })
        .collect();
    let mut numbers = Vec::with_capacity(NODES);
    for writer in writers {
        numbers.push(writer.await.expect("no writer panics").expect("committed"));
    }
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), NODES, "two commits have one number");
    assert_eq!(everything(store.as_ref()).await.0.len(), NODES);
}

async fn a_closed_store_says_so(store: &dyn Store) {
    store.close().await.expect("closed");
    assert!(store.append(batch("a", 1, &[])).await.is_err());
    assert!(store.put_content(content("kernel", b"k")).await.is_err());
    assert!(store.content(content("kernel", b"k").digest()).await.is_err());
    assert!(store.ping().await.is_err());
}
