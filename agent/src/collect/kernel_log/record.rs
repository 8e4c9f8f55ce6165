//! One record of `/dev/kmsg`: `level,sequence,microseconds,flags;text`, and continuation
//! lines, which hold keys and values. Source: Documentation/ABI/testing/dev-kmsg.

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number: the next record's is one more.
    pub sequence: u64,
    /// Since boot, by the kernel's own clock.
    pub microseconds: u64,
    /// The kernel itself wrote it: it gives its own facility, zero, to nobody else.
    pub by_kernel: bool,
    /// Its text, without continuation lines.
    pub text: String,
}

/// Reads a record; none where it is none.
#[must_use]
pub fn record(bytes: &[u8]) -> Option<Record> {
    // Whatever is no printable ASCII the kernel writes as `\x..`.
    let line = bytes.split(|byte| *byte == b'\n').next()?;
    let end = line.iter().position(|byte| *byte == b';')?;
    let head = std::str::from_utf8(&line[..end]).ok()?;
    // Further fields may follow, and are to be ignored.
    let mut fields = head.split(',');
    let prefix: u32 = fields.next()?.parse().ok()?;
    let sequence = fields.next()?.parse().ok()?;
    let microseconds = fields.next()?.parse().ok()?;
    let text = String::from_utf8_lossy(&line[end + 1..]).into_owned();
    Some(Record { sequence, microseconds, by_kernel: prefix >> 3 == 0, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_taken_apart() {
        let read = record(b"3,339,5140900,-,caller=T1;sd 0:0:0:0: [sda] a;b\n SUBSYSTEM=scsi\n");
        let expected = Record {
            sequence: 339,
            microseconds: 5_140_900,
            by_kernel: true,
            text: "sd 0:0:0:0: [sda] a;b".to_owned(),
        };
        assert_eq!(read, Some(expected));
        let users = record(b"12,340,5690716,-;hello\\x0aworld\n").expect("a record");
        assert_eq!((users.by_kernel, users.text.as_str()), (false, "hello\\x0aworld"));
        assert_eq!(record(b"6,1,2,-;").map(|one| one.text), Some(String::new()));
    }

    #[test]
    fn what_is_no_record_is_none() {
        for bytes in
            [&b""[..], b"\n", b"6,1,2,-", b"6,1;x", b"a,1,2,-;x", b"6,-1,2,-;x", b"\xff,1,2,-;x"]
        {
            assert_eq!(record(bytes), None, "{bytes:?}");
        }
    }
}
