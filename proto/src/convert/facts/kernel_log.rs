//! `kernel_log` to and from the wire.

use nodeward_domain::facts::KernelLog;
use nodeward_domain::facts::kernel_log as domain;
use nodeward_domain::observed::Unavailable;

use crate::convert::{Invalid, list, name, required, text, timestamp_in, timestamp_out};
use crate::v1;
use crate::v1::kernel_log as wire;
use crate::v1::kernel_log::Kind;

/// Limits of the lists: what an agent keeps at the most.
const CLASSES: usize = 256;
const FILES: usize = 256;
const FOUND: usize = 256;

impl From<&KernelLog> for v1::KernelLog {
    fn from(log: &KernelLog) -> Self {
        let source = match &log.source {
            domain::LogSource::Kmsg { path } => wire::Source::Kmsg(path.clone()),
            domain::LogSource::File { path, instead } => {
                wire::Source::File(wire::File { path: path.clone(), instead: instead.clone() })
            }
            domain::LogSource::Journal { path, instead } => {
                wire::Source::Journal(wire::File { path: path.clone(), instead: instead.clone() })
            }
            domain::LogSource::Unreadable(unavailable) => {
                wire::Source::Unreadable(unavailable_out(unavailable))
            }
        };
        let journal = match &log.journal {
            domain::JournalRead::Followed(journal) => {
                Some(wire::JournalRead::Followed(wire::Journal {
                    folder: journal.folder.clone(),
                    set_aside: journal.set_aside,
                    skipped: journal.skipped,
                    is_behind: journal.is_behind,
                }))
            }
            domain::JournalRead::Unreadable(unavailable) => {
                Some(wire::JournalRead::JournalUnreadable(unavailable_out(unavailable)))
            }
            domain::JournalRead::NotTold => None,
        };
        Self {
            source: Some(source),
            journal_read: journal,
            events: log.events.iter().map(event_out).collect(),
            lost: log.lost.map(|lost| wire::Lost {
                count: lost.count,
                last_at: Some(timestamp_out(lost.last_at)),
            }),
            imported: log.imported.iter().map(file_out).collect(),
            conditions: log.conditions.iter().map(condition_out).collect(),
            findings: log.findings.iter().map(finding_out).collect(),
            left_out: log.left_out,
        }
    }
}

fn unavailable_out(unavailable: &Unavailable) -> v1::Unavailable {
    v1::Unavailable { place: unavailable.place.clone(), why: unavailable.why.clone() }
}

fn unavailable_in(wire: v1::Unavailable) -> Unavailable {
    Unavailable { place: text(wire.place), why: text(wire.why) }
}

fn journal_in(read: Option<wire::JournalRead>) -> Result<domain::JournalRead, Invalid> {
    Ok(match read {
        Some(wire::JournalRead::Followed(journal)) => {
            domain::JournalRead::Followed(domain::Journal {
                folder: name("followed.folder", journal.folder)?,
                set_aside: journal.set_aside,
                skipped: journal.skipped,
                is_behind: journal.is_behind,
            })
        }
        Some(wire::JournalRead::JournalUnreadable(wire)) => {
            domain::JournalRead::Unreadable(unavailable_in(wire))
        }
        None => domain::JournalRead::NotTold,
    })
}

fn event_out(event: &domain::LogEvent) -> wire::Event {
    let line = |line: &domain::LogLine| wire::Line {
        at: Some(timestamp_out(line.at)),
        sequence: line.sequence,
        subject: line.subject.clone(),
        text: line.text.clone(),
        by_kernel: line.by_kernel,
    };
    wire::Event {
        class: event.class.word().to_owned(),
        count: event.count,
        first_at: Some(timestamp_out(event.first_at)),
        newest: event.newest.iter().map(line).collect(),
    }
}

fn file_out(file: &domain::ImportedFile) -> wire::ImportedFile {
    wire::ImportedFile {
        name: file.name.clone(),
        kind: match file.kind {
            domain::ImportedKind::LogMonitor => Kind::LogMonitor,
            domain::ImportedKind::CustomPlugin => Kind::CustomPlugin,
            domain::ImportedKind::SystemStats => Kind::SystemStats,
            domain::ImportedKind::Other => Kind::Other,
        }
        .into(),
        source: file.source.clone(),
        rules: file.rules,
        follows: file.follows.clone(),
        idle: file.idle.clone(),
    }
}

fn condition_out(one: &domain::ImportedCondition) -> wire::Condition {
    wire::Condition {
        file: one.file.clone(),
        condition: one.condition.clone(),
        reason: one.reason.clone(),
        message: one.message.clone(),
        since: Some(timestamp_out(one.since)),
        last_at: Some(timestamp_out(one.last_at)),
    }
}

fn finding_out(one: &domain::ImportedEvent) -> wire::Finding {
    wire::Finding {
        file: one.file.clone(),
        reason: one.reason.clone(),
        message: one.message.clone(),
        count: one.count,
        first_at: Some(timestamp_out(one.first_at)),
        last_at: Some(timestamp_out(one.last_at)),
    }
}

impl TryFrom<v1::KernelLog> for KernelLog {
    type Error = Invalid;

    fn try_from(log: v1::KernelLog) -> Result<Self, Invalid> {
        let source = match required("source", log.source)? {
            wire::Source::Kmsg(path) => domain::LogSource::Kmsg { path: name("kmsg", path)? },
            wire::Source::File(file) => domain::LogSource::File {
                path: name("file.path", file.path)?,
                instead: text(file.instead),
            },
            wire::Source::Journal(file) => domain::LogSource::Journal {
                path: name("journal.path", file.path)?,
                instead: text(file.instead),
            },
            wire::Source::Unreadable(wire) => domain::LogSource::Unreadable(unavailable_in(wire)),
        };
        let lost = log.lost.map(|lost| {
            let last_at = timestamp_in("lost.last_at", lost.last_at)?;
            Ok(domain::LostLines { count: lost.count, last_at })
        });
        Ok(Self {
            source,
            journal: journal_in(log.journal_read)?,
            // A class that a newer agent knows tells this build nothing.
            events: list("events", log.events, CLASSES, event_in)?.into_iter().flatten().collect(),
            lost: lost.transpose()?,
            imported: list("imported", log.imported, FILES, file_in)?,
            conditions: list("conditions", log.conditions, FOUND, condition_in)?,
            findings: list("findings", log.findings, FOUND, finding_in)?,
            left_out: log.left_out,
        })
    }
}

fn event_in(event: wire::Event) -> Result<Option<domain::LogEvent>, Invalid> {
    let Some(class) = domain::LogClass::from_word(&event.class) else { return Ok(None) };
    let newest = list("newest", event.newest, domain::NEWEST_KEPT, |line| {
        Ok(domain::LogLine {
            at: timestamp_in("at", line.at)?,
            sequence: line.sequence,
            subject: text(line.subject),
            text: text(line.text),
            by_kernel: line.by_kernel,
        })
    })?;
    let first_at = timestamp_in("first_at", event.first_at)?;
    Ok(Some(domain::LogEvent { class, count: event.count, first_at, newest }))
}

fn file_in(file: wire::ImportedFile) -> Result<domain::ImportedFile, Invalid> {
    Ok(domain::ImportedFile {
        name: name("name", file.name)?,
        kind: match Kind::try_from(file.kind) {
            Ok(Kind::LogMonitor) => domain::ImportedKind::LogMonitor,
            Ok(Kind::CustomPlugin) => domain::ImportedKind::CustomPlugin,
            Ok(Kind::SystemStats) => domain::ImportedKind::SystemStats,
            Ok(Kind::Other) => domain::ImportedKind::Other,
            Ok(Kind::Unspecified) | Err(_) => {
                let why = format!("{} is not a kind of file known here", file.kind);
                return Err(Invalid::new("kind", why));
            }
        },
        source: text(file.source),
        rules: file.rules,
        follows: text(file.follows),
        idle: text(file.idle),
    })
}

fn condition_in(one: wire::Condition) -> Result<domain::ImportedCondition, Invalid> {
    Ok(domain::ImportedCondition {
        file: name("file", one.file)?,
        condition: text(one.condition),
        reason: text(one.reason),
        message: text(one.message),
        since: timestamp_in("since", one.since)?,
        last_at: timestamp_in("last_at", one.last_at)?,
    })
}

fn finding_in(one: wire::Finding) -> Result<domain::ImportedEvent, Invalid> {
    Ok(domain::ImportedEvent {
        file: name("file", one.file)?,
        reason: text(one.reason),
        message: text(one.message),
        count: one.count,
        first_at: timestamp_in("first_at", one.first_at)?,
        last_at: timestamp_in("last_at", one.last_at)?,
    })
}
