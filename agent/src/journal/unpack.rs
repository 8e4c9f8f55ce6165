//! The beginning of a field that was packed, by one of the three ways that the format
//! has. So many bytes are unpacked and no more, whatever it would unpack to.

use std::io::{self, Read};

/// How the bytes of a field are packed, by the flags of its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Xz,
    Lz4,
    Zstd,
}

impl Packing {
    /// By the flags; none where more than one is set, or one that is not known.
    pub(super) const fn of(flags: u8) -> Option<Self> {
        match flags {
            0 => Some(Self::Plain),
            1 => Some(Self::Xz),
            2 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// What the decoder of xz may take; the journal packs with a dictionary of 1 MiB.
const XZ_LIMIT_KIB: u32 = 4 * 1024;

/// What zstd may look back; the journal's level 3 looks back 2 MiB.
const ZSTD_WINDOW_BYTES: u64 = 4 * 1024 * 1024;

/// Unpacks at most `limit_bytes`; says also whether there is more.
pub(super) fn beginning(
    packing: Packing,
    packed: &[u8],
    limit_bytes: usize,
) -> io::Result<(Vec<u8>, bool)> {
    match packing {
        Packing::Plain => {
            let kept = packed.len().min(limit_bytes);
            Ok((packed[..kept].to_vec(), kept < packed.len()))
        }
        Packing::Xz => {
            limited(lzma_rust2::XzReader::new_mem_limit(packed, false, XZ_LIMIT_KIB), limit_bytes)
        }
        Packing::Lz4 => lz4(packed, limit_bytes)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "is no block of LZ4")),
        Packing::Zstd => {
            let decoder = ruzstd::decoding::StreamingDecoder::<
                _,
                ruzstd::decoding::FrameDecoder,
            >::new_with_max_window_size(packed, ZSTD_WINDOW_BYTES)
            .map_err(io::Error::other)?;
            limited(decoder, limit_bytes)
        }
    }
}

fn limited(mut decoder: impl Read, limit_bytes: usize) -> io::Result<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    decoder.by_ref().take(limit_bytes as u64 + 1).read_to_end(&mut bytes)?;
    let has_more = bytes.len() > limit_bytes;
    bytes.truncate(limit_bytes);
    Ok((bytes, has_more))
}

/// The length of the whole, then one block: literals, and copies of what came before.
/// Source: <https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md>.
fn lz4(packed: &[u8], limit_bytes: usize) -> Option<(Vec<u8>, bool)> {
    let (length, mut rest) = packed.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let wanted = length.min(limit_bytes);
    let mut bytes = Vec::new();
    while bytes.len() < wanted {
        let (token, after) = rest.split_first()?;
        rest = after;
        let literals = extended(usize::from(token >> 4), &mut rest)?;
        let (literals, after) = rest.split_at_checked(literals)?;
        rest = after;
        bytes.extend_from_slice(&literals[..literals.len().min(wanted - bytes.len())]);
        if bytes.len() == wanted {
            break;
        }
        let (back, after) = rest.split_first_chunk::<2>()?;
        rest = after;
        let back = usize::from(u16::from_le_bytes(*back));
        let copied = extended(usize::from(token & 15), &mut rest)?.checked_add(4)?;
        let start = bytes.len().checked_sub(back).filter(|_| back > 0)?;
        // What is copied may be what this very copy has written.
        for at in start..start + copied.min(wanted - bytes.len()) {
            bytes.push(bytes[at]);
        }
    }
    Some((bytes, wanted < length))
}

/// A length of four bits, and the bytes that go on with it.
fn extended(first: usize, rest: &mut &[u8]) -> Option<usize> {
    let mut length = first;
    if first == 15 {
        loop {
            let (byte, after) = rest.split_first()?;
            *rest = after;
            length = length.checked_add(usize::from(*byte))?;
            if *byte != 255 {
                break;
            }
        }
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_of_lz4_is_unpacked_as_far_as_is_wanted() {
        // "abc", then twelve bytes from three back, then "xyz".
        let packed = [&15u64.to_le_bytes()[..], b"\x38abc\x03\x00\x00"].concat();
        assert_eq!(lz4(&packed, 100), Some((b"abcabcabcabcabc".to_vec(), false)));
        assert_eq!(lz4(&packed, 5), Some((b"abcab".to_vec(), true)));
        assert_eq!(lz4(&packed, 2), Some((b"ab".to_vec(), true)));
        let long = [&300u64.to_le_bytes()[..], b"\x1fa\x01\x00\xff\x19\x00"].concat();
        assert_eq!(lz4(&long, 1000).map(|(bytes, _)| bytes), Some(vec![b'a'; 300]));
        for broken in [
            &b""[..],
            b"\x05\0\0\0\0\0\0\0",
            b"\x05\0\0\0\0\0\0\0\xf0",
            // Back to before the beginning, and nowhere.
            b"\x05\0\0\0\0\0\0\0\x10a\x02\x00",
            b"\x05\0\0\0\0\0\0\0\x10a\x00\x00",
            b"\x05\0\0\0\0\0\0\0\x10a\x01",
        ] {
            assert_eq!(lz4(broken, 100), None, "{broken:?}");
        }
    }

    #[test]
    fn flags_name_one_packing_or_none() {
        assert_eq!(Packing::of(4), Some(Packing::Zstd));
        for flags in [3, 5, 6, 7, 8, 255] {
            assert_eq!(Packing::of(flags), None);
        }
    }

    #[test]
    fn no_more_is_unpacked_than_is_wanted() {
        let text = b"MESSAGE=".iter().copied().chain(std::iter::repeat_n(b'a', 1_000_000));
        let text: Vec<u8> = text.collect();
        let zstd = ruzstd::encoding::compress_to_vec(
            text.as_slice(),
            ruzstd::encoding::CompressionLevel::Fastest,
        );
        let mut xz = Vec::new();
        let options = lzma_rust2::XzOptions::with_preset(1);
        let mut writer = lzma_rust2::XzWriter::new(&mut xz, options).expect("options");
        io::Write::write_all(&mut writer, &text).expect("packed");
        writer.finish().expect("packed");
        for (packing, packed) in [(Packing::Zstd, zstd), (Packing::Xz, xz)] {
            let (bytes, has_more) = beginning(packing, &packed, 1000).expect("unpacked");
            assert_eq!((bytes.as_slice(), has_more), (&text[..1000], true), "{packing:?}");
            let (bytes, has_more) = beginning(packing, &packed, 2_000_000).expect("unpacked");
            assert_eq!((bytes.len(), has_more), (text.len(), false), "{packing:?}");
            let broken = beginning(packing, &packed[..packed.len() / 2], 2_000_000);
            assert!(broken.is_err(), "{packing:?}");
            assert!(beginning(packing, b"MESSAGE=plain", 100).is_err(), "{packing:?}");
        }
    }
}
