//! Who logged in, by the records of utmp(5) in `wtmp`: 384 bytes each where times of 32 bits
//! are kept (x86), 400 where they are of 64 (arm64). Names of accounts and times are taken;
//! terminals and addresses stay where they are.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use nodeward_domain::facts::UnreadPlace;
use nodeward_domain::facts::node_access::{AccountLogins, Logins};

use super::{unread, unread_at};
use crate::host::{Host, HostError, HostRoot};

/// Of these the second is what the first one was before it was rotated. With `dateext`
/// logrotate(8) names it by the day instead, `wtmp-YYYYMMDD`.
const FILES: [&str; 2] = ["/var/log/wtmp", "/var/log/wtmp.1"];
const FOLDER: &str = "/var/log";
const DATED: &str = "wtmp-";

/// Where newer systems keep logins instead, as databases.
const DATABASES: [&str; 2] = ["/var/lib/wtmpdb/wtmp.db", "/var/lib/lastlog/lastlog2.db"];

/// A database that was written to so long after the newest record of the files is where
/// logins are kept. The two are written one after the other where both are.
const LATER: SignedDuration = SignedDuration::from_mins(1);

/// So much of the end of each file is read, in whole records of either length: some 2,600.
const LIMIT_BYTES: u64 = 9600 * 104;

/// So many accounts are told of: those that logged in last.
const ACCOUNTS: usize = 256;

/// `USER_PROCESS`: somebody has logged in.
const USER_PROCESS: i16 = 7;

/// Types run from `EMPTY` to `ACCOUNTING`.
const TYPES: std::ops::RangeInclusive<i16> = 0..=9;

/// Where `ut_user` stands, and how long it is.
const USER: std::ops::Range<usize> = 44..76;

/// A form of records.
#[derive(Debug, Clone, Copy)]
struct Layout {
    length: usize,
    /// Where `ut_tv` stands; its seconds are first.
    time: usize,
    is_wide: bool,
}

const LAYOUTS: [Layout; 2] = [
    Layout { length: 384, time: 340, is_wide: false },
    Layout { length: 400, time: 344, is_wide: true },
];

/// What is seen of logins.
pub(super) fn read(host: &Host) -> Logins {
    match records(host) {
        Ok(logins) => logins,
        Err(unread) => Logins::Unreadable(unread),
    }
}

fn records(host: &Host) -> Result<Logins, UnreadPlace> {
    let root = &host.root;
    let mut files = Vec::new();
    let mut all = Vec::new();
    let dated = newest_dated(root).map_err(|error| unread(&error))?;
    for path in FILES.into_iter().chain(dated.as_deref()) {
        let (bytes, length) = match root.read_end(path, LIMIT_BYTES) {
            Err(HostError::Missing { .. }) => continue,
            read => read.map_err(|error| unread(&error))?,
        };
        all.extend(parse(&bytes, length).map_err(|why| unread_at(path, why))?);
        files.push(path.to_owned());
    }
    if files.is_empty() {
        let database = root.existing(&DATABASES).map_err(|error| unread(&error))?;
        return match database.first() {
            Some(path) => Err(unread_at(path, "is a database, which is not read")),
            None => Ok(Logins::NotKept),
        };
    }
    let since = all.iter().map(|record| record.at).min();
    let newest = all.iter().map(|record| record.at).max();
    let beside = DATABASES.into_iter().find_map(|path| newer(host, path, newest));
    let mut accounts: BTreeMap<&str, (Timestamp, u32)> = BTreeMap::new();
    for Record { user, at } in &all {
        let Some(user) = user else { continue };
        let (last, count) = accounts.entry(user).or_insert((*at, 0));
        *last = (*last).max(*at);
        *count = count.saturating_add(1);
    }
    let mut accounts: Vec<AccountLogins> = accounts
        .into_iter()
        .map(|(account, (last_at, count))| AccountLogins {
            account: account.to_owned(),
            last_at,
            count,
        })
        .collect();
    accounts.sort_by_key(|one| std::cmp::Reverse(one.last_at));
    accounts.truncate(ACCOUNTS);
    accounts.sort();
    Ok(Logins::Read { files, since, accounts, beside })
}

/// The file that was rotated last, of those that are named by their day.
fn newest_dated(root: &HostRoot) -> Result<Option<String>, HostError> {
    let names = match root.list(FOLDER) {
        Err(HostError::Missing { .. }) => return Ok(None),
        names => names?,
    };
    let is_dated = |name: &String| {
        let day = name.strip_prefix(DATED).unwrap_or_default();
        day.len() >= 8 && day.bytes().all(|byte| byte.is_ascii_digit())
    };
    Ok(names.into_iter().rfind(is_dated).map(|name| format!("{FOLDER}/{name}")))
}

/// Why a database is not read, where it is not older than the newest record of the files.
fn newer(host: &Host, path: &str, newest: Option<Timestamp>) -> Option<UnreadPlace> {
    match host.modified(path) {
        Err(HostError::Missing { .. }) => None,
        Err(error) => Some(unread(&error)),
        Ok(written) if newest.is_some_and(|newest| written.duration_since(newest) <= LATER) => None,
        Ok(_) => Some(unread_at(path, "is a database, newer than the files, and is not read")),
    }
}

/// One record, with the account if it is that of a login.
#[derive(Debug, PartialEq, Eq)]
struct Record {
    user: Option<String>,
    at: Timestamp,
}

/// The records at the end of a file of so many bytes.
fn parse(bytes: &[u8], length: u64) -> Result<Vec<Record>, String> {
    let fits = |layout: &&Layout| {
        let record = layout.length as u64;
        length.is_multiple_of(record)
            && records_of(bytes, **layout).all(|one| is_record(one, **layout))
    };
    let Some(layout) = LAYOUTS.iter().find(fits) else {
        let why = "is not made of records of utmp(5)";
        return Err(why.to_owned());
    };
    Ok(records_of(bytes, *layout).filter_map(|one| record(one, *layout)).collect())
}

/// Whole records, counted from the end of the file.
fn records_of(bytes: &[u8], layout: Layout) -> impl Iterator<Item = &[u8]> {
    bytes.rchunks_exact(layout.length)
}

fn kind(record: &[u8]) -> Option<i16> {
    record.first_chunk::<2>().map(|bytes| i16::from_le_bytes(*bytes))
}

/// Seconds since 1970. Times of 32 bits are unsigned since glibc 2.34, and go on to 2106.
fn seconds(record: &[u8], layout: Layout) -> Option<i64> {
    let time = record.get(layout.time..)?;
    match layout.is_wide {
        true => time.first_chunk::<8>().map(|bytes| i64::from_le_bytes(*bytes)),
        false => time.first_chunk::<4>().map(|bytes| i64::from(u32::from_le_bytes(*bytes))),
    }
}

fn is_record(record: &[u8], layout: Layout) -> bool {
    // Between type and pid are two bytes that nothing is in.
    let is_kind = kind(record).is_some_and(|kind| TYPES.contains(&kind));
    let padding = record.get(2..4).is_some_and(|padding| padding == [0, 0]);
    let microseconds = layout.time + if layout.is_wide { 8 } else { 4 };
    let microseconds = record.get(microseconds..).and_then(|rest| rest.first_chunk::<4>());
    let is_time = microseconds.is_some_and(|bytes| u32::from_le_bytes(*bytes) < 1_000_000);
    is_kind && padding && is_time && seconds(record, layout).is_some()
}

fn record(record: &[u8], layout: Layout) -> Option<Record> {
    let at = Timestamp::from_second(seconds(record, layout)?).ok()?;
    // A record that was emptied has no time.
    if at <= Timestamp::UNIX_EPOCH {
        return None;
    }
    let user = record.get(USER)?;
    let end = user.iter().position(|byte| *byte == 0).unwrap_or(user.len());
    let name = String::from_utf8_lossy(user.get(..end)?).into_owned();
    let is_login = kind(record) == Some(USER_PROCESS) && !name.is_empty();
    Some(Record { user: is_login.then_some(name), at })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    use crate::probe::{Probes, Recording};

    /// A record as the kernel's machine writes it.
    fn written(layout: Layout, kind: i16, user: &str, seconds: u32) -> Vec<u8> {
        let mut record = vec![0; layout.length];
        record[..2].copy_from_slice(&kind.to_le_bytes());
        record[USER][..user.len()].copy_from_slice(user.as_bytes());
        record[76..90].copy_from_slice(b"198.51.100.231");
        record[layout.time..layout.time + 4].copy_from_slice(&seconds.to_le_bytes());
        record
    }

    fn at(seconds: u32) -> Timestamp {
        Timestamp::from_second(seconds.into()).expect("a moment")
    }

    fn seen(wtmp: &[u8], rotated: Option<&[u8]>) -> Logins {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("var/log");
        std::fs::create_dir_all(&log).expect("made");
        std::fs::write(log.join("wtmp"), wtmp).expect("written");
        if let Some(rotated) = rotated {
            std::fs::write(log.join("wtmp.1"), rotated).expect("written");
        }
        read(&host(folder.path(), Recording::default()))
    }

    fn host(root: &Path, recording: Recording) -> Host {
        Host::new(HostRoot::open(root).expect("a directory"), Probes::Recorded(Box::new(recording)))
    }

    #[test]
    fn logins_are_counted_by_account_in_either_form() {
        for layout in LAYOUTS {
            let wtmp = [
                written(layout, 2, "reboot", 1_790_000_000),
                written(layout, USER_PROCESS, "azureuser", 1_790_000_100),
                written(layout, 8, "", 1_790_000_200),
                written(layout, USER_PROCESS, "azureuser", 1_790_000_300),
            ]
            .concat();
            let rotated = written(layout, USER_PROCESS, "root", 1_780_000_000);
            let login = |account: &str, last, count| AccountLogins {
                account: account.to_owned(),
                last_at: at(last),
                count,
            };
            let expected = Logins::Read {
                files: FILES.map(str::to_owned).to_vec(),
                since: Some(at(1_780_000_000)),
                accounts: vec![
                    login("azureuser", 1_790_000_300, 2),
                    login("root", 1_780_000_000, 1),
                ],
                beside: None,
            };
            let logins = seen(&wtmp, Some(&rotated));
            assert_eq!(logins, expected);
            assert!(!format!("{logins:?}").contains("198.51"), "{logins:?}");
        }
    }

    #[test]
    fn of_a_long_file_the_end_is_read() {
        let layout = LAYOUTS[0];
        let mut wtmp = written(layout, USER_PROCESS, "first", 1_700_000_000);
        for number in 0..4000 {
            wtmp.extend(written(layout, USER_PROCESS, "later", 1_790_000_000 + number));
        }
        let Logins::Read { accounts, .. } = seen(&wtmp, None) else { panic!("read") };
        let names: Vec<&str> = accounts.iter().map(|one| one.account.as_str()).collect();
        assert_eq!(names, ["later"]);
        assert_eq!(accounts[0].count, u32::try_from(LIMIT_BYTES).expect("small") / 384);
    }

    #[test]
    fn what_is_no_record_is_told_to_be_none() {
        let whole = written(LAYOUTS[0], USER_PROCESS, "a", 1_790_000_000);
        for bytes in [&whole[..200], &[0xff; 384][..], &[whole.as_slice(), b"x"].concat()] {
            assert!(matches!(seen(bytes, None), Logins::Unreadable(_)));
        }
        assert!(matches!(seen(b"", None), Logins::Read { since: None, .. }));
        let folder = tempfile::tempdir().expect("a folder");
        let root = host(folder.path(), Recording::default());
        assert_eq!(read(&root), Logins::NotKept);
        let database = folder.path().join("var/lib/wtmpdb");
        std::fs::create_dir_all(&database).expect("made");
        std::fs::write(database.join("wtmp.db"), "SQLite format 3").expect("written");
        assert!(matches!(read(&root), Logins::Unreadable(_)));
    }
    #[test]
    fn a_database_counts_when_it_is_newer_than_the_files() {
        const DATABASE: &str = "/var/lib/wtmpdb/wtmp.db";
        let folder = tempfile::tempdir().expect("a folder");
        for path in ["var/log", "var/lib/wtmpdb"] {
            std::fs::create_dir_all(folder.path().join(path)).expect("made");
        }
        let wtmp = written(LAYOUTS[0], USER_PROCESS, "root", 1_790_000_000);
        std::fs::write(folder.path().join("var/log/wtmp"), wtmp).expect("written");
        std::fs::write(folder.path().join(&DATABASE[1..]), "SQLite format 3").expect("written");
        let seen = |modified: Option<u32>| {
            let mut recording = Recording::default();
            recording.modified.extend(modified.map(|modified| (DATABASE.to_owned(), at(modified))));
            match read(&host(folder.path(), recording)) {
                Logins::Read { accounts, beside, .. } => {
                    (accounts.len(), beside.map(|unread| unread.path))
                }
                other => panic!("{other:?}"),
            }
        };
        // Both are written at each login.
        assert_eq!(seen(Some(1_790_000_030)), (1, None));
        assert_eq!(seen(Some(1_780_000_000)), (1, None));
        assert_eq!(seen(Some(1_790_000_300)), (1, Some(DATABASE.to_owned())));
        // Which of them is newer is not known.
        assert_eq!(seen(None), (1, Some(DATABASE.to_owned())));
        // Files without a record are not where logins are kept.
        std::fs::write(folder.path().join("var/log/wtmp"), "").expect("written");
        assert_eq!(seen(Some(1_780_000_000)), (0, Some(DATABASE.to_owned())));
    }

    #[test]
    fn a_rotated_file_may_be_named_by_its_day() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("var/log");
        std::fs::create_dir_all(&log).expect("made");
        let login = |user, seconds| written(LAYOUTS[0], USER_PROCESS, user, seconds);
        for (name, record) in [
            ("wtmp", Vec::new()),
            ("wtmp-20260901", login("old", 1_788_000_000)),
            ("wtmp-20261001", login("root", 1_790_000_000)),
            ("wtmp-20261101.gz", b"packed".to_vec()),
        ] {
            std::fs::write(log.join(name), record).expect("written");
        }
        let Logins::Read { files, accounts, .. } = read(&host(folder.path(), Recording::default()))
        else {
            panic!("read")
        };
        assert_eq!(files, ["/var/log/wtmp", "/var/log/wtmp-20261001"]);
        assert_eq!(accounts.len(), 1);
    }
}
