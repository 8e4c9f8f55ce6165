//! Tests of archives: every form, cut off anywhere, and too big in every way.

use std::io::{Cursor, Write as _};

use super::*;

/// Why a file was refused.
#[derive(Debug, thiserror::Error)]
#[error("{0} is refused")]
struct Refused(String);

const FILES: [(&str, &str); 3] = [
    ("osv/USN-1-1.json", "{\"id\":\"one\"}"),
    ("README.md", "read me"),
    ("osv/USN-2-1.json", "{}"),
];

fn tarball() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, text) in FILES {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, text.as_bytes()).expect("memory");
    }
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    builder.append_link(&mut link, "osv/link.json", "/etc/passwd").expect("memory");
    builder.into_inner().expect("memory")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let options = lzma_rust2::XzOptions::with_preset(1);
    let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), options).expect("options");
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    let level = ruzstd::encoding::CompressionLevel::Fastest;
    ruzstd::encoding::compress_to_vec(bytes, level)
}

fn zipped() -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated);
    for (name, text) in FILES {
        writer.start_file(name, options).expect("memory");
        writer.write_all(text.as_bytes()).expect("memory");
    }
    writer.finish().expect("memory").into_inner()
}

/// Every form with its name.
fn forms() -> [(&'static str, Vec<u8>); 5] {
    [
        ("tar", tarball()),
        ("tar.gz", gzip(&tarball())),
        ("tar.xz", xz(&tarball())),
        ("tar.zst", zstd(&tarball())),
        ("zip", zipped()),
    ]
}

fn read(bytes: &[u8], limits: Limits) -> Result<Vec<(String, String)>, ArchiveError<Refused>> {
    let mut files = Vec::new();
    let wanted = |name: &str| name.ends_with(".json");
    let count = for_each_file("feed", Cursor::new(bytes), limits, wanted, |name, bytes| {
        files.push((name.to_owned(), String::from_utf8_lossy(bytes).into_owned()));
        Ok(())
    })?;
    assert_eq!(count, files.len());
    Ok(files)
}

#[test]
fn every_form_gives_its_regular_files() {
    for (form, bytes) in forms() {
        let files =
            read(&bytes, Limits::default()).unwrap_or_else(|error| panic!("{form}: {error}"));
        let expected: Vec<_> =
            [FILES[0], FILES[2]].map(|(name, text)| (name.to_owned(), text.to_owned())).to_vec();
        assert_eq!(files, expected, "{form}");
    }
    // Several streams behind each other are one.
    let (front, back) = tarball().split_at(700).to_owned_halves();
    for pack in [gzip, xz, zstd] {
        let both = [pack(&front), pack(&back)].concat();
        assert_eq!(read(&both, Limits::default()).expect("an archive").len(), 2);
    }
}

/// Both halves as vectors.
trait OwnedHalves {
    fn to_owned_halves(self) -> (Vec<u8>, Vec<u8>);
}

impl OwnedHalves for (&[u8], &[u8]) {
    fn to_owned_halves(self) -> (Vec<u8>, Vec<u8>) {
        (self.0.to_vec(), self.1.to_vec())
    }
}

#[test]
fn an_archive_that_is_cut_off_anywhere_is_refused() {
    for (form, bytes) in forms() {
        // Of a plain archive the padding behind its end may go.
        let end = match form {
            "tar" => bytes.len() - 1024,
            _ => bytes.len() - 1,
        };
        for end in (0..end).step_by(7).chain([end]) {
            let error = read(&bytes[..end], Limits::default());
            assert!(error.is_err(), "{form} of {end} bytes of {}", bytes.len());
        }
    }
}

#[test]
fn an_archive_that_is_spoilt_is_refused_or_read_and_never_panics() {
    for (form, bytes) in forms() {
        for place in 0..bytes.len().min(600) {
            let mut spoilt = bytes.clone();
            spoilt[place] ^= 0xff;
            let _ = read(&spoilt, Limits { window_bytes: 1 << 20, ..Limits::default() });
        }
        let _ = form;
    }
}

#[test]
fn what_is_too_big_is_refused_with_the_limit() {
    for (form, bytes) in forms() {
        let limits = Limits { file_bytes: 5, ..Limits::default() };
        let error = read(&bytes, limits).expect_err("too long").to_string();
        assert_eq!(error, "feed: osv/USN-1-1.json is longer than the limit of 5", "{form}");
        let limits = Limits { entries: 2, ..Limits::default() };
        let error = read(&bytes, limits).expect_err("too many").to_string();
        assert_eq!(error, "feed: more entries than the limit of 2", "{form}");
        let limits = Limits { total_bytes: 10, ..Limits::default() };
        assert!(read(&bytes, limits).is_err(), "{form}");
    }
    let window = Limits { window_bytes: 1 << 10, ..Limits::default() };
    assert!(read(&xz(&tarball()), window).is_err());
}

#[test]
fn a_file_that_is_refused_ends_the_reading() {
    for (form, bytes) in forms() {
        let refuse = |name: &str, _: &[u8]| Err(Refused(name.to_owned()));
        let error = for_each_file("feed", Cursor::new(&bytes), Limits::default(), |_| true, refuse);
        let error = error.expect_err("refused").to_string();
        assert_eq!(error, "osv/USN-1-1.json is refused", "{form}");
    }
    let error = read(b"<html>404</html>", Limits::default()).expect_err("no archive");
    assert!(error.to_string().contains("neither zip nor tar"), "{error}");
}
