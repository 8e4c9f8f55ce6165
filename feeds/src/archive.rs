//! Archives, as feeds come in: zip, tar, and tar inside of gzip, xz or zstd, told by their
//! first bytes. Only regular files are handed out, one at a time, as bytes with a name that
//! is nothing but a name: nothing is ever written. Every size has a limit, because a small
//! archive may unpack to anything. Sources: APPNOTE.TXT of PKWARE, POSIX pax, RFC 1952,
//! the formats of xz and zstd.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

/// What may come out of one archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest file.
    pub file_bytes: u64,
    /// All files together, and what is passed over between them.
    pub total_bytes: u64,
    /// So many files and folders.
    pub entries: usize,
    /// Memory for what was unpacked last, which xz and zstd refer back to.
    pub window_bytes: u32,
}

impl Default for Limits {
    /// Room for everything that Ubuntu publishes about its vulnerabilities, several times.
    fn default() -> Self {
        Self {
            file_bytes: 64 << 20,
            total_bytes: 32 << 30,
            entries: 2_000_000,
            window_bytes: 128 << 20,
        }
    }
}

/// Why an archive was refused. `E` is why one of its files was.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError<E: std::error::Error + 'static> {
    /// It is of no known form.
    #[error("{archive}: neither zip nor tar, nor tar inside of gzip, xz or zstd")]
    UnknownForm {
        /// The archive.
        archive: String,
    },
    /// It cannot be read to its end.
    #[error("{archive}: cannot be read behind {behind:?}")]
    Unreadable {
        /// The archive.
        archive: String,
        /// The last file that was read; empty when there was none.
        behind: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is a zip archive that cannot be read.
    #[error("{archive}: no zip archive")]
    Zip {
        /// The archive.
        archive: String,
        /// Why.
        #[source]
        source: zip::result::ZipError,
    },
    /// It is too big.
    #[error("{archive}: {what} of {limit}")]
    TooBig {
        /// The archive.
        archive: String,
        /// What is too big.
        what: String,
        /// The limit.
        limit: u64,
    },
    /// One of its files was refused.
    #[error(transparent)]
    File(E),
}

/// Whether bytes are those of an archive, as their beginning tells. Goes back to it.
pub fn is_archive(bytes: &mut (impl Read + Seek)) -> io::Result<bool> {
    let mut begin = [0; 512];
    let length = fill(bytes, &mut begin)?;
    bytes.rewind()?;
    Ok(match begin.get(..length).unwrap_or_default() {
        [b'P', b'K', 3 | 5, ..]
        | [0x1f, 0x8b, ..]
        | [0xfd, b'7', b'z', b'X', b'Z', 0, ..]
        | [0x28, 0xb5, 0x2f, 0xfd, ..] => true,
        head => head.get(257..262) == Some(b"ustar"),
    })
}

/// Hands every wanted file of an archive to `each`, in the archive's order, and tells how
/// many there were. `wanted` sees the name alone. The first file that `each` refuses ends it.
pub fn for_each_file<E: std::error::Error + 'static>(
    archive: &str,
    mut bytes: impl Read + Seek,
    limits: Limits,
    wanted: impl FnMut(&str) -> bool,
    each: impl FnMut(&str, &[u8]) -> Result<(), E>,
) -> Result<usize, ArchiveError<E>> {
    let mut walk =
        Walk { archive, limits, wanted, each, entries: 0, files: 0, last: String::new() };
    let mut begin = [0; 6];
    let length = fill(&mut bytes, &mut begin).map_err(|source| walk.unreadable(source))?;
    bytes.rewind().map_err(|source| walk.unreadable(source))?;
    let buffered = BufReader::new(bytes);
    match begin.get(..length).unwrap_or_default() {
        [b'P', b'K', 3 | 5, ..] => walk.zip(buffered)?,
        [0x1f, 0x8b, ..] => walk.tar(flate2::bufread::MultiGzDecoder::new(buffered))?,
        [0xfd, b'7', b'z', b'X', b'Z', 0] => {
            let limit_kib = limits.window_bytes / 1024;
            walk.tar(lzma_rust2::XzReader::new_mem_limit(buffered, true, limit_kib))?;
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            walk.tar(Frames { input: Some(buffered), frame: None, limits })?;
        }
        _ => walk.plain_tar(buffered)?,
    }
    Ok(walk.files)
}

/// Reads until the buffer is full or nothing follows.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match input.read(rest)? {
            0 => break,
            count => length += count,
        }
    }
    Ok(length)
}

struct Walk<'a, W, F> {
    archive: &'a str,
    limits: Limits,
    wanted: W,
    each: F,
    entries: usize,
    files: usize,
    last: String,
}

impl<W, F, E> Walk<'_, W, F>
where
    W: FnMut(&str) -> bool,
    F: FnMut(&str, &[u8]) -> Result<(), E>,
    E: std::error::Error + 'static,
{
    fn unreadable(&self, source: io::Error) -> ArchiveError<E> {
        ArchiveError::Unreadable {
            archive: self.archive.to_owned(),
            behind: self.last.clone(),
            source,
        }
    }

    fn too_big(&self, what: impl Into<String>, limit: u64) -> ArchiveError<E> {
        ArchiveError::TooBig { archive: self.archive.to_owned(), what: what.into(), limit }
    }

    fn count(&mut self) -> Result<(), ArchiveError<E>> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            let limit = u64::try_from(self.limits.entries).unwrap_or(u64::MAX);
            return Err(self.too_big("more entries than the limit", limit));
        }
        Ok(())
    }

    fn plain_tar(&mut self, mut input: impl BufRead + Seek) -> Result<(), ArchiveError<E>> {
        // Where POSIX puts the mark of its form.
        let mut head = [0; 512];
        let length = fill(&mut input, &mut head).map_err(|source| self.unreadable(source))?;
        if length < head.len() || head.get(257..262) != Some(b"ustar") {
            return Err(ArchiveError::UnknownForm { archive: self.archive.to_owned() });
        }
        // It ends with blocks of zeros. One that was cut off between two files looks like a
        // shorter archive otherwise.
        let mut tail = [0; 512];
        input
            .seek(SeekFrom::End(-512))
            .and_then(|_| input.read_exact(&mut tail))
            .and_then(|()| input.rewind())
            .map_err(|source| self.unreadable(source))?;
        if tail.iter().any(|byte| *byte != 0) {
            return Err(self.unreadable(io::ErrorKind::UnexpectedEof.into()));
        }
        self.tar(input)
    }

    fn tar(&mut self, input: impl Read) -> Result<(), ArchiveError<E>> {
        // A reader that says that it was stopped at the limit, not that all is read.
        let total = self.limits.total_bytes;
        let mut archive = tar::Archive::new(Counted { input, left: total });
        let mut buffer = Vec::new();
        let entries = archive.entries().map_err(|source| self.unreadable(source))?;
        for entry in entries {
            let mut entry = entry.map_err(|source| self.unreadable(source))?;
            self.count()?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let size = entry.size();
            self.file(name, size, &mut entry, &mut buffer)?;
        }
        // Compressed streams have an end of their own, which tells that nothing is missing.
        let mut rest = archive.into_inner();
        io::copy(&mut rest, &mut io::sink()).map_err(|source| self.unreadable(source))?;
        Ok(())
    }

    fn zip(&mut self, input: impl Read + Seek) -> Result<(), ArchiveError<E>> {
        let broken =
            |archive: &str, source| ArchiveError::Zip { archive: archive.to_owned(), source };
        let mut archive =
            zip::ZipArchive::new(input).map_err(|source| broken(self.archive, source))?;
        let mut left = self.limits.total_bytes;
        let mut buffer = Vec::new();
        for index in 0..archive.len() {
            self.count()?;
            let mut entry =
                archive.by_index(index).map_err(|source| broken(self.archive, source))?;
            if !entry.is_file() {
                continue;
            }
            let name = entry.name().map_err(|source| broken(self.archive, source))?.into_owned();
            let size = entry.size();
            self.file(name, size, &mut entry, &mut buffer)?;
            let read = u64::try_from(buffer.len()).unwrap_or(u64::MAX);
            left = left.checked_sub(read).ok_or_else(|| {
                self.too_big("more unpacked bytes than the limit", self.limits.total_bytes)
            })?;
        }
        Ok(())
    }

    fn file(
        &mut self,
        name: String,
        size: u64,
        entry: &mut impl Read,
        buffer: &mut Vec<u8>,
    ) -> Result<(), ArchiveError<E>> {
        buffer.clear();
        if !(self.wanted)(&name) {
            self.last = name;
            return Ok(());
        }
        let limit = self.limits.file_bytes;
        let too_long =
            |walk: &Self| walk.too_big(format!("{name} is longer than the limit"), limit);
        // The size that stands there may be a lie.
        if size > limit {
            return Err(too_long(self));
        }
        let read = entry.take(limit + 1).read_to_end(buffer);
        read.map_err(|source| self.unreadable(source))?;
        if u64::try_from(buffer.len()).unwrap_or(u64::MAX) > limit {
            return Err(too_long(self));
        }
        (self.each)(&name, buffer).map_err(ArchiveError::File)?;
        self.files += 1;
        self.last = name;
        Ok(())
    }
}

/// Reads until a limit, and fails there.
struct Counted<R> {
    input: R,
    left: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        let read = u64::try_from(count).unwrap_or(u64::MAX);
        self.left = self
            .left
            .checked_sub(read)
            .ok_or_else(|| io::Error::other("it unpacks to more bytes than the limit"))?;
        Ok(count)
    }
}

/// The frames of a zstd stream, one after the other: the decoder stops behind each.
struct Frames<R: Read> {
    input: Option<R>,
    frame: Option<Frame<R>>,
    limits: Limits,
}

type Frame<R> = ruzstd::decoding::StreamingDecoder<R, ruzstd::decoding::FrameDecoder>;

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(frame) = &mut self.frame {
                let count = frame.read(buffer)?;
                if count > 0 || buffer.is_empty() {
                    return Ok(count);
                }
                self.input = self.frame.take().map(Frame::into_inner);
            }
            let Some(mut input) = self.input.take() else {
                return Ok(0);
            };
            if input.fill_buf()?.is_empty() {
                return Ok(0);
            }
            let window = u64::from(self.limits.window_bytes);
            let frame = Frame::new_with_max_window_size(input, window);
            self.frame = Some(frame.map_err(io::Error::other)?);
        }
    }
}

#[cfg(test)]
mod tests;
