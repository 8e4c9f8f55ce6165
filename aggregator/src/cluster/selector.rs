//! Selectors of labels, matched as Kubernetes does (`metav1.LabelSelector`): all of
//! `matchLabels` and all of `matchExpressions` must hold.

use super::wire::{Requirement, Selector};

impl Selector {
    /// Whether it selects what has these labels; `value` finds the value of a key.
    pub(super) fn selects<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.match_labels.iter().all(|(key, wanted)| value(key) == Some(wanted))
            && self.match_expressions.iter().all(|one| one.holds(value(&one.key)))
    }
}

impl Requirement {
    /// Whether it holds of a label's value; none where there is no such label. One whose
    /// operator is not known here holds of nothing: the API server accepts no other.
    fn holds(&self, value: Option<&str>) -> bool {
        let is_named = |value: &str| self.values.iter().any(|one| one == value);
        match self.operator.as_str() {
            "In" => value.is_some_and(is_named),
            "NotIn" => !value.is_some_and(is_named),
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selects(selector: &str, labels: &[(&str, &str)]) -> bool {
        let selector: Selector = serde_json::from_str(selector).expect("a selector");
        let find = |key: &str| labels.iter().find(|(one, _)| *one == key).map(|(_, value)| *value);
        selector.selects(find)
    }

    #[test]
    fn labels_and_expressions_must_all_hold() {
        let labels = [("app", "web"), ("tier", "front")];
        for (selector, expected) in [
            ("{}", true),
            (r#"{"matchLabels":{"app":"web"}}"#, true),
            (r#"{"matchLabels":{"app":"web","tier":"back"}}"#, false),
            (r#"{"matchLabels":{"zone":""}}"#, false),
            (r#"{"matchExpressions":[{"key":"app","operator":"In","values":["a","web"]}]}"#, true),
            (r#"{"matchExpressions":[{"key":"app","operator":"In","values":null}]}"#, false),
            (r#"{"matchExpressions":[{"key":"app","operator":"NotIn","values":["web"]}]}"#, false),
            (r#"{"matchExpressions":[{"key":"zone","operator":"NotIn","values":["1"]}]}"#, true),
            (r#"{"matchExpressions":[{"key":"tier","operator":"Exists"}]}"#, true),
            (r#"{"matchExpressions":[{"key":"zone","operator":"Exists"}]}"#, false),
            (r#"{"matchExpressions":[{"key":"zone","operator":"DoesNotExist"}]}"#, true),
            (r#"{"matchExpressions":[{"key":"app","operator":"DoesNotExist"}]}"#, false),
            (r#"{"matchExpressions":[{"key":"app","operator":"Gt","values":["1"]}]}"#, false),
            (
                r#"{"matchLabels":{"app":"web"},
                    "matchExpressions":[{"key":"tier","operator":"DoesNotExist"}]}"#,
                false,
            ),
        ] {
            assert_eq!(selects(selector, &labels), expected, "{selector}");
        }
    }
}
