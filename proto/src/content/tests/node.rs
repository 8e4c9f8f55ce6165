//! Facts of the machine beside Kubernetes: its service manager, its network, what updates it,
//! and what its provider puts onto it.

use nodeward_domain::facts::{
    AptPeriodic, DaemonUnit, DefaultRoute, Extension, Extensions, Fate, Filtered, Interface,
    LastRun, LinuxExtension, LinuxTool, LivePatch, Netfilter, Network, RemarkableUnit, Rules,
    SystemManager, Systemd, ToolUnit, Traffic, UnitFileState, UnitMask, UpdateChannel,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{NAME, TEXT, time};

pub(super) fn systemd() -> impl Strategy<Value = Systemd> {
    let numbers = (any::<u32>(), any::<u64>(), any::<bool>());
    let unit = (NAME, vec(TEXT, 4), numbers).prop_map(|(name, texts, numbers)| {
        let [active_state, sub_state, result, path] =
            <[String; 4]>::try_from(texts).expect("four texts");
        let (restarts, main_started_microseconds_after_boot, needs_daemon_reload) = numbers;
        RemarkableUnit {
            name,
            active_state,
            sub_state,
            result,
            restarts,
            main_started_microseconds_after_boot,
            needs_daemon_reload,
            path,
        }
    });
    let mask = (NAME, TEXT).prop_map(|(name, path)| UnitMask { name, path });
    (TEXT, NAME, vec(unit, 0..3), any::<u32>(), vec(mask, 0..3)).prop_map(
        |(version, system_state, units, left_out, masked)| Systemd {
            manager: SystemManager { version, system_state, units, left_out },
            masked,
        },
    )
}

pub(super) fn network() -> impl Strategy<Value = Network> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    let interface = (NAME, flags, TEXT, any::<u32>(), TEXT).prop_map(
        |(name, (is_virtual, is_loopback, is_up), state, mtu_bytes, master)| Interface {
            name,
            is_virtual,
            is_loopback,
            is_up,
            state,
            mtu_bytes,
            master,
        },
    );
    let route = (any::<bool>(), NAME).prop_map(|(is_ipv6, link)| DefaultRoute { is_ipv6, link });
    let netfilter = prop_oneof![
        (vec(TEXT, 0..3), TEXT)
            .prop_map(|(legacy_tables, iptables)| Netfilter::Read { legacy_tables, iptables }),
        TEXT.prop_map(Netfilter::Unreadable),
    ];
    let fate = prop_oneof![
        Just(Fate::Passes),
        (TEXT, TEXT).prop_map(|(chain, rule)| Fate::Refused { chain, rule }),
        (TEXT, TEXT).prop_map(|(chain, rule)| Fate::Undecided { chain, rule }),
        TEXT.prop_map(Fate::NotFollowed),
    ];
    let filtered = (proptest::sample::select(Traffic::ALL.to_vec()), fate)
        .prop_map(|(traffic, fate)| Filtered { traffic, fate });
    let rules = prop_oneof![
        Just(Rules::NotAsked),
        vec(filtered, 0..3).prop_map(Rules::Read),
        TEXT.prop_map(Rules::Unreadable),
    ];
    (vec(interface, 0..3), vec(any::<u32>(), 0..3), vec(route, 0..3), netfilter, rules).prop_map(
        |(interfaces, pod_link_mtus, default_routes, netfilter, rules)| Network {
            interfaces,
            pod_link_mtus,
            default_routes,
            netfilter,
            rules,
        },
    )
}

pub(super) fn update_channel() -> impl Strategy<Value = UpdateChannel> {
    let last_run = prop_oneof![
        Just(LastRun::Never),
        time().prop_map(|at| at.map_or(LastRun::Never, LastRun::At)),
        TEXT.prop_map(LastRun::Unreadable),
    ];
    let apt = (any::<bool>(), TEXT, TEXT, TEXT, time(), last_run).prop_map(
        |(has_unattended_upgrade, enable, unattended_upgrade, file, configured_at, last_run)| {
            AptPeriodic {
                has_unattended_upgrade,
                enable,
                unattended_upgrade,
                file,
                configured_at,
                last_run,
            }
        },
    );
    let state = prop_oneof![
        Just(UnitFileState::Enabled),
        Just(UnitFileState::Disabled),
        Just(UnitFileState::Masked),
    ];
    let timer = (NAME, state).prop_map(|(name, state)| DaemonUnit { name, state });
    let live_patch = (TEXT, TEXT).prop_map(|(path, timestamp)| LivePatch { path, timestamp });
    let dnf_applies = option::of(any::<bool>());
    (option::of(apt), dnf_applies, vec(timer, 0..3), any::<bool>(), option::of(live_patch))
        .prop_map(|(apt, dnf_applies, timers, has_snapd, live_patch)| UpdateChannel {
            apt,
            dnf_applies,
            timers,
            has_snapd,
            live_patch,
        })
}

pub(super) fn linux_extension() -> impl Strategy<Value = LinuxExtension> {
    let unit = prop_oneof![
        Just(ToolUnit::OnDemand),
        Just(ToolUnit::NotThere),
        TEXT.prop_map(ToolUnit::Unreadable),
        (NAME, TEXT, TEXT, TEXT).prop_map(|(name, state, result, file_state)| {
            ToolUnit::There { name, state, result, file_state }
        }),
    ];
    let tool = (NAME, TEXT, TEXT, unit).prop_map(|(name, program, skip_mark, unit)| LinuxTool {
        name,
        program,
        skip_mark,
        unit,
    });
    vec(tool, 0..3).prop_map(|tools| LinuxExtension { tools })
}

pub(super) fn extensions() -> impl Strategy<Value = Extensions> {
    let extension =
        (NAME, NAME, TEXT).prop_map(|(name, version, state)| Extension { name, version, state });
    vec(extension, 0..3).prop_map(|extensions| Extensions { extensions })
}
