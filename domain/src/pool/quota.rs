//! Quotas of processors: what an upgrade with surge may take, and which of several quotas it is
//! taken from. Source of the names: the provider's page on names of sizes of machines.

use jiff::Timestamp;
use serde::Serialize;

use super::{PoolKey, PoolProfile};

/// Processors that may still be taken: an upgrade with surge needs some.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Quota {
    /// The cluster that may take them.
    pub cluster: String,
    /// The region they are in, where that is stated.
    pub region: Option<String>,
    /// The family of machines that they are of; of any where it is none.
    pub vm_family: Option<String>,
    /// So many are free.
    pub processors_free: u32,
    /// When that was so.
    pub as_of: Timestamp,
}

impl Quota {
    /// The quota that a pool's surge is taken from: that of its region and of its family of
    /// machines, and of several the one with the least left. A quota of another family says
    /// nothing of it.
    #[must_use]
    pub fn of_surge<'a>(
        quotas: impl Iterator<Item = &'a Self>,
        key: &PoolKey,
        profile: Option<&PoolProfile>,
    ) -> Option<&'a Self> {
        let is_of_region = |quota: &Self| {
            let region = profile.and_then(|profile| profile.region.as_ref());
            let both = quota.region.as_ref().zip(region);
            both.is_none_or(|(one, other)| one.eq_ignore_ascii_case(other))
        };
        let is_of_family = |quota: &Self| {
            let size = profile.and_then(|profile| profile.vm_size.as_deref());
            let both = quota.vm_family.as_ref().zip(size);
            both.is_none_or(|(family, size)| family.eq_ignore_ascii_case(&family_of_size(size)))
        };
        let of_cluster = quotas.filter(|quota| quota.cluster == key.cluster);
        let fitting = of_cluster.filter(|quota| is_of_region(quota) && is_of_family(quota));
        fitting.min_by_key(|quota| quota.processors_free)
    }
}

/// The family of a size of machines as quotas name it: `standardDDSv5Family` of
/// `Standard_D8ds_v5`.
fn family_of_size(size: &str) -> String {
    let mut parts = size.split('_');
    let standard = parts.next().unwrap_or_default();
    let letters = |part: &str| part.chars().filter(char::is_ascii_alphabetic).collect::<String>();
    // Of the machine's own part the digits are its number of processors.
    let kind = parts.next().map(letters).unwrap_or_default();
    format!("{standard}{kind}{}Family", parts.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_of_the_pools_own_machines_and_region() {
        let quota = |family: Option<&str>, region: Option<&str>, free: u32| Quota {
            cluster: "c".to_owned(),
            region: region.map(str::to_owned),
            vm_family: family.map(str::to_owned),
            processors_free: free,
            as_of: Timestamp::UNIX_EPOCH,
        };
        let quotas = [
            quota(Some("standardDDSv5Family"), None, 4),
            quota(Some("standardESv5Family"), None, 1),
            quota(None, Some("northeurope"), 2),
            quota(None, None, 9),
            Quota { cluster: "other".to_owned(), ..quota(None, None, 0) },
        ];
        let key = PoolKey { cluster: "c".to_owned(), pool: "p".to_owned() };
        let left = |size: Option<&str>, region: Option<&str>| {
            let mut profile = PoolProfile::unstated(key.clone(), Timestamp::UNIX_EPOCH);
            profile.vm_size = size.map(str::to_owned);
            profile.region = region.map(str::to_owned);
            let quota = Quota::of_surge(quotas.iter(), &key, Some(&profile));
            quota.map(|quota| quota.processors_free)
        };
        // Its own family's, which has less left than the quota of all families.
        assert_eq!(left(Some("Standard_D8ds_v5"), Some("westeurope")), Some(4));
        // Of another family: only what is of all families and of any region.
        assert_eq!(left(Some("Standard_B4ms"), None), Some(2));
        // Where its machines are not known, whichever has the least left.
        assert_eq!(left(None, None), Some(1));
    }

    #[test]
    fn a_size_names_its_family_as_quotas_do() {
        for (size, family) in [
            ("Standard_D8ds_v5", "standardDDSv5Family"),
            ("Standard_D4s_v5", "standardDSv5Family"),
            ("Standard_D2_v3", "standardDv3Family"),
            ("Standard_DS2_v2", "standardDSv2Family"),
            ("Standard_F8s_v2", "standardFSv2Family"),
            ("Standard_NC24ads_A100_v4", "StandardNCADSA100v4Family"),
        ] {
            assert!(family_of_size(size).eq_ignore_ascii_case(family), "{}", family_of_size(size));
        }
    }
}
