//! Texts that many objects of a cluster share, kept once: names of namespaces and owners, keys
//! and values of labels, what conditions say.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use nodeward_domain::text::Text;

/// They are looked through for those that nobody has any more whenever they have doubled since,
/// but not before there are so many.
pub(super) const SWEEP_FROM: usize = 4096;

/// Labels of one pod beyond these are not kept.
const LABELS: usize = 128;

/// The labels of a pod, by key: those of one deployment are one.
pub(super) type Labels = Arc<[(Text, Text)]>;

/// Texts of one cluster.
#[derive(Debug, Default)]
pub(super) struct Texts {
    kept: HashSet<Text>,
    label_sets: HashSet<Labels>,
    swept: usize,
}

impl Texts {
    /// That text: the copy that is there, if one is.
    pub(super) fn get(&mut self, text: &str) -> Text {
        if let Some(same) = self.kept.get(text) {
            return same.clone();
        }
        self.sweep();
        let text = Text::from(text);
        self.kept.insert(text.clone());
        text
    }

    /// Those labels.
    pub(super) fn labels(&mut self, labels: &BTreeMap<String, String>) -> Labels {
        let labels: Vec<(Text, Text)> = labels
            .iter()
            .take(LABELS)
            .map(|(key, value)| (self.get(key), self.get(value)))
            .collect();
        if let Some(same) = self.label_sets.get(labels.as_slice()) {
            return Arc::clone(same);
        }
        self.sweep();
        let labels: Labels = labels.into();
        self.label_sets.insert(Arc::clone(&labels));
        labels
    }

    /// Forgets what nobody has any more, now and then: names of pods come and go.
    fn sweep(&mut self) {
        if self.len() > SWEEP_FROM.max(2 * self.swept) {
            self.label_sets.retain(|labels| Arc::strong_count(labels) > 1);
            self.kept.retain(Text::is_shared);
            self.label_sets.shrink_to_fit();
            self.kept.shrink_to_fit();
            self.swept = self.len();
        }
    }

    /// How much is kept.
    pub(super) fn len(&self) -> usize {
        self.kept.len() + self.label_sets.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_one_and_those_that_nobody_has_go() {
        let mut texts = Texts::default();
        let held = texts.get("kube-system");
        assert!(texts.get("kube-system").is_shared());
        for n in 0..3 * SWEEP_FROM {
            texts.get(&format!("pod-{n}"));
        }
        assert!(texts.len() <= SWEEP_FROM + 1, "{}", texts.len());
        assert!(texts.kept.contains("kube-system") && held == "kube-system");
        let one = BTreeMap::from([("app".to_owned(), "web".to_owned())]);
        assert!(Arc::ptr_eq(&texts.labels(&one), &texts.labels(&one)));
    }
}
