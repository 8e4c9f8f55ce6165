//! `swap_and_hugepages` to and from the wire.

use nodeward_domain::facts as domain;

use crate::convert::{Invalid, list, name, required, text, texts};
use crate::v1;
use crate::v1::swap_and_hugepages::{NotSupported, Settings, Swap, Told, Transparent as Kind};

/// Limits of the lists: the kernel takes some thirty swaps, and files tell two settings.
const SWAPS: usize = 256;
const TOLD: usize = 256;
const UNITS: usize = 16;

impl From<&domain::SwapAndHugepages> for v1::SwapAndHugepages {
    fn from(memory: &domain::SwapAndHugepages) -> Self {
        let swap = |swap: &domain::Swap| Swap {
            path: swap.path.clone(),
            r#type: swap.kind.clone(),
            size_bytes: swap.size_bytes,
        };
        let told = |told: &domain::ToldHugePages| Told {
            file: told.file.clone(),
            key: told.key.clone(),
            value: told.value.clone(),
        };
        Self {
            swaps: memory.swaps.iter().map(swap).collect(),
            huge_pages: memory.huge_pages,
            huge_page_bytes: memory.huge_page_bytes,
            transparent: Some(match &memory.transparent {
                domain::TransparentHugePages::NotSupported => Kind::NotSupported(NotSupported {}),
                domain::TransparentHugePages::Set { enabled, defrag } => {
                    Kind::Set(Settings { enabled: enabled.clone(), defrag: defrag.clone() })
                }
                domain::TransparentHugePages::Unreadable(why) => Kind::Unreadable(why.clone()),
            }),
            told: memory.told.iter().map(told).collect(),
            units: memory.units.clone(),
        }
    }
}

impl TryFrom<v1::SwapAndHugepages> for domain::SwapAndHugepages {
    type Error = Invalid;

    fn try_from(memory: v1::SwapAndHugepages) -> Result<Self, Invalid> {
        Ok(Self {
            swaps: list("swaps", memory.swaps, SWAPS, |swap| {
                Ok(domain::Swap {
                    path: name("path", swap.path)?,
                    kind: text(swap.r#type),
                    size_bytes: swap.size_bytes,
                })
            })?,
            huge_pages: memory.huge_pages,
            huge_page_bytes: memory.huge_page_bytes,
            transparent: match required("transparent", memory.transparent)? {
                Kind::NotSupported(NotSupported {}) => domain::TransparentHugePages::NotSupported,
                Kind::Set(Settings { enabled, defrag }) => domain::TransparentHugePages::Set {
                    enabled: text(enabled),
                    defrag: text(defrag),
                },
                Kind::Unreadable(why) => domain::TransparentHugePages::Unreadable(text(why)),
            },
            told: list("told", memory.told, TOLD, |told| {
                Ok(domain::ToldHugePages {
                    file: text(told.file),
                    key: name("key", told.key)?,
                    value: text(told.value),
                })
            })?,
            units: texts("units", memory.units, UNITS)?,
        })
    }
}
