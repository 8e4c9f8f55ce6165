//! The value of a setting as one text, whether it comes from a flag, a file or `/configz`,
//! so that two can be compared.

use std::collections::BTreeMap;

use serde_json::Value;

use super::duration;
use super::keys::Form;

/// The value of a member of a configuration; an error says what form it should have.
pub(super) fn of_json(form: Form, value: &Value) -> Result<String, &'static str> {
    match (form, value) {
        (Form::Bool, Value::Bool(on)) => Ok(on.to_string()),
        (Form::Number, Value::Number(number)) if !number.is_f64() => Ok(number.to_string()),
        (Form::Text, Value::String(text)) => Ok(text.clone()),
        (Form::Duration, Value::String(text)) => duration::canonical(text).ok_or("a duration"),
        (Form::List, Value::Array(values)) => {
            let texts: Option<Vec<&str>> = values.iter().map(Value::as_str).collect();
            Ok(texts.ok_or("a list of texts")?.join(","))
        }
        (Form::Map, Value::Object(members)) => {
            let members = members.iter().map(|(key, value)| {
                let value = match value {
                    Value::String(text) => text.clone(),
                    Value::Bool(_) | Value::Number(_) => value.to_string(),
                    _ => return Err("texts by key"),
                };
                Ok((key.clone(), value))
            });
            Ok(joined(&members.collect::<Result<_, _>>()?))
        }
        (Form::Bool, _) => Err("true or false"),
        (Form::Number, _) => Err("a whole number"),
        (Form::Text, _) => Err("a text"),
        (Form::Duration, _) => Err("a duration"),
        (Form::List, _) => Err("a list of texts"),
        (Form::Map, _) => Err("texts by key"),
    }
}

/// What `/configz` means by leaving a member out: the zero of its form.
pub(super) const fn zero(form: Form) -> &'static str {
    match form {
        Form::Bool => "false",
        Form::Number => "0",
        Form::Duration => "0s",
        Form::Text | Form::List | Form::Map => "",
    }
}

/// The value of a flag that was given in these words, the last of them last.
pub(super) fn of_flag<'a>(form: Form, given: impl Iterator<Item = &'a str>) -> Option<String> {
    let given: Vec<&str> = given.collect();
    let last = given.last()?;
    Some(match form {
        Form::Bool => match *last {
            "1" | "t" | "T" | "TRUE" | "True" => "true".to_owned(),
            "0" | "f" | "F" | "FALSE" | "False" => "false".to_owned(),
            other => other.to_owned(),
        },
        Form::Duration => duration::canonical(last).unwrap_or_else(|| (*last).to_owned()),
        Form::Number | Form::Text => (*last).to_owned(),
        Form::List => given.join(","),
        Form::Map => joined(&given.iter().flat_map(|words| members(words)).collect()),
    })
}

/// The members of a map in the form of a flag: `a=b,c=d`, of evictions `a<b`.
pub(super) fn members(text: &str) -> BTreeMap<String, String> {
    text.split(',')
        .filter_map(|member| member.split_once(['=', '<']))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

/// A map as one text, by key.
pub(super) fn joined(members: &BTreeMap<String, String>) -> String {
    members.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_flag_and_a_member_of_a_file_come_to_the_same() {
        for (form, flag, member) in [
            (Form::Bool, "T", json!(true)),
            (Form::Number, "-1", json!(-1)),
            (Form::Text, "Webhook", json!("Webhook")),
            (Form::Duration, "4h", json!("240m")),
            (Form::List, "a,b", json!(["a", "b"])),
            (Form::Map, "pid=1,cpu=2m", json!({"cpu": "2m", "pid": "1"})),
            (Form::Map, "b=true,a=false", json!({"a": false, "b": true})),
            (
                Form::Map,
                "nodefs.available<10%,memory.available<1Gi",
                json!({"memory.available": "1Gi", "nodefs.available": "10%"}),
            ),
        ] {
            let of_flag = of_flag(form, [flag].into_iter()).expect("given");
            assert_eq!(Ok(of_flag), of_json(form, &member), "{flag}");
        }
    }

    #[test]
    fn a_member_of_another_form_is_refused() {
        for (form, member) in [
            (Form::Bool, json!("true")),
            (Form::Number, json!("5")),
            (Form::Number, json!(5.5)),
            (Form::Text, json!(5)),
            (Form::Duration, json!("5")),
            (Form::List, json!([5])),
            (Form::Map, json!({"a": []})),
            (Form::Map, json!(["a"])),
        ] {
            assert!(of_json(form, &member).is_err(), "{member}");
        }
    }

    #[test]
    fn maps_and_lists_that_are_given_twice_add_up() {
        let given = || ["A=true", "B=false,A=false"].into_iter();
        assert_eq!(of_flag(Form::Map, given()).as_deref(), Some("A=false,B=false"));
        assert_eq!(of_flag(Form::List, ["a", "b"].into_iter()).as_deref(), Some("a,b"));
        assert_eq!(of_flag(Form::Text, ["a", "b"].into_iter()).as_deref(), Some("b"));
        assert_eq!(of_flag(Form::Text, std::iter::empty()), None);
    }
}
