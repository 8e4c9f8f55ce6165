//! Who may log in, and who did.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::check::{Outcome, Outside, find};
use crate::facts::ComponentState;
use crate::facts::files::UnreadPlace;
use crate::facts::node_access::{Sshd, SshdBlock, SshdCriterion, SshdSetting, SshdSettings, Sudo};
use crate::observed::State;
use crate::platform::Platform;
use crate::policy::DEFAULT_EDITION;
use crate::pool::{PoolKey, PoolTruth};
use crate::siblings::Siblings;

fn access() -> NodeAccess {
    let setting = |name: &str, value: &str| SshdSetting {
        name: name.to_owned(),
        value: value.to_owned(),
        source: String::new(),
    };
    NodeAccess {
        sshd: Sshd::There {
            runs: true,
            starts_on_connect: false,
            settings: SshdSettings::Read {
                settings: vec![
                    setting("KbdInteractiveAuthentication", "no"),
                    setting("PasswordAuthentication", "no"),
                    setting("PermitRootLogin", "no"),
                ],
                blocks: Vec::new(),
                match_blocks: 0,
            },
        },
        accounts: vec![account(&["SHA256:a"])],
        unread_keys: Vec::new(),
        sudo: Sudo::Read(1),
        logins: Logins::Read {
            files: vec!["/var/log/wtmp".to_owned()],
            since: Some(day(0)),
            accounts: Vec::new(),
            beside: None,
        },
    }
}

fn account(keys: &[&str]) -> Account {
    Account {
        name: "azureuser".to_owned(),
        uid: 1000,
        shell: "/bin/bash".to_owned(),
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        key_files: vec!["/home/azureuser/.ssh/authorized_keys".to_owned()],
    }
}

fn day(days: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + days * 86_400).expect("a time of our days")
}

fn judged(reason: &str, own: NodeAccess, others: usize, now: Timestamp) -> Verdict {
    let mut history = NodeHistory::default();
    let mut siblings = Siblings::default();
    siblings.add_access(others, &access());
    siblings.add_access(1, &own);
    let state = State::Present(Arc::new(own));
    history.observe(ComponentState::NodeAccess(state), day(0), Duration::ZERO);
    let key = PoolKey { cluster: "c".to_owned(), pool: "p".to_owned() };
    let pool = PoolTruth { key, images: Default::default() };
    let outside = Outside { pool: Some(&pool), siblings: Some(&siblings), ..Outside::default() };
    let scope = Scope { outside, platform: Platform::Aks, standing: Default::default() };
    let policy = Policy::edition(DEFAULT_EDITION).expect("a shipped edition");
    (find(reason).expect("a check").judge)(&history, &scope, &policy, now)
}

fn word(reason: &str, own: NodeAccess, others: usize) -> &'static str {
    judged(reason, own, others, day(0)).outcome.word()
}

fn with(root: &str, password: &str, interactive: &str) -> NodeAccess {
    let mut access = access();
    if let Sshd::There { settings: SshdSettings::Read { settings, .. }, .. } = &mut access.sshd {
        for (setting, value) in settings.iter_mut().zip([interactive, password, root]) {
            value.clone_into(&mut setting.value);
        }
    }
    access
}

#[test]
fn root_is_let_in_by_a_password_only_where_both_are_said() {
    const REASON: &str = "SshRootLoginByPassword";
    for (settings, expected) in [
        (["no", "yes", "yes"], "pass"),
        (["prohibit-password", "yes", "yes"], "pass"),
        (["forced-commands-only", "yes", "yes"], "pass"),
        (["yes", "no", "no"], "pass"),
        (["yes", "yes", "no"], "fail"),
        (["yes", "no", "yes"], "fail"),
    ] {
        let [root, password, interactive] = settings;
        let access = with(root, password, interactive);
        assert_eq!(word(REASON, access, 0), expected, "{settings:?}");
    }
    let mut stopped = with("yes", "yes", "no");
    if let Sshd::There { runs, .. } = &mut stopped.sshd {
        *runs = false;
    }
    assert_eq!(word(REASON, stopped, 0), "not_applicable");
    let mut unread = access();
    if let Sshd::There { settings, .. } = &mut unread.sshd {
        let (path, why) = ("/etc/ssh/sshd_config".to_owned(), "EACCES".to_owned());
        *settings = SshdSettings::Unreadable(UnreadPlace { path, why });
    }
    assert_eq!(word(REASON, unread, 0), "unknown");
}

/// Settings outside of blocks in the order of `with`, and blocks: criteria, and what they set.
fn with_blocks(outside: [&str; 3], told: &[(&str, &str)]) -> NodeAccess {
    let [root, password, interactive] = outside;
    let mut access = with(root, password, interactive);
    let Sshd::There { settings: SshdSettings::Read { blocks, match_blocks, .. }, .. } =
        &mut access.sshd
    else {
        panic!("read")
    };
    fn pairs(text: &str) -> Vec<(String, String)> {
        let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
        words.chunks(2).map(|pair| (pair[0].to_owned(), pair[1..].concat())).collect()
    }
    for (line, (criteria, set)) in (10..).zip(told) {
        let place = format!("/etc/ssh/sshd_config:{line}");
        let criteria = pairs(criteria).into_iter();
        let settings = pairs(set).into_iter();
        blocks.push(SshdBlock {
            criteria: criteria.map(|(name, patterns)| SshdCriterion { name, patterns }).collect(),
            settings: settings
                .map(|(name, value)| SshdSetting { name, value, source: place.clone() })
                .collect(),
            place,
        });
        *match_blocks += 1;
    }
    access
}

#[test]
fn a_match_block_may_let_root_in_where_nothing_else_does() {
    const REASON: &str = "SshRootLoginByPassword";
    const ROOT: &str = "PermitRootLogin yes";
    const PASSWORD: &str = "PasswordAuthentication yes";
    let both = format!("{ROOT} {PASSWORD}");
    let (closed, half) = (["no", "no", "no"], ["no", "yes", "no"]);
    let told =
        |outside: [&str; 3], blocks: &[(&str, &str)]| word(REASON, with_blocks(outside, blocks), 0);
    for (outside, blocks, expected) in [
        (closed, vec![("user a", both.as_str())], "pass"),
        (closed, vec![("user root", both.as_str())], "fail"),
        (closed, vec![("user *,!root", both.as_str())], "pass"),
        (closed, vec![("", both.as_str())], "fail"),
        (closed, vec![("address 10.0.0.0/8", both.as_str())], "fail"),
        (closed, vec![("user root address 10.0.0.0/8", both.as_str())], "fail"),
        (closed, vec![("user a address 10.0.0.0/8", both.as_str())], "pass"),
        (closed, vec![("invalid-user", both.as_str())], "pass"),
        (closed, vec![("group admins", both.as_str())], "unknown"),
        (closed, vec![("new-criterion x", both.as_str())], "unknown"),
        (closed, vec![("address 10.0.0.0/8", ROOT)], "pass"),
        (half, vec![("address 10.0.0.0/8", ROOT)], "fail"),
        (["yes", "no", "no"], vec![("address 10.0.0.0/8", PASSWORD)], "fail"),
        // What a block sets takes the place of what is set outside.
        (["yes", "yes", "no"], vec![("", "PermitRootLogin no")], "pass"),
        (["yes", "yes", "no"], vec![("user root", "PermitRootLogin no")], "pass"),
        (["yes", "yes", "no"], vec![("address 10.0.0.0/8", "PermitRootLogin no")], "fail"),
        // Of several the first counts.
        (half, vec![("user root", "PermitRootLogin no"), ("address ::1", ROOT)], "pass"),
        (half, vec![("address ::1", ROOT), ("user root", "PermitRootLogin no")], "fail"),
        // Whether two are about one connection is not looked at.
        (closed, vec![("address ::1", ROOT), ("host a", PASSWORD)], "unknown"),
        (closed, vec![("user root", ROOT), ("host a", PASSWORD)], "fail"),
    ] {
        assert_eq!(told(outside, &blocks), expected, "{outside:?} {blocks:?}");
    }
    let verdict = judged(REASON, with_blocks(half, &[("address ::1", ROOT)]), 0, day(0));
    let Outcome::Fail { message, .. } = &verdict.outcome else { panic!("{verdict:?}") };
    assert!(message.contains("/etc/ssh/sshd_config:10"), "{message}");
    assert_eq!(verdict.evidence[0].source, "/etc/ssh/sshd_config:10");
    assert_eq!(verdict.evidence[0].actual, "Match address ::1");
    // Another account with the number of root.
    let mut other = with_blocks(closed, &[("user toor", &both)]);
    assert_eq!(word(REASON, other.clone(), 0), "pass");
    other.accounts.push(Account { name: "toor".to_owned(), uid: 0, ..account(&[]) });
    assert_eq!(word(REASON, other, 0), "fail");
    // Blocks of which nothing is told.
    let mut untold = with_blocks(closed, &[("user a", &both)]);
    if let Sshd::There { settings: SshdSettings::Read { match_blocks, .. }, .. } = &mut untold.sshd
    {
        *match_blocks = 3;
    }
    assert_eq!(word(REASON, untold, 0), "unknown");
}

#[test]
fn a_login_is_told_of_for_thirty_days_and_then_ends_by_itself() {
    let mut own = access();
    if let Logins::Read { accounts, .. } = &mut own.logins {
        let login = |account: &str, last_at, count| AccountLogins {
            account: account.to_owned(),
            last_at,
            count,
        };
        *accounts = vec![login("azureuser", day(0), 2), login("root", day(-40), 1)];
    }
    let verdict = judged("LoginRecent", own.clone(), 0, day(29));
    assert_eq!(verdict.outcome.word(), "fail");
    assert_eq!(verdict.valid_until, Some(day(30)));
    let told: Vec<&str> = verdict.evidence.iter().map(|one| one.actual.as_str()).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[1], "1 rule of sudo asks for no password");
    assert_eq!(judged("LoginRecent", own.clone(), 0, day(30)).outcome, Outcome::Pass);
    // One of a clock that ran ahead is no old one.
    assert_eq!(judged("LoginRecent", own.clone(), 0, day(-1)).outcome.word(), "fail");
    // What is kept elsewhere may tell of one; what is known stays known.
    let mut elsewhere = own.clone();
    if let Logins::Read { beside, .. } = &mut elsewhere.logins {
        let (path, why) = ("/var/lib/wtmpdb/wtmp.db".to_owned(), "a database".to_owned());
        *beside = Some(UnreadPlace { path, why });
    }
    assert_eq!(judged("LoginRecent", elsewhere.clone(), 0, day(29)).outcome.word(), "fail");
    assert_eq!(judged("LoginRecent", elsewhere, 0, day(30)).outcome.word(), "unknown");
    own.logins = Logins::NotKept;
    assert_eq!(judged("LoginRecent", own, 0, day(30)).outcome.word(), "unknown");
}

#[test]
fn keys_are_held_against_those_of_the_pool() {
    const REASON: &str = "AuthorisedKeysDrifted";
    assert_eq!(word(REASON, access(), 3), "pass");
    let own = |keys: &[&str]| NodeAccess { accounts: vec![account(keys)], ..access() };
    assert_eq!(word(REASON, own(&["SHA256:a", "SHA256:b"]), 3), "fail");
    assert_eq!(word(REASON, own(&[]), 3), "fail");
    assert_eq!(word(REASON, NodeAccess { accounts: Vec::new(), ..access() }, 3), "fail");
    // One more account that lets in nobody is none.
    let mut more = access();
    more.accounts.push(Account { name: "b".to_owned(), key_files: Vec::new(), ..account(&[]) });
    assert_eq!(word(REASON, more.clone(), 3), "pass");
    more.accounts[1].keys.push("SHA256:c".to_owned());
    assert_eq!(word(REASON, more, 3), "fail");
    assert_eq!(word(REASON, own(&["SHA256:a", "SHA256:b"]), 2), "not_applicable");
    let mut unread = access();
    unread.unread_keys.push(UnreadPlace { path: "/root".to_owned(), why: "EACCES".to_owned() });
    assert_eq!(word(REASON, unread, 3), "unknown");
}
