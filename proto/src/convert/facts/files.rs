//! Facts of `files` to and from the wire.

use std::fmt::Write as _;

use nodeward_domain::facts as domain;
use nodeward_domain::facts::files::{FileContent, FileForm, ManagedFile};

use crate::convert::{Invalid, list, name, optional_timestamp, required, text, timestamp_out};
use crate::v1;
use crate::v1::files as wire;

/// Some ten times the files that are looked at on a real node.
const FILES: usize = 1024;
/// Places are few.
pub(super) const PLACES: usize = 256;

impl From<&domain::UnreadPlace> for v1::UnreadPlace {
    fn from(place: &domain::UnreadPlace) -> Self {
        Self { path: place.path.clone(), why: place.why.clone() }
    }
}

impl TryFrom<v1::UnreadPlace> for domain::UnreadPlace {
    type Error = Invalid;

    fn try_from(place: v1::UnreadPlace) -> Result<Self, Invalid> {
        Ok(Self { path: text(place.path), why: text(place.why) })
    }
}

impl From<&domain::Files> for v1::Files {
    fn from(files: &domain::Files) -> Self {
        Self {
            files: files.files.iter().map(file_out).collect(),
            left_out: files.left_out,
            unread: files.unread.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::Files> for domain::Files {
    type Error = Invalid;

    fn try_from(files: v1::Files) -> Result<Self, Invalid> {
        let mut read = list("files", files.files, FILES, file_in)?;
        // They are looked for by path, and a path that was cut may stand elsewhere.
        read.sort_by(|a, b| a.path.cmp(&b.path));
        read.dedup_by(|a, b| a.path == b.path);
        Ok(Self {
            files: read,
            left_out: files.left_out,
            unread: list("unread", files.unread, PLACES, TryInto::try_into)?,
        })
    }
}

fn file_out(file: &ManagedFile) -> wire::File {
    use wire::file::Content;
    wire::File {
        path: file.path.clone(),
        content: Some(match &file.form.content {
            FileContent::Digest(digest) => Content::Digest(bytes(digest)),
            FileContent::Link(target) => Content::Link(target.clone()),
            FileContent::NotRead => Content::NotOpened(wire::NotOpened {}),
            FileContent::Other(kind) => Content::Other(kind.clone()),
            FileContent::Unreadable(why) => Content::Unreadable(why.clone()),
        }),
        mode: file.form.mode,
        uid: file.form.uid,
        gid: file.form.gid,
        size_bytes: file.size_bytes,
        written_at: file.written_at.map(timestamp_out),
    }
}

fn file_in(file: wire::File) -> Result<ManagedFile, Invalid> {
    use wire::file::Content;
    Ok(ManagedFile {
        path: name("path", file.path)?,
        form: FileForm {
            content: match required("content", file.content)? {
                Content::Digest(digest) => FileContent::Digest(hexadecimal(&digest)?),
                Content::Link(target) => FileContent::Link(text(target)),
                Content::NotOpened(_) => FileContent::NotRead,
                Content::Other(kind) => FileContent::Other(text(kind)),
                Content::Unreadable(why) => FileContent::Unreadable(text(why)),
            },
            mode: file.mode,
            uid: file.uid,
            gid: file.gid,
        },
        size_bytes: file.size_bytes,
        written_at: optional_timestamp("written_at", file.written_at)?,
    })
}

/// The bytes of a digest in hexadecimal; what is none ends where it stops being one.
fn bytes(digest: &str) -> Vec<u8> {
    let pairs = digest.as_bytes().chunks_exact(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.map_while(byte).collect()
}

fn hexadecimal(digest: &[u8]) -> Result<String, Invalid> {
    if digest.len() != 32 {
        return Err(Invalid::new("digest", format!("has {} bytes, not 32", digest.len())));
    }
    let mut text = String::with_capacity(64);
    for byte in digest {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}
