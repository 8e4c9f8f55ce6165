//! Errors as people read them. Those of feeds come in layers: the import, the archive, the
//! file, the line.

/// An error with all of its causes, in one line.
#[must_use]
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(one) = cause {
        let next = one.to_string();
        // Many errors end with the text of their cause.
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = one.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::with_causes;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Layer>>);

    #[test]
    fn every_cause_is_told_once() {
        let of = |texts: &[&'static str]| {
            let layers =
                texts.iter().rev().fold(None, |cause, text| Some(Box::new(Layer(text, cause))));
            with_causes(&*layers.expect("a layer"))
        };
        assert_eq!(of(&["a.zip", "b.json", "line 3"]), "a.zip: b.json: line 3");
        assert_eq!(of(&["a.zip: b.json", "b.json", "line 3"]), "a.zip: b.json: line 3");
    }
}
