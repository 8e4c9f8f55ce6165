//! Any facts of what a machine has room for: file systems, tasks, connections, memory.

use nodeward_domain::facts::{
    BlockMount, Conntrack, Filesystem, FilesystemPlace, FilesystemSize, Limit, PlaceRole,
    PodsLimit, Pressure, ProcessLimits, Swap, SwapAndHugepages, ToldHugePages,
    TransparentHugePages,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::{NAME, TEXT};

pub(super) fn filesystem() -> impl Strategy<Value = Filesystem> {
    let mount = (NAME, TEXT, TEXT, NAME, any::<bool>()).prop_map(
        |(device, source, kind, mount_point, went_read_only)| BlockMount {
            device,
            source,
            kind,
            mount_point,
            went_read_only,
        },
    );
    let size = prop_oneof![
        any::<u64>().prop_map(FilesystemSize::Bytes),
        TEXT.prop_map(FilesystemSize::Unseen),
    ];
    let place = (select(PlaceRole::ALL.to_vec()), NAME, NAME, NAME, size).prop_map(
        |(role, path, device, mount_point, size)| FilesystemPlace {
            role,
            path,
            device,
            mount_point,
            size,
        },
    );
    (TEXT, vec(mount, 0..4), any::<u32>(), vec(place, 0..4))
        .prop_map(|(source, mounts, untold, places)| Filesystem { source, mounts, untold, places })
}

pub(super) fn pressure() -> impl Strategy<Value = Pressure> {
    vec(NAME, 0..4).prop_map(|resources| Pressure { resources })
}

fn limit() -> impl Strategy<Value = Limit> {
    prop_oneof![
        any::<u64>().prop_map(Limit::At),
        Just(Limit::None),
        TEXT.prop_map(Limit::Unreadable),
    ]
}

pub(super) fn process_limits() -> impl Strategy<Value = ProcessLimits> {
    let pods = (NAME, limit()).prop_map(|(path, max)| PodsLimit { path, max });
    let parents = (vec(TEXT, 0..3), option::of(TEXT));
    (limit(), limit(), any::<u64>(), option::of(pods), parents).prop_map(
        |(pid_max, threads_max, open_files_max, pods, (zombie_parents, unseen))| ProcessLimits {
            pid_max,
            threads_max,
            open_files_max,
            pods,
            zombie_parents,
            unseen,
        },
    )
}

pub(super) fn conntrack() -> impl Strategy<Value = Conntrack> {
    any::<u64>().prop_map(|max_entries| Conntrack { max_entries })
}

pub(super) fn swap_and_hugepages() -> impl Strategy<Value = SwapAndHugepages> {
    let swap = (NAME, TEXT, any::<u64>()).prop_map(|(path, kind, size_bytes)| Swap {
        path,
        kind,
        size_bytes,
    });
    let transparent = prop_oneof![
        Just(TransparentHugePages::NotSupported),
        (TEXT, TEXT).prop_map(|(enabled, defrag)| TransparentHugePages::Set { enabled, defrag }),
        TEXT.prop_map(TransparentHugePages::Unreadable),
    ];
    let told = (TEXT, NAME, TEXT).prop_map(|(file, key, value)| ToldHugePages { file, key, value });
    let pages = (any::<u64>(), any::<u64>());
    (vec(swap, 0..3), pages, transparent, vec(told, 0..3), vec(TEXT, 0..2)).prop_map(
        |(swaps, (huge_pages, huge_page_bytes), transparent, told, units)| SwapAndHugepages {
            swaps,
            huge_pages,
            huge_page_bytes,
            transparent,
            told,
            units,
        },
    )
}
