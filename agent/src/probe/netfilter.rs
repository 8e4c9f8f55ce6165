//! The rules of nf_tables, as the kernel tells them over netlink(7) to whoever has
//! CAP_NET_ADMIN in the network that is asked about. Only what lists is asked; what changes
//! rules are other messages, and none of them stands here.

use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, setsockopt, socket,
    sockopt::ReceiveTimeout,
};
use nix::sys::time::TimeVal;

use crate::nftables::{ASKED, GENERATION_ASKED, RULES_ASKED, Ruleset};

/// What the answer says in the place of rules, for evidence.
pub(super) const PLACE: &str = "netlink:nf_tables";

/// What the kernel lets nobody do without.
const LACKING: &str = "needs CAP_NET_ADMIN, which the agent has not";

/// All of it may take so long, and be so much.
const LIMIT: Duration = Duration::from_secs(2);
const LIMIT_BYTES: usize = 32 * 1024 * 1024;

/// The kernel waits for nobody: when it has not answered by then, it does not.
const ANSWER_LIMIT_MICROSECONDS: i64 = 500_000;

/// Rules that change while they are told are asked for again so often.
const ATTEMPTS: u32 = 3;

/// A message of the kernel's is never longer than the 32 KiB that it makes room for.
const MESSAGE_BYTES: usize = 64 * 1024;

/// The head of a message, `struct nlmsghdr`, and of the ones asked here, `struct nfgenmsg`.
const HEAD_BYTES: usize = 16;
const ASKED_BYTES: usize = HEAD_BYTES + 4;

/// The head of an attribute, and the one that names the table whose rules are asked for,
/// `NFTA_RULE_TABLE`.
const ATTRIBUTE_BYTES: usize = 4;
const OF_TABLE: u16 = 1;

/// `NFPROTO_UNSPEC`.
const EVERY_FAMILY: u8 = 0;

/// `NLM_F_REQUEST | NLM_F_DUMP`, and what is said of a list that changed meanwhile.
const LIST: u16 = 0x1 | 0x300;
/// `NLM_F_REQUEST | NLM_F_ACK`: of what is no list, whose end would be told.
const ONE: u16 = 0x1 | 0x4;
const CHANGED: u16 = 0x10;

/// `NLMSG_ERROR` and `NLMSG_DONE`.
const ERROR: u16 = 2;
const DONE: u16 = 3;

/// Every rule of the calling thread's network, or why not.
pub(super) fn rules() -> Result<Ruleset, String> {
    let begun = Instant::now();
    for _ in 0..ATTEMPTS {
        if let Some(ruleset) = attempt(begun)? {
            return Ok(ruleset);
        }
    }
    Err(format!("the rules changed while they were told, {ATTEMPTS} times"))
}

/// None when something changed in the midst.
fn attempt(begun: Instant) -> Result<Option<Ruleset>, String> {
    let told = |error: Errno| match error {
        Errno::EPERM | Errno::EACCES => LACKING.to_owned(),
        error => format!("netlink: {error}"),
    };
    let flags = SockFlag::SOCK_CLOEXEC;
    let protocol = SockProtocol::NetlinkNetFilter;
    let kernel = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol).map_err(told)?;
    let limit = TimeVal::new(0, ANSWER_LIMIT_MICROSECONDS);
    setsockopt(&kernel, ReceiveTimeout, &limit).map_err(told)?;
    let mut ruleset = Ruleset::default();
    let mut buffer = vec![0; MESSAGE_BYTES];
    let mut left_bytes = LIMIT_BYTES;
    let mut number = 0;
    let mut ask = |ruleset: &mut Ruleset, kind: u16, family: u8, table: &str| {
        number += 1;
        let question = question(kind, number, family, table);
        send(kernel.as_raw_fd(), &question, MsgFlags::empty()).map_err(told)?;
        loop {
            if begun.elapsed() > LIMIT {
                return Err(format!("the rules were not told within {} s", LIMIT.as_secs()));
            }
            let length = match recv(kernel.as_raw_fd(), &mut buffer, MsgFlags::MSG_TRUNC) {
                Err(Errno::EINTR) => continue,
                length => length.map_err(told)?,
            };
            let bytes =
                buffer.get(..length).ok_or("netlink: a message is longer than it may be")?;
            left_bytes = left_bytes
                .checked_sub(length)
                .ok_or_else(|| format!("the rules are longer than {LIMIT_BYTES} bytes"))?;
            match told_by(bytes, number, ruleset)? {
                Part::More => {}
                Part::Last => return Ok(true),
                Part::Changed => return Ok(false),
                Part::Refused(error) => return Err(told(error)),
            }
        }
    };
    // Each list is whole, and what changed between two of them only this tells.
    ask(&mut ruleset, GENERATION_ASKED, EVERY_FAMILY, "")?;
    let generation = ruleset.generation();
    for kind in ASKED {
        if !ask(&mut ruleset, kind, EVERY_FAMILY, "")? {
            return Ok(None);
        }
    }
    let hooked: Vec<(u8, String)> =
        ruleset.hooked().map(|(family, table)| (family, table.to_owned())).collect();
    for (family, table) in hooked {
        if !ask(&mut ruleset, RULES_ASKED, family, &table)? {
            return Ok(None);
        }
    }
    ask(&mut ruleset, GENERATION_ASKED, EVERY_FAMILY, "")?;
    Ok((ruleset.generation() == generation).then_some(ruleset))
}

/// The question for a list, of that family, and of one table where it is named; or for the
/// generation, which is none.
fn question(kind: u16, number: u32, family: u8, table: &str) -> Vec<u8> {
    let mut question = vec![0; ASKED_BYTES];
    question[4..6].copy_from_slice(&kind.to_ne_bytes());
    let flags = if kind == GENERATION_ASKED { ONE } else { LIST };
    question[6..8].copy_from_slice(&flags.to_ne_bytes());
    question[8..12].copy_from_slice(&number.to_ne_bytes());
    question[HEAD_BYTES] = family;
    if !table.is_empty() {
        // A name ends with a zero, and an attribute at a multiple of four bytes.
        let length = u16::try_from(ATTRIBUTE_BYTES + table.len() + 1).unwrap_or(u16::MAX);
        question.extend(length.to_ne_bytes());
        question.extend(OF_TABLE.to_ne_bytes());
        question.extend(table.bytes());
        question.push(0);
        question.resize(question.len().next_multiple_of(4), 0);
    }
    let length = u32::try_from(question.len()).unwrap_or(u32::MAX);
    question[..4].copy_from_slice(&length.to_ne_bytes());
    question
}

/// What a part of the answer was.
enum Part {
    More,
    Last,
    Changed,
    Refused(Errno),
}

fn told_by(mut bytes: &[u8], number: u32, ruleset: &mut Ruleset) -> Result<Part, String> {
    let word = |bytes: &[u8], at: usize| {
        let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
        four.map(u32::from_ne_bytes).ok_or("netlink: a message ends too early")
    };
    let half = |bytes: &[u8], at: usize| {
        let two = bytes.get(at..at + 2).and_then(|two| two.try_into().ok());
        two.map(u16::from_ne_bytes).ok_or("netlink: a message ends too early")
    };
    while !bytes.is_empty() {
        let length = usize::try_from(word(bytes, 0)?).unwrap_or(usize::MAX);
        let (kind, flags) = (half(bytes, 4)?, half(bytes, 6)?);
        let message = bytes.get(..length).filter(|message| message.len() >= HEAD_BYTES);
        let message = message.ok_or("netlink: a message ends too early")?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        // What answers no question of ours is none of ours.
        if word(message, 8)? != number {
            continue;
        }
        match kind {
            ERROR | DONE => {
                let error = word(message, HEAD_BYTES)?.cast_signed();
                return Ok(match error {
                    0 if flags & CHANGED != 0 => Part::Changed,
                    0 => Part::Last,
                    error if Errno::from_raw(-error) == Errno::EINTR => Part::Changed,
                    error => Part::Refused(Errno::from_raw(-error)),
                });
            }
            _ if flags & CHANGED != 0 => return Ok(Part::Changed),
            _ => ruleset.take(message).map_err(|error| format!("netlink: {error}"))?,
        }
    }
    Ok(Part::More)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, flags: u16, number: u32, body: &[u8]) -> Vec<u8> {
        let mut message = ((HEAD_BYTES + body.len()) as u32).to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.extend(flags.to_ne_bytes());
        message.extend(number.to_ne_bytes());
        message.extend([0; 4]);
        message.extend(body);
        message
    }

    fn read(bytes: &[u8]) -> String {
        match told_by(bytes, 7, &mut Ruleset::default()) {
            Ok(Part::More) => "more".to_owned(),
            Ok(Part::Last) => "last".to_owned(),
            Ok(Part::Changed) => "changed".to_owned(),
            Ok(Part::Refused(error)) => error.to_string(),
            Err(why) => why,
        }
    }

    #[test]
    fn an_answer_ends_or_is_refused_or_has_changed() {
        assert_eq!(read(&message(DONE, 0, 7, &[0; 4])), "last");
        assert_eq!(read(&message(DONE, 0, 8, &[0; 4])), "more");
        assert_eq!(read(&message(DONE, CHANGED, 7, &[0; 4])), "changed");
        let refused = read(&message(ERROR, 0, 7, &(-1_i32).to_ne_bytes()));
        assert!(refused.starts_with("EPERM"), "{refused}");
        let mut two = message(0xa00, 2, 7, &[2, 0, 0, 0]);
        two.extend(message(DONE, 0, 7, &[0; 4]));
        assert_eq!(read(&two), "last");
        let short = read(&two[..two.len() - 1]);
        assert!(short.contains("too early"), "{short}");
    }
}
