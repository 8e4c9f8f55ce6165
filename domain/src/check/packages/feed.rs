//! Whether what is known of fixes for the node's distribution is of late: a feed that was
//! complete and has grown old no longer says anything by its silence.

use jiff::Timestamp;

use super::super::{Evidence, Scope, Verdict, facts, verdict_or};
use crate::advisory::{Coverage, FeedState, Stream};
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};

pub(super) fn stale(
    history: &NodeHistory,
    scope: &Scope<'_>,
    _: &Policy,
    now: Timestamp,
) -> Verdict {
    let (os, _) = verdict_or!(facts(&history.os_release, "no os-release file"));
    let stream = Stream::of_os_release(&os.id, &os.version_id);
    let Some(feeds) = scope.outside.feeds else {
        return Verdict::not_applicable("no advisories are at hand");
    };
    let complete: Vec<&FeedState> = feeds
        .iter()
        .filter(|feed| feed.coverage.get(&stream) == Some(&Coverage::Complete))
        .collect();
    let Some(newest) = complete.iter().max_by_key(|feed| feed.as_of) else {
        return Verdict::not_applicable(format!("no feed claims to be complete for {stream}"));
    };
    let evidence: Vec<Evidence> = complete
        .iter()
        .map(|feed| {
            let source = format!("feed {}", feed.name);
            let limit = format!("at most {} days old", feed.stale_after.as_hours() / 24);
            Evidence::new(source, format!("of {:.0}", feed.as_of), limit)
        })
        .collect();
    if !newest.is_stale(now) {
        return Verdict { valid_until: Some(newest.stale_at()), ..Verdict::pass(evidence) };
    }
    let turn = Turn {
        responsible: Responsible::Customer,
        action: Action::Repair {
            what: format!("nodeward feed import, with a newer state of {}", newest.name),
        },
        valid_until: None,
    };
    let message = format!(
        "feed {} is of {:.0}: what has been fixed in {stream} since is not known",
        newest.name, newest.as_of
    );
    Verdict::fail(message, newest.stale_at(), turn, evidence)
}
