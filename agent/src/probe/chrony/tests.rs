//! Whatever answers on the command port: it is believed, or said to be no answer, in time.

use std::net::UdpSocket;
use std::thread::JoinHandle;

use proptest::collection::vec;
use proptest::prelude::*;

use nodeward_domain::facts::SourceMode;

use super::*;
use wire::REQUEST_BYTES;

/// A reply to a request, in this form and with this status.
fn reply(request: &[u8], form: u16, status: u16, fields: &[u8]) -> Vec<u8> {
    let mut bytes = vec![6, 2, 0, 0, request[4], request[5]];
    bytes.extend_from_slice(&form.to_be_bytes());
    bytes.extend_from_slice(&status.to_be_bytes());
    bytes.extend_from_slice(&[0; 6]);
    bytes.extend_from_slice(&request[8..12]);
    bytes.extend_from_slice(&[0; 8]);
    bytes.extend_from_slice(fields);
    bytes
}

/// Something that listens where chronyd would, and sends these messages for each request.
struct Impostor {
    address: SocketAddr,
    thread: Option<JoinHandle<u32>>,
}

impl Impostor {
    fn new(answers: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = socket.local_addr().expect("its address");
        let thread = std::thread::spawn(move || {
            let mut request = [0; 2048];
            let mut heard = 0;
            while let Ok((length, from)) = socket.recv_from(&mut request) {
                if length == 0 {
                    break;
                }
                heard += 1;
                assert_eq!(length, REQUEST_BYTES, "no answer may be longer than its question");
                for answer in answers(&request[..length]) {
                    let _ = socket.send_to(&answer, from);
                }
            }
            heard
        });
        Self { address, thread: Some(thread) }
    }

    /// What is heard from it, and how many requests that took.
    fn asked(mut self, limit: Duration) -> (Answer, u32) {
        let answer = ask(self.address, limit);
        let end = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        end.send_to(&[], self.address).expect("it listens");
        let heard = self.thread.take().expect("asked once").join().expect("it saw good requests");
        (answer, heard)
    }
}

const SHORT: Duration = Duration::from_millis(400);

fn failure(answers: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> String {
    let started = Instant::now();
    let (answer, _) = Impostor::new(answers).asked(SHORT);
    assert!(started.elapsed() < SHORT * 4, "{:?}", started.elapsed());
    match answer {
        Answer::Failed { call, why } => format!("{call}: {why}"),
        other => panic!("{other:?}"),
    }
}

const STRANGE: &str = "tracking: what answers there is not chrony";

#[test]
fn nobody_is_refused_at_once_and_silence_is_waited_for_no_longer_than_told() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().expect("its address");
    let started = Instant::now();
    let silent = ask(address, SHORT);
    assert_eq!(silent, Answer::TimedOut { call: "tracking".to_owned(), after_milliseconds: 400 });
    assert!(started.elapsed() < SHORT * 2, "{:?}", started.elapsed());
    drop(socket);
    assert_eq!(ask(address, Duration::from_secs(5)), Answer::Refused);
}

#[test]
fn a_lost_request_is_asked_again() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().expect("its address");
    let thread = std::thread::spawn(move || {
        let mut request = [0; 256];
        let mut attempts = Vec::new();
        for _ in 0..2 {
            let (_, from) = socket.recv_from(&mut request).expect("a request");
            attempts.push((request[6..8].to_vec(), request[8..12].to_vec()));
            if attempts.len() == 2 {
                let refused = reply(&request, 1, 2, &[]);
                socket.send_to(&refused, from).expect("sent");
            }
        }
        attempts
    });
    let answer = ask(address, Duration::from_secs(5));
    let attempts = thread.join().expect("two requests");
    assert_eq!(attempts[0].1, attempts[1].1, "one question has one number");
    assert_eq!((&attempts[0].0[..], &attempts[1].0[..]), (&[0, 0][..], &[0, 1][..]));
    let why = "not authorised".to_owned();
    assert_eq!(answer, Answer::Failed { call: "tracking".to_owned(), why });
}

#[test]
fn what_answers_in_another_tongue_is_not_chrony() {
    assert_eq!(failure(|_| vec![b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()]), STRANGE);
    assert_eq!(failure(|_| vec![Vec::from([0; 27])]), STRANGE);
    // An echo is a request, and no reply.
    assert_eq!(failure(|request| vec![request.to_vec()]), STRANGE);
}

#[test]
fn a_reply_to_another_question_or_of_another_form_is_none_to_ours() {
    let body = [0; 76];
    let wrong = |change: fn(&mut Vec<u8>)| {
        failure(move |request| {
            let mut bytes = reply(request, 5, 0, &body);
            change(&mut bytes);
            vec![bytes]
        })
    };
    assert_eq!(wrong(|bytes| bytes[19] ^= 1), STRANGE, "sequence");
    assert_eq!(wrong(|bytes| bytes[5] ^= 1), STRANGE, "command");
    assert_eq!(wrong(|bytes| bytes[7] = 3), STRANGE, "form");
    assert_eq!(wrong(|bytes| bytes[2] = 1), STRANGE, "reserved");
    assert_eq!(wrong(|bytes| bytes.truncate(103)), STRANGE, "cut off");
    assert_eq!(wrong(|bytes| bytes.push(0)), STRANGE, "longer than the question");
    assert_eq!(
        wrong(|bytes| bytes[0] = 5),
        "tracking: speaks version 5 of the protocol, only 6 is known here"
    );
    assert_eq!(wrong(|bytes| bytes[9] = 19), "tracking: status 19");
    // Leap status 9.
    assert_eq!(wrong(|bytes| bytes[28 + 27] = 9), "tracking: a reply with values that are none");
}

#[test]
fn a_flood_ends_before_the_limit() {
    let started = Instant::now();
    let flood = |_: &[u8]| vec![b"x".to_vec(); 80];
    let (answer, heard) = Impostor::new(flood).asked(Duration::from_secs(5));
    assert!(matches!(answer, Answer::Failed { .. }), "{answer:?}");
    assert_eq!(heard, 1);
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

/// A daemon with so many sources, of which the second one has gone since.
fn daemon(request: &[u8], sources: u32) -> Vec<u8> {
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().expect("four bytes"));
    match request[5] {
        14 => reply(request, 2, 0, &sources.to_be_bytes()),
        15 if number(&request[20..24]) == 1 => reply(request, 1, 4, &[]),
        15 => {
            let mut fields = [0; 48];
            fields[..4].copy_from_slice(b"PHC\0");
            fields[3] = b'0' + request[23] % 10;
            fields[17] = 1;
            // Mode, poll 3, reach, age.
            (fields[27], fields[21], fields[31], fields[35]) = (2, 3, 255, 4);
            reply(request, 3, 0, &fields)
        }
        33 => {
            let mut fields = [0; 76];
            fields[..4].copy_from_slice(b"PHC0");
            fields[25] = 1;
            reply(request, 5, 0, &fields)
        }
        44 => reply(request, 12, 0, &[[0, 0, 0, 1]; 5].concat()),
        other => panic!("asked for command {other}"),
    }
}

#[test]
fn only_so_many_sources_are_asked_for_and_one_that_went_away_is_left_out() {
    let (answer, heard) =
        Impostor::new(|request| vec![daemon(request, 1000)]).asked(Duration::from_secs(5));
    let Answer::Answered(report) = answer else { panic!("{answer:?}") };
    assert_eq!((report.sources.len(), report.sources_left_out), (63, 936));
    assert_eq!(heard, 67);
    assert_eq!((report.reference.as_str(), report.stratum), ("PHC0", 1));
    assert_eq!(report.update_age_seconds, None, "never updated");
    assert_eq!((report.offline, report.unresolved), (2, 1));
    let first = &report.sources[0];
    assert_eq!((first.name.as_str(), first.mode), ("PHC0", SourceMode::ReferenceClock));
    assert_eq!((first.reach, first.poll, first.sample_age_seconds), (255, 3, Some(4)));
}

#[test]
fn numbers_are_read_as_chrony_writes_them() {
    for (bits, value) in [
        (0x0000_0000, 0.0),
        // Coefficient 2^23, exponent 2.
        (0x0480_0000, 1.0),
        (0x0580_0000, -1.0),
        // The smallest exponent, the largest coefficient.
        (0x80ff_ffff, 16_777_215.0 * 2f64.powi(-89)),
        (0x7eff_ffff, 16_777_215.0 * 2f64.powi(38)),
        (0xffff_ffff, -(2f64.powi(-26))),
    ] {
        assert_eq!(wire::float(bits), value, "{bits:#010x}");
    }
}

proptest! {
    #[test]
    fn no_bytes_are_taken_for_a_reply_that_do_not_name_the_question(
        bytes in vec(any::<u8>(), 0..200),
        sequence: u32,
    ) {
        for question in [Question::Tracking, Question::Source(1), Question::SourceCount, Question::Activity] {
            let names = bytes.len() >= 28
                && bytes[1] == 2
                && bytes[16..20] == sequence.to_be_bytes()
                && bytes[4..6] == question.request(sequence, 0)[4..6];
            if !names {
                prop_assert_eq!(question.received(&bytes, sequence), Received::Stranger);
            }
        }
    }

    #[test]
    fn any_fields_are_read_or_refused_and_every_number_is_one(
        fields in vec(any::<u8>(), 0..=76),
        sequence: u32,
    ) {
        let head = |question: Question, form| {
            reply(&question.request(sequence, 0), form, 0, &fields)
        };
        let message = head(Question::Tracking, 5);
        if let Received::Reply(fields) = Question::Tracking.received(&message, sequence)
            && let Some(tracking) = Tracking::read(fields)
        {
            prop_assert!(tracking.correction_seconds.is_finite());
            prop_assert!(tracking.reference_time.is_none_or(|at| at > Timestamp::UNIX_EPOCH));
        }
        let message = head(Question::Source(0), 3);
        if let Received::Reply(fields) = Question::Source(0).received(&message, sequence)
            && let Some(source) = Source::read(fields)
        {
            prop_assert!((-16..=24).contains(&source.poll));
            prop_assert!(source.name.chars().all(|letter| letter.is_ascii_graphic()));
        }
    }

    #[test]
    fn every_number_is_finite(bits: u32) {
        prop_assert!(wire::float(bits).is_finite());
    }
}
