//! The elements of a file of OVAL definitions that are read, in one pass over its bytes.
//! Entities are those of XML alone; a document type, which could make more, is refused.

use std::borrow::Cow;
use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::{DEEPEST, MOST_ELEMENTS, OvalError};

/// What is read of a file.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) timestamp: Option<String>,
    pub(super) definitions: Vec<Definition>,
    pub(super) tests: BTreeMap<String, Test>,
    /// Names of packages.
    pub(super) objects: BTreeMap<String, String>,
    pub(super) states: BTreeMap<String, State>,
}

/// A definition.
#[derive(Debug, Default)]
pub(super) struct Definition {
    pub(super) id: String,
    pub(super) references: Vec<String>,
    pub(super) patchable: String,
    pub(super) advisory_date: Option<String>,
    pub(super) severity: String,
    pub(super) criteria: Option<Criteria>,
}

/// What must hold.
#[derive(Debug, Default)]
pub(super) struct Criteria {
    /// One of them is enough.
    pub(super) is_any: bool,
    pub(super) tests: Vec<String>,
    pub(super) inner: Vec<Criteria>,
}

/// A test.
#[derive(Debug, Default)]
pub(super) struct Test {
    pub(super) object: String,
    pub(super) state: String,
}

/// A state: how a version must stand to another one.
#[derive(Debug)]
pub(super) struct State {
    pub(super) operator: Operator,
    pub(super) evr: String,
}

/// How a version must stand to another one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Operator {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
}

/// Which text is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Timestamp,
    Patchable,
    AdvisoryDate,
    Severity,
    ObjectName,
    Evr,
}

struct Parser<'a> {
    bytes: &'a [u8],
    document: Document,
    depth: usize,
    is_begun: bool,
    is_ended: bool,
    definition: Option<Definition>,
    criteria: Vec<Criteria>,
    test: Option<(String, Test)>,
    object: Option<(String, String)>,
    state: Option<(String, Option<Operator>, String)>,
    field: Option<(Field, String)>,
}

pub(super) fn read(file: &str, bytes: &[u8]) -> Result<Document, OvalError> {
    let mut parser = Parser {
        bytes,
        document: Document::default(),
        depth: 0,
        is_begun: false,
        is_ended: false,
        definition: None,
        criteria: Vec::new(),
        test: None,
        object: None,
        state: None,
        field: None,
    };
    let text = std::str::from_utf8(bytes).map_err(|error| OvalError::Form {
        file: file.to_owned(),
        line: parser.line(error.valid_up_to()),
        what: "no UTF-8",
    })?;
    let mut reader = Reader::from_str(text);
    loop {
        let position = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        let event = reader.read_event().map_err(|source| OvalError::Xml {
            file: file.to_owned(),
            line: parser.line(position),
            source,
        })?;
        let wrong = |parser: &Parser<'_>, what| OvalError::Form {
            file: file.to_owned(),
            line: parser.line(position),
            what,
        };
        match event {
            Event::Start(start) => {
                parser.depth += 1;
                if parser.depth > DEEPEST {
                    return Err(wrong(&parser, "elements stand too deep inside of each other"));
                }
                parser.start(&start).map_err(|what| wrong(&parser, what))?;
            }
            Event::Empty(start) => {
                parser.start(&start).map_err(|what| wrong(&parser, what))?;
                parser.end(start.local_name().as_ref()).map_err(|what| wrong(&parser, what))?;
            }
            Event::End(end) => {
                parser.depth = parser.depth.saturating_sub(1);
                parser.end(end.local_name().as_ref()).map_err(|what| wrong(&parser, what))?;
            }
            Event::Text(text) => {
                if let Some((_, kept)) = &mut parser.field {
                    kept.push_str(&text);
                }
            }
            Event::GeneralRef(reference) => {
                if parser.field.is_some() {
                    let letter = match reference.resolve_char_ref() {
                        Ok(Some(letter)) => Some(letter.to_string()),
                        _ => quick_xml::escape::resolve_predefined_entity(&reference)
                            .map(ToOwned::to_owned),
                    };
                    let letter = letter.ok_or_else(|| wrong(&parser, "an entity of its own"))?;
                    if let Some((_, kept)) = &mut parser.field {
                        kept.push_str(&letter);
                    }
                }
            }
            Event::CData(text) => {
                if let Some((_, kept)) = &mut parser.field {
                    kept.push_str(&text);
                }
            }
            Event::DocType(_) => return Err(wrong(&parser, "it has a document type")),
            Event::Eof => break,
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
        }
    }
    if !parser.is_begun {
        return Err(OvalError::Form {
            file: file.to_owned(),
            line: 1,
            what: "no OVAL definitions",
        });
    }
    if !parser.is_ended {
        return Err(OvalError::CutOff { file: file.to_owned(), line: parser.line(bytes.len()) });
    }
    Ok(parser.document)
}

impl Parser<'_> {
    /// The line in which a byte stands. Counted for errors alone.
    fn line(&self, position: usize) -> usize {
        let before = self.bytes.get(..position).unwrap_or(self.bytes);
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }

    fn start(&mut self, start: &BytesStart<'_>) -> Result<(), &'static str> {
        let name = start.local_name();
        if self.is_ended {
            return Err("something behind the end");
        }
        if !self.is_begun {
            if name.as_ref() != "oval_definitions" {
                return Err("no OVAL definitions");
            }
            self.is_begun = true;
            return Ok(());
        }
        match name.as_ref() {
            "timestamp" if self.document.timestamp.is_none() => self.open(Field::Timestamp),
            "definition" => {
                let id = required(start, "id")?;
                self.definition = Some(Definition { id, ..Definition::default() });
            }
            "reference" => {
                if let Some(definition) = &mut self.definition {
                    definition.references.push(required(start, "ref_id")?);
                }
            }
            "patchable" => self.open(Field::Patchable),
            "advisory_date" => self.open(Field::AdvisoryDate),
            "severity" => self.open(Field::Severity),
            "criteria" if self.definition.is_some() => {
                if attribute(start, "negate")?.is_some_and(|negate| negate != "false") {
                    return Err("criteria that are negated");
                }
                let is_any = match attribute(start, "operator")?.as_deref() {
                    None | Some("AND") => false,
                    Some("OR") => true,
                    Some(_) => return Err("criteria that are joined neither by AND nor by OR"),
                };
                self.criteria.push(Criteria { is_any, ..Criteria::default() });
            }
            "criterion" => {
                if attribute(start, "negate")?.is_some_and(|negate| negate != "false") {
                    return Err("a criterion that is negated");
                }
                let test = required(start, "test_ref")?;
                self.criteria.last_mut().ok_or("a criterion outside of criteria")?.tests.push(test);
            }
            "extend_definition" => return Err("a definition that extends another one"),
            "rpminfo_test" => self.test = Some((required(start, "id")?, Test::default())),
            "rpminfo_object" => self.object = Some((required(start, "id")?, String::new())),
            "rpminfo_state" => {
                self.state = Some((required(start, "id")?, None, String::new()));
            }
            "object" => {
                if let Some((_, test)) = &mut self.test {
                    test.object = required(start, "object_ref")?;
                }
            }
            "state" => {
                if let Some((_, test)) = &mut self.test {
                    test.state = required(start, "state_ref")?;
                }
            }
            "name" if self.object.is_some() => self.open(Field::ObjectName),
            "evr" => {
                if let Some((_, operator, _)) = &mut self.state {
                    *operator = Some(match attribute(start, "operation")?.as_deref() {
                        Some("less than") => Operator::Less,
                        Some("less than or equal") => Operator::LessOrEqual,
                        Some("greater than") => Operator::Greater,
                        Some("greater than or equal") => Operator::GreaterOrEqual,
                        None | Some("equals") => Operator::Equal,
                        Some(_) => return Err("an operation that versions do not have"),
                    });
                    self.open(Field::Evr);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn open(&mut self, field: Field) {
        self.field = Some((field, String::new()));
    }

    fn end(&mut self, name: &str) -> Result<(), &'static str> {
        match name {
            "oval_definitions" if self.depth == 0 => self.is_ended = true,
            "timestamp" | "patchable" | "advisory_date" | "severity" | "name" | "evr" => {
                self.close();
            }
            "criteria" => {
                if let Some(done) = self.criteria.pop() {
                    match (self.criteria.last_mut(), &mut self.definition) {
                        (Some(outer), _) => outer.inner.push(done),
                        (None, Some(definition)) => definition.criteria = Some(done),
                        (None, None) => {}
                    }
                }
            }
            "definition" => {
                if let Some(definition) = self.definition.take() {
                    self.document.definitions.push(definition);
                    limited(self.document.definitions.len())?;
                }
            }
            "rpminfo_test" => {
                if let Some((id, test)) = self.test.take() {
                    self.document.tests.insert(id, test);
                    limited(self.document.tests.len())?;
                }
            }
            "rpminfo_object" => {
                if let Some((id, name)) = self.object.take() {
                    self.document.objects.insert(id, name);
                    limited(self.document.objects.len())?;
                }
            }
            "rpminfo_state" => {
                if let Some((id, operator, evr)) = self.state.take() {
                    let operator = operator.ok_or("a state without a version")?;
                    self.document.states.insert(id, State { operator, evr });
                    limited(self.document.states.len())?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Puts the text that was read where it belongs.
    fn close(&mut self) {
        let Some((field, text)) = self.field.take() else {
            return;
        };
        match (field, &mut self.definition) {
            (Field::Timestamp, _) => self.document.timestamp = Some(text),
            (Field::Patchable, Some(definition)) => definition.patchable = text,
            (Field::AdvisoryDate, Some(definition)) => definition.advisory_date = Some(text),
            (Field::Severity, Some(definition)) => definition.severity = text,
            (Field::ObjectName, _) => {
                if let Some((_, name)) = &mut self.object {
                    *name = text;
                }
            }
            (Field::Evr, _) => {
                if let Some((_, _, evr)) = &mut self.state {
                    *evr = text;
                }
            }
            (Field::Patchable | Field::AdvisoryDate | Field::Severity, None) => {}
        }
    }
}

fn limited(count: usize) -> Result<(), &'static str> {
    if count > MOST_ELEMENTS { Err("more elements than any file has") } else { Ok(()) }
}

fn required(start: &BytesStart<'_>, name: &str) -> Result<String, &'static str> {
    attribute(start, name)?
        .filter(|value| !value.is_empty())
        .map(Cow::into_owned)
        .ok_or("an element without its id or reference")
}

fn attribute<'a>(
    start: &'a BytesStart<'_>,
    name: &str,
) -> Result<Option<Cow<'a, str>>, &'static str> {
    for attribute in start.attributes().with_checks(false) {
        let attribute = attribute.map_err(|_| "an attribute of a wrong form")?;
        if attribute.key.local_name().as_ref() == name {
            return Ok(Some(attribute.value));
        }
    }
    Ok(None)
}
