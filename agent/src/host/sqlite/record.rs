//! The row of a table: a header with the type of each value, then the values.

/// One value of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// Nothing; also where the table's key stands, which is the row id.
    Null,
    /// A whole number.
    Integer(i64),
    /// A number of another kind, which nobody here asks for.
    Real,
    /// Text in the database's encoding.
    Text(&'a [u8]),
    /// Bytes.
    Blob(&'a [u8]),
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    payload: &'a [u8],
}

impl<'a> Record<'a> {
    pub(super) const fn new(payload: &'a [u8]) -> Self {
        Self { payload }
    }

    /// The first values of the row.
    pub fn values<const N: usize>(&self) -> Result<[Value<'a>; N], String> {
        let (header_bytes, mut at) = varint(self.payload, 0).ok_or("a row without a header")?;
        let mut body = usize::try_from(header_bytes).map_err(|_| "a row without a header")?;
        let header = self.payload.get(..body).ok_or("a row that ends in its header")?;
        let mut values = [Value::Null; N];
        for value in &mut values {
            let (kind, next) = varint(header, at).ok_or("a row with too few values")?;
            let (read, length) = self.value(kind, body)?;
            (*value, at, body) = (read, next, body + length);
        }
        Ok(values)
    }

    /// A value of that type that begins there, and its length.
    fn value(&self, kind: u64, at: usize) -> Result<(Value<'a>, usize), String> {
        let length = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => return Err(format!("a value of type {kind}, which is none")),
            kind => (kind - 12) / 2,
        };
        let length = usize::try_from(length).map_err(|_| "a value without an end")?;
        let end = at.checked_add(length).ok_or("a value without an end")?;
        let bytes = self.payload.get(at..end).ok_or("a row that ends in a value")?;
        let value = match kind {
            0 => Value::Null,
            7 => Value::Real,
            8 => Value::Integer(0),
            9 => Value::Integer(1),
            1..=6 => Value::Integer(integer(bytes)),
            kind if kind % 2 == 0 => Value::Blob(bytes),
            _ => Value::Text(bytes),
        };
        Ok((value, length))
    }
}

/// A number in two's complement, most significant byte first.
fn integer(bytes: &[u8]) -> i64 {
    let sign = if bytes.first().is_some_and(|byte| byte & 0x80 != 0) { -1 } else { 0 };
    bytes.iter().fold(sign, |number, byte| number << 8 | i64::from(*byte))
}

/// A number of one to nine bytes, and what follows it.
pub(super) fn varint(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let mut number = 0;
    for (index, byte) in bytes.get(at..)?.iter().take(9).enumerate() {
        if index == 8 {
            return Some((number << 8 | u64::from(*byte), at + 9));
        }
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((number, at + index + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_length_are_read() {
        for (bytes, number) in [
            (&[0x00][..], 0),
            (&[0x7f], 127),
            (&[0x81, 0x00], 128),
            (&[0xff; 9], u64::MAX),
            (&[0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02], (1 << 57) | 2),
        ] {
            assert_eq!(varint(bytes, 0), Some((number, bytes.len())), "{bytes:?}");
        }
        assert_eq!(varint(&[0x81], 0), None);
        assert_eq!(varint(&[], 3), None);
        assert_eq!(integer(&[0xff]), -1);
        assert_eq!(integer(&[0x80, 0x00]), -32768);
        assert_eq!(integer(&[0x7f, 0xff, 0xff]), 0x7f_ffff);
    }

    #[test]
    fn faults_say_what_is_wrong() {
        let fault = |payload: &[u8]| Record::new(payload).values::<1>().expect_err("a fault");
        assert_eq!(fault(&[]), "a row without a header");
        assert_eq!(fault(&[9, 1]), "a row that ends in its header");
        assert_eq!(fault(&[1]), "a row with too few values");
        assert_eq!(fault(&[2, 10]), "a value of type 10, which is none");
        assert_eq!(fault(&[2, 2, 7]), "a row that ends in a value");
    }
}
