//! Messages of DNS, RFC 1035 §4: one question, and of the answer its code and addresses.
//! Whoever answers is a stranger: every length is checked, names are passed over and never
//! followed, and what does not fit the question is none of its answers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Classes and types, RFC 1035 §3.2 and RFC 3596.
const CLASS_IN: u16 = 1;

/// The length of a header.
const HEADER_BYTES: usize = 12;

/// So many addresses of an answer are taken.
const ADDRESSES: usize = 16;

/// The bits of the header that are looked at.
const IS_ANSWER: u16 = 0x8000;
const IS_TRUNCATED: u16 = 0x0200;
const RECURSION_DESIRED: u16 = 0x0100;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The nameservers of a domain.
    Nameservers,
    /// Its addresses of IPv4.
    Ipv4,
    /// Its addresses of IPv6.
    Ipv6,
}

impl Kind {
    const fn code(self) -> u16 {
        match self {
            Self::Ipv4 => 1,
            Self::Nameservers => 2,
            Self::Ipv6 => 28,
        }
    }
}

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    id: u16,
    kind: Kind,
    message: Vec<u8>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its code.
    pub code: u8,
    /// It was cut off to fit a datagram.
    pub is_truncated: bool,
    /// The addresses in it, in order.
    pub addresses: Vec<IpAddr>,
}

impl Answer {
    /// The name of its code, RFC 1035 §4.1.1 and RFC 6895 §2.3.
    #[must_use]
    pub fn code_name(&self) -> String {
        let name = match self.code {
            0 => "NOERROR",
            1 => "FORMERR",
            2 => "SERVFAIL",
            3 => "NXDOMAIN",
            4 => "NOTIMP",
            5 => "REFUSED",
            code => return format!("code {code}"),
        };
        name.to_owned()
    }
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// The answer to the question.
    Answer(Answer),
    /// One to some other question, such as a late or forged one.
    Other,
    /// One to this question that is spoilt, for this reason.
    Spoilt(&'static str),
}

impl Question {
    /// The question for a name, as RFC 1123 has them; the empty one is the root. None for
    /// one that is too long.
    #[must_use]
    pub fn new(id: u16, name: &str, kind: Kind) -> Option<Self> {
        let mut message = Vec::with_capacity(HEADER_BYTES + name.len() + 6);
        for field in [id, RECURSION_DESIRED, 1, 0, 0, 0] {
            message.extend(field.to_be_bytes());
        }
        let labels = name.split('.').filter(|label| !label.is_empty());
        for label in labels {
            message.push(u8::try_from(label.len()).ok().filter(|length| *length < 64)?);
            message.extend(label.as_bytes());
        }
        message.push(0);
        message.extend(kind.code().to_be_bytes());
        message.extend(CLASS_IN.to_be_bytes());
        (message.len() <= HEADER_BYTES + 255 + 4).then_some(Self { id, kind, message })
    }

    /// The message that asks it.
    #[must_use]
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// What a message is that came back.
    #[must_use]
    pub fn received(&self, message: &[u8]) -> Received {
        let mut fields = Fields { message, at: 0 };
        let header = [(); 6].map(|()| fields.number());
        let [Some(id), Some(flags), Some(questions), Some(answers), Some(_), Some(_)] = header
        else {
            return Received::Other;
        };
        if id != self.id || flags & IS_ANSWER == 0 {
            return Received::Other;
        }
        // A server that cannot read the question need not repeat it.
        let asked = &self.message[HEADER_BYTES..];
        let repeated = message.get(HEADER_BYTES..HEADER_BYTES + asked.len());
        match questions {
            0 => {}
            1 if repeated.is_some_and(|it| it.eq_ignore_ascii_case(asked)) => {
                fields.at += asked.len();
            }
            _ => return Received::Other,
        }
        let is_truncated = flags & IS_TRUNCATED != 0;
        let mut addresses = Vec::new();
        for _ in 0..answers {
            match fields.record(self.kind) {
                Some(Some(address)) if addresses.len() < ADDRESSES => addresses.push(address),
                Some(_) => {}
                None if is_truncated => break,
                None => return Received::Spoilt("a record that ends in its midst"),
            }
        }
        let code = (flags & 0x000F) as u8;
        Received::Answer(Answer { code, is_truncated, addresses })
    }
}

/// What of a message has not been read.
struct Fields<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken = self.message.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2).and_then(|bytes| bytes.try_into().ok()).map(u16::from_be_bytes)
    }

    /// Passes over a name. A pointer ends it, so that none leads in a circle.
    fn name(&mut self) -> Option<()> {
        loop {
            let length = *self.take(1)?.first()?;
            match length {
                0 => return Some(()),
                0xC0.. => return self.take(1).map(|_| ()),
                64.. => return None,
                length => self.take(usize::from(length))?,
            };
        }
    }

    /// The next record, and the address in it if it has one of that kind.
    fn record(&mut self, kind: Kind) -> Option<Option<IpAddr>> {
        self.name()?;
        let (type_, class) = (self.number()?, self.number()?);
        self.take(4)?;
        let length = usize::from(self.number()?);
        let content = self.take(length)?;
        if class != CLASS_IN || type_ != kind.code() {
            return Some(None);
        }
        Some(match kind {
            Kind::Nameservers => None,
            Kind::Ipv4 => {
                let octets: [u8; 4] = content.try_into().ok()?;
                Some(Ipv4Addr::from(octets).into())
            }
            Kind::Ipv6 => {
                let octets: [u8; 16] = content.try_into().ok()?;
                Some(Ipv6Addr::from(octets).into())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An answer with records, each with its type and content, named by a pointer.
    fn answer(question: &Question, flags: u16, records: &[(u16, &[u8])]) -> Vec<u8> {
        let mut message = question.message.clone();
        message[2..4].copy_from_slice(&(IS_ANSWER | flags).to_be_bytes());
        message[6..8].copy_from_slice(&(records.len() as u16).to_be_bytes());
        for (type_, content) in records {
            message.extend([0xC0, HEADER_BYTES as u8]);
            message.extend(type_.to_be_bytes());
            message.extend(CLASS_IN.to_be_bytes());
            message.extend(60_u32.to_be_bytes());
            message.extend((content.len() as u16).to_be_bytes());
            message.extend(*content);
        }
        message
    }

    #[test]
    fn a_question_is_written_as_rfc_1035_has_it() {
        let root = Question::new(0x1234, "", Kind::Nameservers).expect("the root");
        let expected = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];
        assert_eq!(root.message(), expected);
        let name = Question::new(1, "a.example", Kind::Ipv6).expect("a name");
        assert_eq!(&name.message()[12..], b"\x01a\x07example\x00\x00\x1c\x00\x01");
        assert_eq!(Question::new(1, &"a".repeat(64), Kind::Ipv4), None);
        assert_eq!(Question::new(1, &"aaaa.".repeat(60), Kind::Ipv4), None);
    }

    #[test]
    fn addresses_of_an_answer_are_taken_past_other_records() {
        let question = Question::new(7, "a.example", Kind::Ipv4).expect("a name");
        let records: [(u16, &[u8]); 3] =
            [(5, b"\x01b\xc0\x0e"), (1, &[192, 0, 2, 1]), (1, &[192, 0, 2, 2])];
        let Received::Answer(read) = question.received(&answer(&question, 0, &records)) else {
            panic!("an answer");
        };
        assert_eq!(read.code_name(), "NOERROR");
        assert_eq!(read.addresses, [IpAddr::from([192, 0, 2, 1]), [192, 0, 2, 2].into()]);
        let many: Vec<(u16, &[u8])> = vec![(1, &[192, 0, 2, 1]); 100];
        match question.received(&answer(&question, 0, &many)) {
            Received::Answer(read) => assert_eq!(read.addresses.len(), ADDRESSES),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn codes_are_told_apart() {
        let question = Question::new(7, "", Kind::Nameservers).expect("the root");
        for (code, name) in [(0, "NOERROR"), (2, "SERVFAIL"), (3, "NXDOMAIN"), (9, "code 9")] {
            match question.received(&answer(&question, code, &[])) {
                Received::Answer(read) => assert_eq!(read.code_name(), name),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn what_answers_another_question_is_none() {
        let question = Question::new(7, "a.example", Kind::Ipv4).expect("a name");
        let good = answer(&question, 0, &[(1, &[192, 0, 2, 1])]);
        let changed = |at: usize, byte: u8| {
            let mut message = good.clone();
            message[at] = byte;
            question.received(&message)
        };
        assert_eq!(changed(1, 8), Received::Other, "another number");
        assert_eq!(changed(2, 1), Received::Other, "no answer");
        assert_eq!(changed(13, b'b'), Received::Other, "another name");
        assert_eq!(changed(5, 2), Received::Other, "two questions");
        assert!(matches!(changed(13, b'A'), Received::Answer(_)), "another case");
        assert_eq!(question.received(&good[..5]), Received::Other);
        let spoilt = question.received(&good[..good.len() - 1]);
        assert!(matches!(spoilt, Received::Spoilt(_)), "{spoilt:?}");
        let cut = answer(&question, IS_TRUNCATED, &[(1, &[192, 0, 2, 1]), (1, &[192, 0, 2, 2])]);
        match question.received(&cut[..cut.len() - 1]) {
            Received::Answer(read) => assert!(read.is_truncated && read.addresses.len() == 1),
            other => panic!("{other:?}"),
        }
        let wrong = answer(&question, 0, &[(1, &[192, 0, 2])]);
        assert!(matches!(question.received(&wrong), Received::Spoilt(_)));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..600), fits: bool) {
            let question = Question::new(7, "a.example", Kind::Ipv6).expect("a name");
            if fits && bytes.len() > 40 {
                let head = answer(&question, 0, &[]);
                bytes[..head.len()].copy_from_slice(&head);
                bytes[7] = 200;
            }
            let _ = question.received(&bytes);
        }
    }
}
