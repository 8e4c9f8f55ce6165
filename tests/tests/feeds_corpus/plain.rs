//! The second computation: definitions cut out of the text line by line, rpm's order
//! written down once more from its manual, and every definition held against every
//! package. Slow, simple, and of no use for anything else.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// A definition: id, and what must hold: package, operation, version.
pub(crate) struct Plain {
    pub(crate) id: String,
    pub(crate) is_patchable: bool,
    pub(crate) date: Option<String>,
    pub(crate) bounds: Vec<(String, String, String)>,
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let from = text.find(start)? + start.len();
    let length = text[from..].find(end)?;
    Some(&text[from..from + length])
}

/// The value of an attribute.
fn value<'a>(text: &'a str, name: &str) -> &'a str {
    between(text, &format!(" {name}=\""), "\"").unwrap_or_default()
}

fn elements<'a>(text: &'a str, start: &'a str, end: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(start).skip(1).map(move |rest| rest.split(end).next().expect("a part"))
}

/// All definitions of a file.
pub(crate) fn definitions(text: &str) -> Vec<Plain> {
    let tests: BTreeMap<&str, (&str, &str)> =
        elements(text, "<linux-def:rpminfo_test", "</linux-def:rpminfo_test>")
            .map(|test| (value(test, "id"), (value(test, "object_ref"), value(test, "state_ref"))))
            .collect();
    let objects: BTreeMap<&str, &str> =
        elements(text, "<linux-def:rpminfo_object", "</linux-def:rpminfo_object>")
            .map(|object| {
                let name = between(object, "<linux-def:name>", "</linux-def:name>");
                (value(object, "id"), name.expect("a name"))
            })
            .collect();
    let states: BTreeMap<&str, (&str, &str)> =
        elements(text, "<linux-def:rpminfo_state", "</linux-def:rpminfo_state>")
            .map(|state| {
                let version = state.split('>').nth(2).and_then(|rest| rest.split('<').next());
                (value(state, "id"), (value(state, "operation"), version.expect("a version")))
            })
            .collect();
    elements(text, "<definition ", "</definition>")
        .map(|definition| Plain {
            // The first attribute but one; the split took the blank before the first.
            id: value(&format!(" {definition}"), "id").to_owned(),
            is_patchable: definition.contains("<patchable>true</patchable>"),
            date: between(definition, "<advisory_date>", "</advisory_date>").map(str::to_owned),
            bounds: elements(definition, "<criterion ", "/>")
                .map(|criterion| {
                    let (object, state) = tests[value(criterion, "test_ref")];
                    let (operation, version) = states[state];
                    let version: String = version.split_whitespace().collect();
                    (objects[object].to_owned(), operation.to_owned(), version)
                })
                .collect(),
        })
        .collect()
}

/// rpm-version(7), without epochs.
pub(crate) fn order(left: &str, right: &str) -> Ordering {
    let split = |text: &str| {
        let text = text.rsplit(':').next().expect("a part").to_owned();
        match text.rsplit_once('-') {
            Some((version, release)) => (version.to_owned(), Some(release.to_owned())),
            None => (text, None),
        }
    };
    let (left, right) = (split(left), split(right));
    segments(&left.0).cmp(&segments(&right.0)).then_with(|| match (left.1, right.1) {
        (Some(left), Some(right)) => segments(&left).cmp(&segments(&right)),
        (left, right) => left.is_some().cmp(&right.is_some()),
    })
}

/// Segments as numbers that sort like them: what the files have is `~`, letters and digits.
fn segments(text: &str) -> Vec<(u8, u128, String)> {
    let mut found = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter == '~' {
            found.push((0, 0, String::new()));
            continue;
        }
        let kind = |letter: &char| (letter.is_ascii_digit(), letter.is_ascii_alphabetic());
        if !letter.is_ascii_alphanumeric() {
            continue;
        }
        let mut run = letter.to_string();
        while let Some(next) = letters.next_if(|next| kind(next) == kind(&letter)) {
            run.push(next);
        }
        found.push(match letter.is_ascii_digit() {
            true => (3, run.parse().expect("a number"), String::new()),
            false => (2, 0, run),
        });
    }
    found.push((1, 0, String::new()));
    found
}

/// The ids of the definitions that hold for a list of `(name, version)`. Of packages that
/// are there in two versions the caller has left one.
pub(crate) fn vulnerable(
    definitions: &[Plain],
    packages: &BTreeMap<String, String>,
) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for definition in definitions.iter().filter(|definition| definition.is_patchable) {
        let holds = definition.bounds.iter().all(|(name, operation, bound)| {
            packages.get(name).is_some_and(|version| match operation.as_str() {
                "less than" => order(version, bound).is_lt(),
                "less than or equal" => order(version, bound).is_le(),
                "greater than" => order(version, bound).is_gt(),
                other => panic!("operation {other}"),
            })
        });
        if holds && !definition.bounds.is_empty() {
            found.insert(definition.id.clone());
        }
    }
    found
}
