//! What travels: facts and reports of agents, answers to readers, replies of chronyd.

use std::fmt::Debug;
use std::pin::pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nodeward_agent::frame;
use nodeward_agent::probe::chrony::reply::{Activity, Source, Tracking, source_count};
use nodeward_agent::probe::chrony::wire::{Question, Received};
use nodeward_domain::advisory::FeedStatus;
use nodeward_domain::answer::{About, NodeAnswer, NodeRow};
use nodeward_domain::check::CONFIRMATIONS;
use nodeward_domain::component::Component;
use nodeward_domain::facts::ComponentState;
use nodeward_domain::fixes::answer::FixesAnswer;
use nodeward_domain::fixes::fleet::{PatchAge, PatchAgeRow};
use nodeward_domain::node::NodeHistory;
use nodeward_domain::policy::{DEFAULT_EDITION, Policy};
use nodeward_proto::answer::patch_age;
use nodeward_proto::content::{Content, FORM};
use nodeward_proto::digest::Digest;
use nodeward_proto::report::{Report, Reported};
use nodeward_proto::v1;
use prost::Message;

/// The first byte says which component, the others are its content.
pub(crate) fn content(bytes: &[u8]) -> bool {
    let Some((first, bytes)) = bytes.split_first() else { return false };
    let component = Component::ALL[usize::from(*first) % Component::ALL.len()];
    let name = component.name().to_owned();
    let content = Content { component: name, form: FORM, bytes: bytes.to_vec() };
    let state = content.decode().expect("a component of ours");
    assert_eq!(state.component(), component);
    let again = Content::of(&state).decode();
    assert_eq!(again.as_ref(), Some(&state), "facts that do not come back as they went");
    is_judged(std::slice::from_ref(&state));
    state.word() != "unavailable"
}

/// A node that is in those states is judged, and a reader can be told.
pub(crate) fn is_judged(states: &[ComponentState]) {
    static POLICY: OnceLock<Policy> = OnceLock::new();
    let policy = POLICY.get_or_init(|| Policy::edition(DEFAULT_EDITION).expect("an edition"));
    let now: Timestamp = "2026-11-24T12:00:00Z".parse().expect("a moment");
    let mut history = NodeHistory::default();
    for number in 1..=CONFIRMATIONS {
        let at = now - SignedDuration::from_secs(30 * i64::from(CONFIRMATIONS - number));
        for state in states {
            history.observe(state.clone(), at, Duration::from_millis(1));
        }
    }
    let about = About { cluster: "c", node: "n", last_report_at: Some(now), agent: None };
    let (answer, _) = NodeAnswer::of(about, &history, Default::default(), policy, now);
    NodeAnswer::try_from(v1::NodeAnswer::from(&answer)).expect("an answer can be told");
}

/// The same bytes as a frame from the collecting to the sending half, and as a report.
pub(crate) fn report(bytes: &[u8]) -> bool {
    frame_is_read(bytes);
    let Ok(mut report) = v1::ReportRequest::decode(bytes) else { return false };
    for component in &mut report.components {
        // No fuzzer guesses a digest; one that begins with 0xff stays wrong.
        if let Some(content) = &component.content
            && component.digest.first() != Some(&0xff)
        {
            let digest = Digest::of(&component.component, component.form, content);
            component.digest = digest.as_bytes().to_vec();
        }
    }
    let Ok(report) = Report::try_from(report) else { return false };
    for reported in &report.components {
        let again = Reported::try_from(v1::ComponentReport::from(reported));
        assert_eq!(again.as_ref(), Ok(reported), "a component that does not come back");
        if let Some(bytes) = reported.content.clone() {
            let component = reported.component.clone();
            let _ = Content { component, form: reported.form, bytes }.decode();
        }
    }
    true
}

fn frame_is_read(mut bytes: &[u8]) {
    let mut context = Context::from_waker(Waker::noop());
    let outcome = pin!(frame::read(&mut bytes)).poll(&mut context);
    assert!(matches!(outcome, Poll::Ready(_)), "bytes at hand are not waited for");
}

/// The first byte says which answer.
pub(crate) fn answers(bytes: &[u8]) -> bool {
    let Some((first, bytes)) = bytes.split_first() else { return false };
    match first % 7 {
        0 => comes_back::<v1::NodeRow, NodeRow>(bytes, |one| one.into()),
        1 => comes_back::<v1::NodeAnswer, NodeAnswer>(bytes, |one| one.into()),
        2 => comes_back::<v1::FixesAnswer, FixesAnswer>(bytes, |one| one.into()),
        3 => comes_back::<v1::PatchAgeRow, PatchAgeRow>(bytes, |one| one.into()),
        4 => comes_back::<v1::FeedStatus, FeedStatus>(bytes, |one| one.into()),
        5 => v1::GetPatchAgeResponse::decode(bytes)
            .is_ok_and(|wire| PatchAge::try_from(wire).is_ok()),
        _ => request_comes_back(bytes),
    }
}

/// What is told is what was told before.
fn comes_back<W: Message + Default, T>(bytes: &[u8], back: fn(&T) -> W) -> bool
where
    T: TryFrom<W> + PartialEq + Debug,
    T::Error: Debug,
{
    let Some(read) = W::decode(bytes).ok().and_then(|wire| T::try_from(wire).ok()) else {
        return false;
    };
    let again = T::try_from(back(&read)).expect("what was told can be told again");
    assert_eq!(again, read, "an answer that does not come back as it went");
    true
}

fn request_comes_back(bytes: &[u8]) -> bool {
    let Ok(wire) = v1::GetPatchAgeRequest::decode(bytes) else { return false };
    let Ok((asked, by)) = patch_age::asked(wire) else { return false };
    let again = patch_age::asked(patch_age::request(&asked, by)).expect("asked again");
    assert_eq!(again, (asked, by), "a question that does not come back as it went");
    true
}

/// The first byte says which question the others reply to.
pub(crate) fn chrony(bytes: &[u8]) -> bool {
    const QUESTIONS: [Question; 4] =
        [Question::SourceCount, Question::Source(0), Question::Tracking, Question::Activity];
    let Some((first, message)) = bytes.split_first() else { return false };
    let question = QUESTIONS[usize::from(*first) % QUESTIONS.len()];
    let Received::Reply(fields) = question.received(message, 0) else { return false };
    match question {
        Question::SourceCount => source_count(fields).is_some(),
        Question::Source(_) => Source::read(fields).is_some(),
        Question::Activity => Activity::read(fields).is_some(),
        Question::Tracking => Tracking::read(fields).inspect(all_are_numbers).is_some(),
    }
}

fn all_are_numbers(tracking: &Tracking) {
    for quantity in [
        tracking.rms_offset_seconds,
        tracking.frequency_ppm,
        tracking.residual_frequency_ppm,
        tracking.skew_ppm,
        tracking.root_delay_seconds,
        tracking.root_dispersion_seconds,
        tracking.update_interval_seconds,
    ] {
        assert!(quantity.is_finite(), "{tracking:?}");
    }
}
