//! JSON as Go's encoding/json takes it into a struct: names of fields without regard to
//! case, the last of several, `null` as if it were not there, unknown fields passed over.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Any JSON, with fields in their order.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    /// A whole number; none where it is none, or too big.
    Number(Option<i64>),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads one document. As Go, what is not UTF-8 is read as U+FFFD.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_str(&String::from_utf8_lossy(bytes)).map_err(|error| error.to_string())
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a truth value",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Json;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_unit<E>(self) -> Result<Json, E> {
                Ok(Json::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
                Ok(Json::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
                Ok(Json::Number(Some(value)))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
                Ok(Json::Number(i64::try_from(value).ok()))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
                Ok(Json::Number(None))
            }

            fn visit_str<E>(self, value: &str) -> Result<Json, E> {
                Ok(Json::Text(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = list.next_element()? {
                    values.push(value);
                }
                Ok(Json::List(values))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Json::Object(fields))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// An object of which fields are taken, and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    fields: &'a [(String, Json)],
    place: String,
}

impl<'a> Fields<'a> {
    /// The fields of a document.
    pub(super) fn of(json: &'a Json) -> Result<Self, String> {
        Self::at(json, String::new())
    }

    fn at(json: &'a Json, place: String) -> Result<Self, String> {
        match json {
            Json::Object(fields) => Ok(Self { fields, place }),
            Json::Null => Ok(Self { fields: &[], place }),
            other => Err(format!("{place}: {} where an object is expected", other.name())),
        }
    }

    /// The field of that name that counts.
    pub(super) fn field(&self, name: &str) -> Option<&'a Json> {
        let mut named = self.fields.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        named.rfind(|(_, value)| *value != Json::Null).map(|(_, value)| value)
    }

    fn wrong<T>(&self, name: &str, found: &Json, expected: &str) -> Result<T, String> {
        Err(format!("{}{name}: {} where {expected} is expected", self.place, found.name()))
    }

    /// A text; empty where there is none.
    pub(super) fn text(&self, name: &str) -> Result<String, String> {
        Ok(self.optional_text(name)?.unwrap_or_default())
    }

    /// A text, or none.
    pub(super) fn optional_text(&self, name: &str) -> Result<Option<String>, String> {
        match self.field(name) {
            None => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text.clone())),
            Some(other) => self.wrong(name, other, "a text"),
        }
    }

    /// A whole number, or none.
    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, String> {
        match self.field(name) {
            None => Ok(None),
            Some(Json::Number(Some(number))) => Ok(Some(*number)),
            Some(other) => self.wrong(name, other, "a whole number"),
        }
    }

    /// Whether it is a truth value, or not there.
    pub(super) fn truth(&self, name: &str) -> Result<Option<bool>, String> {
        match self.field(name) {
            None => Ok(None),
            Some(Json::Bool(value)) => Ok(Some(*value)),
            Some(other) => self.wrong(name, other, "true or false"),
        }
    }

    /// A list; empty where there is none.
    fn list(&self, name: &str) -> Result<&'a [Json], String> {
        match self.field(name) {
            None => Ok(&[]),
            Some(Json::List(values)) => Ok(values),
            Some(other) => self.wrong(name, other, "a list"),
        }
    }

    /// A list of texts.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, String> {
        let text = |value: &Json| match value {
            Json::Text(text) => Ok(text.clone()),
            Json::Null => Ok(String::new()),
            other => self.wrong(name, other, "a text"),
        };
        self.list(name)?.iter().map(text).collect()
    }

    /// A list of objects, each with its place.
    pub(super) fn objects(&self, name: &str) -> Result<Vec<Self>, String> {
        let object = |(index, value)| Self::at(value, format!("{}{name}[{index}].", self.place));
        self.list(name)?.iter().enumerate().map(object).collect()
    }

    /// An object; without fields where there is none.
    pub(super) fn object(&self, name: &str) -> Result<Self, String> {
        match self.field(name) {
            None => Ok(Self { fields: &[], place: String::new() }),
            Some(value) => Self::at(value, format!("{}{name}.", self.place)),
        }
    }

    /// A map of texts, whose names are what they are.
    pub(super) fn map(&self, name: &str) -> Result<Vec<(String, String)>, String> {
        let object = self.object(name)?;
        let entry = |(key, value): &(String, Json)| match value {
            Json::Text(text) => Ok((key.clone(), text.clone())),
            Json::Null => Ok((key.clone(), String::new())),
            other => object.wrong(key, other, "a text"),
        };
        object.fields.iter().map(entry).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_taken_as_go_takes_them() {
        let json = Json::read(
            br#"{"Plugin": "a", "pluGIN": "b", "PLUGIN": null, "other": [1, {}], "n": 5, "f": 5.0,
                "list": ["x", null], "map": {"Key": "v", "key": "w"}}"#,
        )
        .expect("JSON");
        let fields = Fields::of(&json).expect("an object");
        assert_eq!(fields.text("plugin"), Ok("b".to_owned()));
        assert_eq!(fields.text("nothing"), Ok(String::new()));
        assert_eq!(fields.number("n"), Ok(Some(5)));
        assert!(fields.number("f").is_err() && fields.text("n").is_err());
        assert_eq!(fields.texts("list"), Ok(vec!["x".to_owned(), String::new()]));
        let map = fields.map("map").expect("texts");
        assert_eq!(map, [("Key", "v"), ("key", "w")].map(|(k, v)| (k.to_owned(), v.to_owned())));
        let error = fields.objects("other").expect_err("a number");
        assert_eq!(error, "other[0].: a number where an object is expected");
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for bytes in [&b"{"[..], b"", b"{} {}", b"{'a': 1}", b"{\"a\": 01}"] {
            assert!(Json::read(bytes).is_err(), "{bytes:?}");
        }
        assert_eq!(Json::read(b"\"\xff\""), Ok(Json::Text("\u{fffd}".to_owned())));
    }
}
