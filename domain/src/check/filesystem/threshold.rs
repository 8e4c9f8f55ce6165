//! Thresholds as a kubelet takes them: a share of the whole, or a quantity of Kubernetes,
//! <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>.

use crate::facts::kubelet::Setting;

/// So much must be left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Threshold {
    /// Of the whole.
    Ratio(f64),
    /// Bytes or inodes.
    Amount(f64),
}

impl Threshold {
    /// Whether less is left.
    pub(super) fn is_crossed(self, left: u64, whole: u64) -> bool {
        match self {
            Self::Ratio(ratio) => (left as f64) < ratio * whole as f64,
            Self::Amount(amount) => (left as f64) < amount,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        if let Some(percent) = text.strip_suffix('%') {
            let percent: f64 = percent.trim().parse().ok()?;
            return (0.0..=100.0).contains(&percent).then_some(Self::Ratio(percent / 100.0));
        }
        quantity(text).map(Self::Amount)
    }
}

/// The threshold of one signal in a setting of thresholds; none where the kubelet has none,
/// an error where it is not understood.
pub(super) fn of(setting: &Setting, signal: &str) -> Result<Option<(Threshold, String)>, String> {
    let members = setting.effective().split(',').filter_map(|member| member.split_once('='));
    let Some((_, told)) = members.into_iter().find(|(name, _)| *name == signal) else {
        return Ok(None);
    };
    match Threshold::parse(told) {
        // A kubelet takes these for none.
        Some(Threshold::Ratio(none) | Threshold::Amount(none)) if none <= 0.0 => Ok(None),
        Some(threshold) => Ok(Some((threshold, told.to_owned()))),
        None => Err(format!("{}: {signal} is {told:?}, which is no quantity", setting.key)),
    }
}

/// A number with a suffix.
fn quantity(text: &str) -> Option<f64> {
    const SUFFIXES: [(&str, f64); 12] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("m", 1e-3),
        ("", 1.0),
    ];
    let (number, factor) =
        SUFFIXES.iter().find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, factor)))?;
    let is_plain = |letter: char| letter.is_ascii_digit() || matches!(letter, '.' | '+');
    let number: f64 = number.chars().all(is_plain).then(|| number.parse().ok()).flatten()?;
    Some(number * factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::kubelet::SettingSource;

    #[test]
    fn a_threshold_is_a_share_or_a_quantity() {
        let setting = Setting {
            key: "evictionHard".to_owned(),
            value: "a=10%,b=1.5Gi,c=100Mi,d=5000,e=0%,f=x,g=10Qi,h=-1,i=1G".to_owned(),
            source: SettingSource::Default,
            in_force: None,
        };
        let threshold = |signal: &str| of(&setting, signal).map(|one| one.map(|(one, _)| one));
        assert_eq!(threshold("a"), Ok(Some(Threshold::Ratio(0.1))));
        assert_eq!(threshold("b"), Ok(Some(Threshold::Amount(1_610_612_736.0))));
        assert_eq!(threshold("c"), Ok(Some(Threshold::Amount(104_857_600.0))));
        assert_eq!(threshold("d"), Ok(Some(Threshold::Amount(5000.0))));
        assert_eq!(threshold("i"), Ok(Some(Threshold::Amount(1e9))));
        assert_eq!((threshold("e"), threshold("nodefs.available")), (Ok(None), Ok(None)));
        for wrong in ["f", "g", "h"] {
            assert!(threshold(wrong).is_err_and(|why| why.starts_with("evictionHard: ")));
        }
    }

    #[test]
    fn less_than_the_threshold_is_too_little() {
        for (threshold, left, is_crossed) in [
            (Threshold::Ratio(0.1), 10, false),
            (Threshold::Ratio(0.1), 9, true),
            (Threshold::Amount(50.0), 50, false),
            (Threshold::Amount(50.0), 49, true),
        ] {
            assert_eq!(threshold.is_crossed(left, 100), is_crossed, "{threshold:?} {left}");
        }
    }
}
