//! Attributes of netlink, `struct nlattr`: length, kind and value, each filled up to four
//! bytes. Numbers in those of nf_tables go out with the highest byte first.

/// Bits of a kind that are no part of its number, `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER`.
const FLAGS: u16 = 0xc000;

const HEAD_BYTES: usize = 4;

/// Why what the kernel told could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It ends in the midst of something.
    #[error("a message ends too early")]
    Short,
    /// There is more of it than is kept.
    #[error("has more than {most} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// What is kept at the most.
        most: usize,
    },
}

/// The attributes in these bytes, each with its kind.
pub(super) fn attributes(mut bytes: &[u8]) -> Result<Vec<(u16, &[u8])>, Malformed> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let [a, b, c, d, ..] = bytes else { return Err(Malformed::Short) };
        let length = usize::from(u16::from_ne_bytes([*a, *b]));
        let kind = u16::from_ne_bytes([*c, *d]) & !FLAGS;
        let value = bytes.get(HEAD_BYTES..length).ok_or(Malformed::Short)?;
        all.push((kind, value));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(all)
}

/// A name, without the byte that ends it.
pub(super) fn name(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

/// A number of four bytes.
pub(super) fn number(value: &[u8]) -> Result<u32, Malformed> {
    value.try_into().map(u32::from_be_bytes).map_err(|_| Malformed::Short)
}

/// A number of eight bytes.
pub(super) fn wide(value: &[u8]) -> Result<u64, Malformed> {
    value.try_into().map(u64::from_be_bytes).map_err(|_| Malformed::Short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_to_the_end_or_refused() {
        let bytes = [6, 0, 1, 0, b'a', 0, 0, 0, 8, 0, 2, 0x80, 0, 0, 0, 7];
        let all = attributes(&bytes).expect("two");
        assert_eq!((all[0].0, name(all[0].1)), (1, "a".to_owned()));
        assert_eq!((all[1].0, number(all[1].1)), (2, Ok(7)));
        // The last one need not be filled up.
        assert_eq!(attributes(&bytes[..6]).expect("one").len(), 1);
        for short in [&bytes[..3], &bytes[..5], &bytes[..15], &[3, 0, 1, 0]] {
            assert_eq!(attributes(short), Err(Malformed::Short), "{short:?}");
        }
        assert_eq!(number(&bytes[..3]), Err(Malformed::Short));
    }
}
