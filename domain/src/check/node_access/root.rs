//! Does sshd let root in by a password, for anybody? Source: sshd_config(5): what the `Match`
//! blocks set that are about a connection takes the place of what is set outside of them, and of
//! several such blocks the first that sets something counts.

use jiff::Timestamp;

use super::{ABSENT, customer};
use crate::check::{Evidence, Scope, Verdict, facts, verdict_or};
use crate::facts::NodeAccess;
use crate::facts::node_access::{Sshd, SshdBlock, SshdSetting, SshdSettings};
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::Action;
use crate::wildcard::is_listed;

/// What decides: `yes` of the first alone lets root in by a password, which both ways of asking
/// for one may do.
const NAMES: [&str; 3] =
    ["PermitRootLogin", "PasswordAuthentication", "KbdInteractiveAuthentication"];

/// The three settings that decide, as they hold for some connection.
type Held<'a> = [&'a SshdSetting; 3];

pub(super) fn by_password(
    history: &NodeHistory,
    scope: &Scope,
    _: &Policy,
    _: Timestamp,
) -> Verdict {
    let (access, since) = verdict_or!(facts(&history.node_access, ABSENT));
    let Sshd::There { settings, .. } = &access.sshd else {
        return Verdict::not_applicable("there is no sshd");
    };
    if !access.sshd.answers() {
        return Verdict::not_applicable("sshd does not run");
    }
    if let SshdSettings::Unreadable(unread) = settings {
        return Verdict::unknown(format!("{}: {}", unread.path, unread.why), Vec::new());
    }
    let outside = verdict_or!(outside(&access.sshd));
    let fail = |message: String, what: String, held: &Held<'_>, block: Option<&SshdBlock>| {
        let turn = customer(scope, Action::Repair { what });
        Verdict::fail(message, since, turn, evidence(held, block))
    };
    let mut undecided: Option<Verdict> = None;
    for account in accounts(access) {
        let connections = Connections { outside, blocks: access.sshd.blocks(), account };
        let whom = match account {
            "root" => "root".to_owned(),
            other => format!("{other}, who has the rights of root,"),
        };
        match connections.let_in() {
            None => {}
            Some(Way::Always(held)) => {
                let what = "set PermitRootLogin prohibit-password, reload sshd".to_owned();
                return fail(format!("sshd lets {whom} in by a password"), what, &held, None);
            }
            Some(Way::By(block, held)) => {
                let message = format!(
                    "sshd lets {whom} in by a password where the Match block at {} holds",
                    block.place
                );
                let what = format!(
                    "set PermitRootLogin prohibit-password in the Match block at {}, reload sshd",
                    block.place
                );
                return fail(message, what, &held, Some(block));
            }
            Some(Way::Perhaps(block, held)) => {
                let why = format!(
                    "the Match block at {} would let {whom} in by a password; whether it is \
                     about such a connection was not looked at",
                    block.place
                );
                undecided.get_or_insert(Verdict::unknown(why, evidence(&held, Some(block))));
            }
        }
    }
    if let Some(undecided) = undecided {
        return undecided;
    }
    match access.sshd.untold_blocks() {
        0 => Verdict::pass(evidence(&outside, None)),
        1 => Verdict::unknown("what a Match block sets is not told", evidence(&outside, None)),
        blocks => {
            let why = format!("what {blocks} Match blocks set is not told");
            Verdict::unknown(why, evidence(&outside, None))
        }
    }
}

/// What holds where no block says otherwise.
fn outside(sshd: &Sshd) -> Result<Held<'_>, Verdict> {
    let told = |name: &str| {
        let untold = || Verdict::unknown(format!("{name} is not told"), Vec::new());
        sshd.setting(name).ok_or_else(untold)
    };
    let [root, password, interactive] = NAMES;
    Ok([told(root)?, told(password)?, told(interactive)?])
}

/// Accounts with the rights of root: sshd takes them by their number.
fn accounts(access: &NodeAccess) -> Vec<&str> {
    let mut names = vec!["root"];
    let others = access.accounts.iter().filter(|account| account.uid == 0);
    names.extend(others.map(|account| account.name.as_str()).filter(|name| *name != "root"));
    names
}

/// How an account is let in.
enum Way<'a> {
    /// From everywhere.
    Always(Held<'a>),
    /// By connections that a block is about.
    By(&'a SshdBlock, Held<'a>),
    /// By a block that may be about no such connection.
    Perhaps(&'a SshdBlock, Held<'a>),
}

/// Which connections of an account a block is about, least certain last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    /// All of them.
    All,
    /// Some, by where they come from or to.
    Some,
    /// It depends on what is not known here, such as groups.
    Unknown,
}

/// Connections of one account.
struct Connections<'a> {
    outside: Held<'a>,
    blocks: &'a [SshdBlock],
    account: &'a str,
}

impl<'a> Connections<'a> {
    /// How a password lets the account in, the surest way first.
    fn let_in(&self) -> Option<Way<'a>> {
        let about: Vec<Option<About>> = self.blocks.iter().map(|one| self.about(one)).collect();
        let held = |more: &[usize]| {
            let mut held = self.outside;
            for (name, slot) in NAMES.iter().zip(&mut held) {
                let holds =
                    |place: &usize| about[*place] == Some(About::All) || more.contains(place);
                let set = (0..self.blocks.len()).filter(holds).find_map(|place| {
                    self.blocks[place].settings.iter().find(|setting| setting.name == *name)
                });
                *slot = set.unwrap_or(*slot);
            }
            held
        };
        let always = held(&[]);
        if lets_in(&always) {
            return Some(Way::Always(always));
        }
        let of = |wanted: About| {
            let is_wanted = move |(_, about): &(usize, &Option<About>)| **about == Some(wanted);
            about.iter().enumerate().filter(is_wanted).map(|(place, _)| place)
        };
        for place in of(About::Some) {
            let held = held(&[place]);
            if lets_in(&held) {
                return Some(Way::By(&self.blocks[place], held));
            }
        }
        for place in of(About::Unknown) {
            let held = held(&[place]);
            if lets_in(&held) {
                return Some(Way::Perhaps(&self.blocks[place], held));
            }
        }
        // Two that are about the same connection.
        let all: Vec<usize> = of(About::Some).chain(of(About::Unknown)).collect();
        for (number, first) in all.iter().enumerate() {
            for second in all.iter().skip(number + 1) {
                let held = held(&[*first, *second]);
                if lets_in(&held) {
                    return Some(Way::Perhaps(&self.blocks[*first.max(second)], held));
                }
            }
        }
        None
    }

    /// Which of the account's connections a block is about; none where it is about others.
    fn about(&self, block: &SshdBlock) -> Option<About> {
        let mut about = About::All;
        for criterion in &block.criteria {
            let by_this = match criterion.name.as_str() {
                "user" if is_listed(&criterion.patterns, self.account) => About::All,
                // It is there, and has its name.
                "user" | "invalid-user" => return None,
                "address" | "host" | "localaddress" | "localport" | "rdomain" => About::Some,
                _ => About::Unknown,
            };
            about = about.max(by_this);
        }
        Some(about)
    }
}

fn lets_in([root, password, interactive]: &Held<'_>) -> bool {
    root.value == "yes" && [password, interactive].iter().any(|one| one.value == "yes")
}

/// What holds, each with where it is set, and what the block asks of a connection.
fn evidence(held: &Held<'_>, block: Option<&SshdBlock>) -> Vec<Evidence> {
    let criteria = block.map(|block| {
        let mut asks = "Match".to_owned();
        for criterion in &block.criteria {
            asks.push_str(&format!(" {} {}", criterion.name, criterion.patterns));
        }
        Evidence::new(&block.place, asks.trim_end(), "")
    });
    let settings = held.iter().map(|setting| {
        let source = if setting.source.is_empty() { "sshd's default" } else { &setting.source };
        Evidence::new(source, format!("{} {}", setting.name, setting.value), "")
    });
    criteria.into_iter().chain(settings).collect()
}
