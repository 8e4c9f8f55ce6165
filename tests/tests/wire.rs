//! The wire: generated code is what the protos say, no field is ever lost, and what
//! was once sent stays readable.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::time::Duration;

use nodeward_proto::content::Content;
use nodeward_proto::report::Report;
use nodeward_proto::{DESCRIPTOR_SET, v1};
use nodeward_tests::host::HostCopy;
use nodeward_tests::project;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, ReflectMessage as _, Value};
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorSet};

#[test]
fn generated_code_is_what_the_protos_say() {
    for generated in nodeward_codegen::generate(&project::root()).expect("valid protos") {
        let path = project::root().join(&generated.path);
        let committed = std::fs::read(path).expect("generated code is committed");
        assert!(
            committed == generated.bytes,
            "{} is not what the protos say; cargo run -p nodeward-codegen writes it",
            generated.path.display()
        );
    }
}

/// Every field, enum value and method as one line that must never change.
fn shape(set: &[u8]) -> BTreeMap<String, String> {
    let set = FileDescriptorSet::decode(set).expect("a descriptor set");
    let mut shape = BTreeMap::new();
    for file in set.file.iter().filter(|file| file.package() == "nodeward.v1") {
        for message in &file.message_type {
            message_shape(file.package(), message, &mut shape);
        }
        for one in &file.enum_type {
            enum_shape(file.package(), one, &mut shape);
        }
        for service in &file.service {
            for method in &service.method {
                shape.insert(
                    format!("{}.{}.{}", file.package(), service.name(), method.name()),
                    format!(
                        "{} {} → {} {}",
                        method.client_streaming(),
                        method.input_type(),
                        method.server_streaming(),
                        method.output_type()
                    ),
                );
            }
        }
    }
    shape
}

fn message_shape(outer: &str, message: &DescriptorProto, shape: &mut BTreeMap<String, String>) {
    let name = format!("{outer}.{}", message.name());
    for field in &message.field {
        shape.insert(
            format!("{name}#{}", field.number()),
            format!(
                "{} {:?} {:?} {} oneof={:?}",
                field.name(),
                field.label(),
                field.r#type(),
                field.type_name(),
                field.oneof_index
            ),
        );
    }
    for nested in &message.nested_type {
        message_shape(&name, nested, shape);
    }
    for one in &message.enum_type {
        enum_shape(&name, one, shape);
    }
}

fn enum_shape(outer: &str, one: &EnumDescriptorProto, shape: &mut BTreeMap<String, String>) {
    for value in &one.value {
        shape.insert(format!("{outer}.{}#{}", one.name(), value.number()), value.name().to_owned());
    }
}

/// What stood in the released shape and is now gone or another.
fn broken(released: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<String> {
    released
        .iter()
        .filter(|(place, was)| now.get(*place) != Some(was))
        .map(|(place, was)| format!("{place}: was {was}, is {:?}", now.get(place)))
        .collect()
}

/// The released shape, one line a place, to which lines are only ever added.
fn released() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(project::root().join("tests/wire/shape.txt"));
    text.expect("the released shape is committed")
        .lines()
        .map(|line| line.split_once('\t').expect("place, tab, shape"))
        .map(|(place, is)| (place.to_owned(), is.to_owned()))
        .collect()
}

#[test]
fn no_field_is_lost_renumbered_or_retyped() {
    assert_eq!(broken(&released(), &shape(DESCRIPTOR_SET)), Vec::<String>::new());
}

#[test]
fn every_field_is_in_the_released_shape() {
    // So that a field is held from the commit that adds it. Writing it anew adds what
    // is lacking and keeps what was there, even what has been lost since.
    let mut whole = shape(DESCRIPTOR_SET);
    whole.extend(released());
    let text: String = whole.iter().map(|(place, is)| format!("{place}\t{is}\n")).collect();
    project::assert_committed(&project::root().join("tests/wire/shape.txt"), &text);
}

#[test]
fn a_lost_a_renumbered_and_a_retyped_field_are_seen() {
    let released = released();
    for change in ["nodeward.v1.ReportRequest#2", "nodeward.v1.Kernel#4"] {
        let mut now = released.clone();
        let was = now.remove(change).expect("a field of ours");
        assert_eq!(broken(&released, &now).len(), 1, "lost {change}");
        now.insert(change.replace('#', "#9"), was);
        assert_eq!(broken(&released, &now).len(), 1, "renumbered {change}");
        now.insert(change.to_owned(), "seq Optional String  oneof=None".to_owned());
        assert_eq!(broken(&released, &now).len(), 1, "retyped {change}");
    }
}

/// A report of version 0.1.0 as it was sent, with every component of that day.
const RECORDED: &[u8] = include_bytes!("../wire/report-0.1.0.bin");

#[test]
fn a_recorded_report_stays_readable() {
    let report = v1::ReportRequest::decode(RECORDED).expect("once sent, always readable");
    let report = Report::try_from(report).expect("once valid, always valid");
    assert_eq!(report.seq, 86_400_000);
    assert_eq!(report.agent_version, "0.1.0");
    let read: Vec<(String, String)> = report
        .components
        .into_iter()
        .map(|reported| {
            let content = Content {
                component: reported.component.clone(),
                form: reported.form,
                bytes: reported.content.expect("the recording has every content"),
            };
            let state = content.decode().expect("a component that is still known");
            (reported.component, state.headline())
        })
        .collect();
    let text: String = read.iter().map(|(name, line)| format!("{name}\t{line}\n")).collect();
    project::assert_committed(&project::root().join("tests/wire/report-0.1.0.txt"), &text);
}

#[test]
fn every_cut_of_a_recorded_report_is_refused_or_read_and_never_panics() {
    let mut refused = 0;
    for end in 0..RECORDED.len() {
        let valid = v1::ReportRequest::decode(&RECORDED[..end])
            .ok()
            .is_some_and(|report| Report::try_from(report).is_ok());
        refused += usize::from(!valid);
    }
    // Trailing fields may be cut off at their border and leave a valid report.
    assert!(refused > RECORDED.len() * 9 / 10, "{refused} of {}", RECORDED.len());
}

/// Puts that in the place of every text; counts how many there were.
fn fill_texts(value: &mut Value, long: &str) -> usize {
    match value {
        Value::String(text) => {
            long.clone_into(text);
            1
        }
        Value::Message(message) => {
            let mut fields: Vec<_> = message.descriptor().fields().collect();
            fields.retain(|field| message.has_field(field));
            let filled = fields.iter().map(|field| fill_texts(message.get_field_mut(field), long));
            filled.sum()
        }
        Value::List(values) => values.iter_mut().map(|value| fill_texts(value, long)).sum(),
        _ => 0,
    }
}

#[tokio::test]
async fn no_text_is_too_long_to_be_taken() {
    let pool = DescriptorPool::decode(DESCRIPTOR_SET).expect("a descriptor set");
    let form = pool.get_message_by_name("nodeward.v1.ComponentContent").expect("a message");
    // A cause may be as long as a runtime's message, or much longer.
    let long = "to be or not to be, ".repeat(300);
    let mut filled = 0;
    for name in ["aks-ubuntu-2204", "aks-azurelinux-3-broken", "debian-12-plain"] {
        for observation in HostCopy::of(name).round(Duration::from_secs(20)).await {
            let content = Content::of(&observation.state);
            let message = DynamicMessage::decode(form.clone(), content.bytes.as_slice())
                .expect("what was encoded");
            let mut value = Value::Message(message);
            filled += fill_texts(&mut value, &long);
            let Value::Message(message) = value else { unreachable!("as it was") };
            let content = Content { bytes: message.encode_to_vec(), ..content };
            if content.bytes.len() > nodeward_proto::CONTENT_LIMIT_BYTES {
                continue;
            }
            let state = content.decode().expect("a known component");
            assert_eq!(state.word(), observation.state.word(), "{name}: {}", state.headline());
        }
    }
    assert!(filled > 1000, "only {filled} texts were filled");
}
