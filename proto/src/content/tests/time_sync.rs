//! Any facts of `time_sync`.

use nodeward_domain::facts::{
    Chrony, ChronyAnswer, ConfiguredSource, DaemonUnit, KernelClock, LeapStatus, PhcDevice,
    PhcTarget, PtpClock, SourceDirective, SourceMode, SourceState, TimeDaemon, TimeSource,
    TimeSync, Tracked, UnitFileState,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::{NAME, TEXT, process};

pub(super) fn facts() -> impl Strategy<Value = TimeSync> {
    let kernel = prop_oneof![
        (any::<u32>(), any::<bool>(), any::<i32>()).prop_map(
            |(status, is_error_bounded, tai_offset_seconds)| KernelClock::Read {
                status,
                is_error_bounded,
                tai_offset_seconds
            }
        ),
        TEXT.prop_map(KernelClock::Unread),
    ];
    let clock = (NAME, TEXT).prop_map(|(name, clock_name)| PtpClock { name, clock_name });
    (vec(TEXT, 0..3), kernel, vec(daemon(), 0..3), option::of(chrony()), vec(clock, 0..3)).prop_map(
        |(container_marks, kernel, daemons, chrony, ptp_clocks)| TimeSync {
            container_marks,
            kernel,
            daemons,
            chrony,
            ptp_clocks,
        },
    )
}

fn daemon() -> impl Strategy<Value = TimeDaemon> {
    let states = [UnitFileState::Enabled, UnitFileState::Disabled, UnitFileState::Masked];
    let unit = (NAME, select(states.to_vec())).prop_map(|(name, state)| DaemonUnit { name, state });
    (NAME, vec(TEXT, 0..3), option::of(unit), process(), any::<bool>()).prop_map(
        |(name, traces, unit, process, only_watches)| TimeDaemon {
            name,
            traces,
            unit,
            process,
            only_watches,
        },
    )
}

fn chrony() -> impl Strategy<Value = Chrony> {
    (vec(TEXT, 0..3), vec(configured(), 0..3), TEXT, answer(), option::of(NAME)).prop_map(
        |(files, configured, endpoint, answer, unverified)| Chrony {
            files,
            configured,
            endpoint,
            answer,
            unverified,
        },
    )
}

fn configured() -> impl Strategy<Value = ConfiguredSource> {
    let directives = [
        SourceDirective::Server,
        SourceDirective::Pool,
        SourceDirective::Peer,
        SourceDirective::Refclock,
    ];
    let target = prop_oneof![
        NAME.prop_map(PhcTarget::Clock),
        Just(PhcTarget::Missing),
        TEXT.prop_map(PhcTarget::Unread),
    ];
    let phc = (TEXT, target).prop_map(|(path, target)| PhcDevice { path, target });
    (TEXT, any::<u32>(), select(directives.to_vec()), TEXT, option::of(phc)).prop_map(
        |(file, line, directive, text, phc)| ConfiguredSource { file, line, directive, text, phc },
    )
}

fn answer() -> impl Strategy<Value = ChronyAnswer> {
    prop_oneof![
        3 => tracked().prop_map(ChronyAnswer::Answered),
        1 => Just(ChronyAnswer::Refused),
        1 => (TEXT, any::<u64>()).prop_map(|(call, after_milliseconds)| {
            ChronyAnswer::TimedOut { call, after_milliseconds }
        }),
        1 => (TEXT, TEXT).prop_map(|(call, why)| ChronyAnswer::Failed { call, why }),
        1 => TEXT.prop_map(|why| ChronyAnswer::NotAsked { why }),
    ]
}

fn tracked() -> impl Strategy<Value = Tracked> {
    let leaps = [
        LeapStatus::Normal,
        LeapStatus::InsertSecond,
        LeapStatus::DeleteSecond,
        LeapStatus::Unsynchronised,
    ];
    let counts = (any::<u32>(), any::<u32>(), any::<u32>());
    (TEXT, any::<u32>(), select(leaps.to_vec()), vec(source(), 0..4), counts).prop_map(
        |(reference, stratum, leap, sources, (sources_left_out, offline, unresolved))| Tracked {
            reference,
            stratum,
            leap,
            sources,
            sources_left_out,
            offline,
            unresolved,
        },
    )
}

fn source() -> impl Strategy<Value = TimeSource> {
    let modes = [SourceMode::Server, SourceMode::Peer, SourceMode::ReferenceClock];
    let states = [
        SourceState::Selected,
        SourceState::Selectable,
        SourceState::Falseticker,
        SourceState::Jittery,
        SourceState::Unselectable,
    ];
    (NAME, select(modes.to_vec()), select(states.to_vec()), any::<u32>(), any::<bool>()).prop_map(
        |(name, mode, state, stratum, is_reachable)| TimeSource {
            name,
            mode,
            state,
            stratum,
            is_reachable,
        },
    )
}
