//! Every state there and back, and bytes that are none.

use jiff::Timestamp;
use nodeward_domain::facts::kernel_log::{
    ImportedCondition, ImportedEvent, ImportedFile, ImportedKind, Journal, JournalRead, LogClass,
    LogEvent, LogLine, LogSource, LostLines,
};
use nodeward_domain::facts::{
    Cni, CniConfiguration, CniPlugin, CniRoutes, Containerd, CriAnswer, DatabaseLock,
    ExpectedValue, FamilyHealth, FeatureGate, Fips, HttpAnswer, ImageName, ImageNames, Kernel,
    KernelImages, KernelLog, KernelModules, KubeProxy, Label, LiveValue, ManagedContainer,
    ManagedImage, ManagedImages, ModuleRule, ModuleRuleKind, NodeImage, OsRelease, OutdatedProcess,
    Package, PackageManager, Packages, PassedOver, Process, ProxyConfiguration, ProxyHealth,
    Reboot, RuntimeCondition, RuntimeVersion, Sentinel, Setting, Sysctl, UbuntuPro,
    UnfinishedPackage, Unit, UnitFile, UnitState,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::convert::facts::containerd::tests::{configuration, replies};

mod access;
mod beyond;
mod cluster;
mod kubelet;
mod machine;
mod node;
mod time_sync;

/// A name is never empty; any other text may be.
const NAME: &str = "[a-zA-Z0-9.+~:-]{1,12}";
const TEXT: &str = "\\PC{0,20}";

fn state<T: std::fmt::Debug>(facts: impl Strategy<Value = T>) -> impl Strategy<Value = State<T>> {
    prop_oneof![
        4 => facts.prop_map(|facts| State::Present(Arc::new(facts))),
        1 => Just(()).prop_map(|()| State::Absent),
        1 => TEXT.prop_map(State::NotApplicable),
        1 => (TEXT, TEXT)
            .prop_map(|(place, why)| State::Unavailable(Unavailable { place, why })),
    ]
}

fn os_release() -> impl Strategy<Value = OsRelease> {
    let fips = prop_oneof![
        Just(Fips::On),
        Just(Fips::Off),
        Just(Fips::NotSupported),
        TEXT.prop_map(Fips::Unreadable),
    ];
    let pro = prop_oneof![
        Just(UbuntuPro::NotThere),
        (any::<bool>(), vec(TEXT, 0..3))
            .prop_map(|(attached, enabled)| UbuntuPro::Read { attached, enabled }),
        TEXT.prop_map(UbuntuPro::Unreadable),
    ];
    let texts = (vec(TEXT, 6), vec(TEXT, 0..4));
    (NAME, texts, fips, pro).prop_map(|(id, (texts, provider_marks), fips, ubuntu_pro)| {
        let [path, version_id, version_codename, pretty_name, variant_id, architecture] =
            <[String; 6]>::try_from(texts).expect("six texts");
        OsRelease {
            path,
            id,
            version_id,
            version_codename,
            pretty_name,
            variant_id,
            architecture,
            provider_marks,
            fips,
            ubuntu_pro,
        }
    })
}

fn kernel() -> impl Strategy<Value = Kernel> {
    let images = prop_oneof![
        vec(NAME, 0..3).prop_map(KernelImages::Releases),
        TEXT.prop_map(KernelImages::Unreadable),
    ];
    (NAME, TEXT, TEXT, any::<u64>(), vec(TEXT, 0..4), time(), images).prop_map(
        |(release, version, boot_id, tainted, command_line, booted_at, images)| Kernel {
            release,
            version,
            boot_id,
            booted_at,
            images,
            tainted,
            command_line,
        },
    )
}

fn kernel_modules() -> impl Strategy<Value = KernelModules> {
    let kind = prop_oneof![Just(ModuleRuleKind::Blacklist), Just(ModuleRuleKind::Install)];
    let rule = (NAME, kind, TEXT, any::<u32>()).prop_map(|(module, kind, path, line)| ModuleRule {
        module,
        kind,
        path,
        line,
    });
    (vec(NAME, 0..4), vec(rule, 0..4)).prop_map(|(loaded, rules)| KernelModules { loaded, rules })
}

fn kernel_log() -> impl Strategy<Value = KernelLog> {
    let at = || (0i64..9_999_999_999).prop_map(|s| Timestamp::from_second(s).expect("inside"));
    let source = prop_oneof![
        NAME.prop_map(|path| LogSource::Kmsg { path }),
        (NAME, TEXT).prop_map(|(path, instead)| LogSource::File { path, instead }),
        (TEXT, TEXT).prop_map(|(place, why)| LogSource::Unreadable(Unavailable { place, why })),
    ];
    let line = (at(), proptest::option::of(any::<u64>()), TEXT, TEXT, any::<bool>()).prop_map(
        |(at, sequence, subject, text, by_kernel)| LogLine {
            at,
            sequence,
            subject,
            text,
            by_kernel,
        },
    );
    let event = (0..LogClass::ALL.len(), any::<u64>(), at(), vec(line, 0..3)).prop_map(
        |(class, count, first_at, newest)| LogEvent {
            class: LogClass::ALL[class],
            count,
            first_at,
            newest,
        },
    );
    let lost = (any::<u64>(), at()).prop_map(|(count, last_at)| LostLines { count, last_at });
    let kind = prop_oneof![
        Just(ImportedKind::LogMonitor),
        Just(ImportedKind::CustomPlugin),
        Just(ImportedKind::SystemStats),
        Just(ImportedKind::Other),
    ];
    let file = (NAME, kind, TEXT, any::<u32>(), TEXT, TEXT).prop_map(
        |(name, kind, source, rules, follows, idle)| ImportedFile {
            name,
            kind,
            source,
            rules,
            follows,
            idle,
        },
    );
    let condition = (NAME, TEXT, TEXT, TEXT, at(), at()).prop_map(
        |(file, condition, reason, message, since, last_at)| ImportedCondition {
            file,
            condition,
            reason,
            message,
            since,
            last_at,
        },
    );
    let finding = (NAME, TEXT, TEXT, any::<u64>(), at(), at()).prop_map(
        |(file, reason, message, count, first_at, last_at)| ImportedEvent {
            file,
            reason,
            message,
            count,
            first_at,
            last_at,
        },
    );
    let journal = prop_oneof![
        (NAME, any::<u32>(), any::<u64>(), any::<bool>()).prop_map(
            |(folder, set_aside, skipped, is_behind)| {
                JournalRead::Followed(Journal { folder, set_aside, skipped, is_behind })
            }
        ),
        (TEXT, TEXT).prop_map(|(place, why)| JournalRead::Unreadable(Unavailable { place, why })),
        Just(JournalRead::NotTold),
    ];
    let found = (vec(file, 0..3), vec(condition, 0..3), vec(finding, 0..3), any::<u32>());
    (source, journal, vec(event, 0..3), proptest::option::of(lost), found).prop_map(
        |(source, journal, events, lost, (imported, conditions, findings, left_out))| KernelLog {
            source,
            journal,
            events,
            lost,
            imported,
            conditions,
            findings,
            left_out,
        },
    )
}

fn managed_images() -> impl Strategy<Value = ManagedImages> {
    let container =
        (NAME, TEXT, TEXT, TEXT).prop_map(|(name, image, user_specified_image, image_ref)| {
            ManagedContainer { name, image, user_specified_image, image_ref }
        });
    let names =
        (vec(TEXT, 0..3), vec(TEXT, 0..3)).prop_map(|(tags, digests)| ImageNames { tags, digests });
    let image = (NAME, proptest::option::of(names), vec(container, 0..3))
        .prop_map(|(id, names, containers)| ManagedImage { id, names, containers });
    vec(image, 0..3).prop_map(|images| ManagedImages { images })
}

fn reboot() -> impl Strategy<Value = Reboot> {
    let sentinel = (NAME, time(), vec(TEXT, 0..3))
        .prop_map(|(path, written_at, packages)| Sentinel { path, written_at, packages });
    let outdated =
        (NAME, vec(TEXT, 0..3)).prop_map(|(name, files)| OutdatedProcess { name, files });
    let unseen = proptest::option::of(TEXT);
    (vec(sentinel, 0..3), any::<bool>(), vec(outdated, 0..3), unseen).prop_map(
        |(sentinels, kured_runs, outdated, unseen)| Reboot {
            sentinels,
            kured_runs,
            outdated,
            unseen,
        },
    )
}

/// Source and binary are often the same, which the wire leaves out.
fn package() -> impl Strategy<Value = Package> {
    let source = proptest::option::of(NAME);
    let source_version = proptest::option::of(NAME);
    (NAME, TEXT, NAME, source, source_version, any::<bool>(), TEXT).prop_map(
        |(name, architecture, version, source, source_version, held, origin)| Package {
            source: source.unwrap_or_else(|| name.clone()),
            source_version: source_version.unwrap_or_else(|| version.clone()),
            name,
            architecture,
            version,
            held,
            origin,
        },
    )
}

fn packages() -> impl Strategy<Value = Packages> {
    let unfinished = (NAME, TEXT, TEXT, TEXT).prop_map(|(name, architecture, version, status)| {
        UnfinishedPackage { name, architecture, version, status }
    });
    let manager = prop_oneof![Just(PackageManager::Dpkg), Just(PackageManager::Rpm)];
    let lock = prop_oneof![
        Just(DatabaseLock::Free),
        TEXT.prop_map(DatabaseLock::Held),
        TEXT.prop_map(DatabaseLock::Unreadable),
    ];
    (manager, TEXT, vec(package(), 0..5), vec(unfinished, 0..3), lock).prop_map(
        |(manager, path, installed, unfinished, lock)| Packages {
            manager,
            path,
            installed,
            unfinished,
            lock,
        },
    )
}

fn process() -> impl Strategy<Value = Option<Process>> {
    proptest::option::of((any::<u32>(), any::<u64>(), TEXT, any::<bool>()).prop_map(
        |(pid, started_seconds_after_boot, executable, executable_replaced)| Process {
            pid,
            started_seconds_after_boot,
            executable,
            executable_replaced,
        },
    ))
}

fn time() -> impl Strategy<Value = Option<Timestamp>> {
    proptest::option::of(
        (-9_999_999i64..9_999_999_999, 0i32..1_000_000_000)
            .prop_map(|(seconds, nanos)| Timestamp::new(seconds, nanos).expect("inside the range")),
    )
}

fn unit() -> impl Strategy<Value = UnitState> {
    let file = || (NAME, time()).prop_map(|(path, modified_at)| UnitFile { path, modified_at });
    let files = (proptest::option::of(file()), vec(file(), 0..3));
    let numbers = (any::<(u32, u32, u64, u64, u64, bool)>(), time());
    let loaded =
        (vec(TEXT, 5), numbers, files).prop_map(|(texts, (numbers, time), (file, drop_ins))| {
            let [load_state, active_state, sub_state, result, file_state] =
                <[String; 5]>::try_from(texts).expect("five texts");
            Unit {
                load_state,
                active_state,
                sub_state,
                result,
                file_state,
                restarts: numbers.0,
                main_pid: numbers.1,
                main_started_microseconds_after_boot: numbers.2,
                main_started_at: time,
                start_began_microseconds_after_boot: numbers.3,
                needs_daemon_reload: numbers.5,
                watchdog_microseconds: numbers.4,
                open_files_limit: Some(numbers.2),
                file,
                drop_ins,
            }
        });
    prop_oneof![
        Just(UnitState::NoSystemd),
        TEXT.prop_map(|why| UnitState::Unreadable { why }),
        TEXT.prop_map(|file_state| UnitState::NotLoaded { file_state }),
        loaded.prop_map(|unit| UnitState::Loaded(Box::new(unit))),
    ]
}

fn cri() -> impl Strategy<Value = CriAnswer> {
    let condition =
        (NAME, any::<bool>(), TEXT, TEXT).prop_map(|(kind, status, reason, message)| {
            RuntimeCondition { kind, status, reason, message }
        });
    let version = (TEXT, TEXT, TEXT).prop_map(|(name, version, api_version)| RuntimeVersion {
        name,
        version,
        api_version,
    });
    prop_oneof![
        Just(CriAnswer::NoSocket),
        Just(CriAnswer::Refused),
        (TEXT, any::<u64>()).prop_map(|(call, after_milliseconds)| CriAnswer::TimedOut {
            call,
            after_milliseconds
        }),
        TEXT.prop_map(|message| CriAnswer::Unimplemented { message }),
        (TEXT, TEXT).prop_map(|(call, why)| CriAnswer::Failed { call, why }),
        (version, vec(condition, 0..4))
            .prop_map(|(version, conditions)| CriAnswer::Serving { version, conditions }),
        TEXT.prop_map(|why| CriAnswer::NotAsked { why }),
    ]
}

fn http() -> impl Strategy<Value = HttpAnswer> {
    prop_oneof![
        (any::<u16>(), TEXT).prop_map(|(status, body)| HttpAnswer::Answered { status, body }),
        Just(HttpAnswer::Refused),
        any::<u64>().prop_map(|after_milliseconds| HttpAnswer::TimedOut { after_milliseconds }),
        any::<u64>().prop_map(|after_milliseconds| HttpAnswer::NoHandshake { after_milliseconds }),
        TEXT.prop_map(|why| HttpAnswer::Failed { why }),
        TEXT.prop_map(|why| HttpAnswer::NotAsked { why }),
    ]
}

fn proxy_health() -> impl Strategy<Value = ProxyHealth> {
    let family =
        (NAME, any::<bool>()).prop_map(|(family, is_healthy)| FamilyHealth { family, is_healthy });
    let eligible = proptest::option::of(any::<bool>());
    (TEXT, http(), http(), vec(family, 0..3), eligible).prop_map(
        |(endpoint, livez, healthz, families, node_eligible)| ProxyHealth {
            endpoint,
            livez,
            healthz,
            families,
            node_eligible,
        },
    )
}

fn proxy_configuration() -> impl Strategy<Value = ProxyConfiguration> {
    let gate = (NAME, any::<bool>()).prop_map(|(name, is_on)| FeatureGate { name, is_on });
    let period = proptest::option::of(any::<u32>());
    (TEXT, TEXT, TEXT, period, vec(gate, 0..3)).prop_map(
        |(mode, health, metrics, sync_period_seconds, feature_gates)| ProxyConfiguration {
            mode,
            health_bind_address: health,
            metrics_bind_address: metrics,
            sync_period_seconds,
            feature_gates,
        },
    )
}

fn kube_proxy() -> impl Strategy<Value = KubeProxy> {
    let found = (vec(TEXT, 0..3), process(), any::<bool>());
    let endpoint = (TEXT, http(), http(), http());
    let alpha = proptest::option::of(vec(TEXT, 0..3));
    let configuration = proptest::option::of(proxy_configuration());
    (found, proxy_health(), endpoint, TEXT, alpha, configuration).prop_map(
        |(found, health, endpoint, version, alpha_features, configuration)| {
            let (traces, process, in_container) = found;
            let (metrics_endpoint, proxy_mode, metrics, configz) = endpoint;
            KubeProxy {
                traces,
                process,
                in_container,
                health,
                metrics_endpoint,
                proxy_mode,
                metrics,
                version,
                alpha_features,
                configz,
                configuration,
            }
        },
    )
}

fn cni() -> impl Strategy<Value = Cni> {
    let plugin = (NAME, TEXT, TEXT, TEXT).prop_map(|(kind, mode, ipam, ipam_mode)| CniPlugin {
        kind,
        mode,
        ipam,
        ipam_mode,
    });
    let configuration = proptest::option::of(
        (TEXT, TEXT, vec(plugin, 0..3)).prop_map(|(path, name, plugins)| CniConfiguration {
            path,
            name,
            plugins,
        }),
    );
    let routes = prop_oneof![
        (vec(TEXT, 0..3), any::<bool>()).prop_map(|(default_links, has_azure_pod_links)| {
            CniRoutes::Read { default_links, has_azure_pod_links }
        }),
        TEXT.prop_map(CniRoutes::Unreadable),
    ];
    (configuration, vec(TEXT, 0..3), routes).prop_map(|(configuration, other_files, routes)| Cni {
        configuration,
        other_files,
        routes,
    })
}

fn component() -> impl Strategy<Value = ComponentState> {
    let containerd = (
        (vec(TEXT, 0..3), vec(TEXT, 0..2), process(), unit()),
        (configuration(), TEXT, cri(), replies()),
    )
        .prop_map(|((traces, runc, process, unit), (configuration, socket, cri, replies))| {
            Containerd { traces, runc, process, unit, configuration, socket, cri, replies }
        });
    let live = prop_oneof![
        TEXT.prop_map(LiveValue::Value),
        Just(LiveValue::Missing),
        TEXT.prop_map(LiveValue::Unreadable),
    ];
    let expected =
        proptest::option::of((TEXT, TEXT).prop_map(|(value, file)| ExpectedValue { value, file }));
    let setting =
        (NAME, live, expected).prop_map(|(key, live, expected)| Setting { key, live, expected });
    let image = (
        proptest::option::of((TEXT, TEXT, NAME)),
        TEXT,
        vec(TEXT, 0..3),
        vec(
            (NAME, TEXT).prop_map(|(key, value)| Label { key: key.into(), value: value.into() }),
            0..4,
        ),
    )
        .prop_map(|(name, build_note, marks, labels)| NodeImage {
            name: name.map(|(path, sku, version)| ImageName { path, sku, version }),
            build_note,
            marks,
            labels,
        });
    let file = (NAME, any::<u32>(), any::<u32>(), TEXT)
        .prop_map(|(file, lines, first_line, why)| PassedOver { file, lines, first_line, why });
    let facts = (vec(setting, 0..4), vec(file, 0..3));
    prop_oneof![
        state(image).prop_map(ComponentState::NodeImage).boxed(),
        state(facts.prop_map(|(settings, passed_over)| Sysctl { settings, passed_over }))
            .prop_map(ComponentState::Sysctl)
            .boxed(),
        state(os_release()).prop_map(ComponentState::OsRelease).boxed(),
        state(kernel()).prop_map(ComponentState::Kernel).boxed(),
        state(kernel_log()).prop_map(ComponentState::KernelLog).boxed(),
        state(kernel_modules()).prop_map(ComponentState::KernelModules).boxed(),
        state(machine::filesystem()).prop_map(ComponentState::Filesystem).boxed(),
        state(machine::pressure()).prop_map(ComponentState::Pressure).boxed(),
        state(machine::process_limits()).prop_map(ComponentState::ProcessLimits).boxed(),
        state(machine::conntrack()).prop_map(ComponentState::Conntrack).boxed(),
        state(machine::swap_and_hugepages()).prop_map(ComponentState::SwapAndHugepages).boxed(),
        state(packages()).prop_map(ComponentState::Packages).boxed(),
        state(reboot()).prop_map(ComponentState::Reboot).boxed(),
        state(containerd).prop_map(ComponentState::Containerd).boxed(),
        state(managed_images()).prop_map(ComponentState::ManagedImages).boxed(),
        state(kubelet::facts()).prop_map(ComponentState::Kubelet).boxed(),
        state(time_sync::facts()).prop_map(ComponentState::TimeSync).boxed(),
        state(kube_proxy()).prop_map(ComponentState::KubeProxy).boxed(),
        state(cni()).prop_map(ComponentState::Cni).boxed(),
        state(node::systemd()).prop_map(ComponentState::Systemd).boxed(),
        state(node::network()).prop_map(ComponentState::Network).boxed(),
        state(node::update_channel()).prop_map(ComponentState::UpdateChannel).boxed(),
        state(node::linux_extension()).prop_map(ComponentState::LinuxExtension).boxed(),
        state(node::extensions()).prop_map(ComponentState::Extensions).boxed(),
        state(cluster::node_object()).prop_map(ComponentState::NodeObject).boxed(),
        state(cluster::system_pods()).prop_map(ComponentState::SystemPods).boxed(),
        state(beyond::dns()).prop_map(ComponentState::Dns).boxed(),
        state(beyond::egress()).prop_map(ComponentState::Egress).boxed(),
        state(beyond::api_server()).prop_map(ComponentState::ApiServer).boxed(),
        state(beyond::tunnel()).prop_map(ComponentState::Tunnel).boxed(),
        state(access::files()).prop_map(ComponentState::Files).boxed(),
        state(access::node_access()).prop_map(ComponentState::NodeAccess).boxed(),
        state(access::certificates()).prop_map(ComponentState::Certificates).boxed(),
        state(access::docker()).prop_map(ComponentState::Docker).boxed(),
    ]
}

proptest! {
    #[test]
    fn every_state_comes_back_as_it_went(state in component()) {
        prop_assert_eq!(Content::of(&state).decode(), Some(state));
    }

    #[test]
    fn equal_states_have_one_name_and_others_another(a in component(), b in component()) {
        let (first, second) = (Content::of(&a).digest(), Content::of(&b).digest());
        prop_assert_eq!(a == b, first == second);
        prop_assert_eq!(Content::of(&a).digest(), first);
    }

    #[test]
    fn no_bytes_panic_or_change_their_component(bytes in vec(any::<u8>(), 0..64)) {
        for component in Component::ALL {
            let content =
                Content { component: component.name().to_owned(), form: FORM, bytes: bytes.clone() };
            prop_assert_eq!(content.decode().map(|state| state.component()), Some(component));
        }
    }
}

#[test]
fn facts_too_big_to_be_taken_say_so_themselves() {
    let package = |number: usize| Package {
        name: format!("package-{number}-{}", "x".repeat(100)),
        architecture: "amd64".to_owned(),
        version: "1".to_owned(),
        source: "s".to_owned(),
        source_version: "1".to_owned(),
        held: false,
        origin: String::new(),
    };
    let packages = Packages {
        manager: PackageManager::Dpkg,
        path: "/var/lib/dpkg/status".to_owned(),
        installed: (0..40_000).map(package).collect(),
        unfinished: Vec::new(),
        lock: DatabaseLock::Free,
    };
    let content = Content::of(&ComponentState::Packages(State::Present(Arc::new(packages))));
    assert!(content.bytes.len() < 1000);
    let state = content.decode().expect("a known component");
    assert_eq!(state.word(), "unavailable");
    assert!(state.headline().contains("at most 4194304"), "{}", state.headline());
}
