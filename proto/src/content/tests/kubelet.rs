//! Any facts of `kubelet`, for the round trip of contents.

use jiff::Timestamp;
use nodeward_domain::facts::kubelet::{
    Certificate, CertificateContent, CertificateFile, CertificateRole, Configuration,
    ConfigurationFile, Credential, FileRole, FileState, Flag, SecurePort, Setting, SettingSource,
    Version, Written,
};
use nodeward_domain::facts::{HttpAnswer, Kubelet, Label, Process, UnitState};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::{NAME, TEXT, http, process, unit};

fn moment() -> impl Strategy<Value = Timestamp> {
    (-1_000_000_000i64..10_000_000_000)
        .prop_map(|second| Timestamp::from_second(second).expect("inside the range"))
}

fn file() -> impl Strategy<Value = ConfigurationFile> {
    let role = prop_oneof![Just(FileRole::Settings), Just(FileRole::Environment)];
    let state = prop_oneof![
        Just(FileState::Good),
        TEXT.prop_map(FileState::Refused),
        TEXT.prop_map(FileState::Unreadable),
    ];
    let written = prop_oneof![
        Just(Written::BeforeStart),
        moment().prop_map(Written::AfterStart),
        TEXT.prop_map(Written::Unknown),
    ];
    (NAME, role, state, written).prop_map(|(path, role, state, written)| ConfigurationFile {
        path,
        role,
        state,
        written,
    })
}

fn setting() -> impl Strategy<Value = Setting> {
    let source = prop_oneof![
        Just(SettingSource::Default),
        TEXT.prop_map(SettingSource::File),
        TEXT.prop_map(SettingSource::Flag),
    ];
    (NAME, TEXT, source, of(TEXT)).prop_map(|(key, value, source, in_force)| Setting {
        key,
        value,
        source,
        in_force,
    })
}

fn configuration() -> impl Strategy<Value = Configuration> {
    let flag = (NAME, of(TEXT)).prop_map(|(name, value)| Flag { name, value });
    (vec(flag, 0..3), vec(file(), 0..3), vec(setting(), 0..3))
        .prop_map(|(flags, files, settings)| Configuration { flags, files, settings })
}

fn certificates() -> impl Strategy<Value = CertificateFile> {
    let role = prop_oneof![
        Just(CertificateRole::Client),
        Just(CertificateRole::Serving),
        Just(CertificateRole::ClientAuthority),
    ];
    let certificate =
        (TEXT, TEXT, moment(), moment()).prop_map(|(subject, issuer, not_before, not_after)| {
            Certificate { subject, issuer, not_before, not_after }
        });
    let content = prop_oneof![
        vec(certificate, 1..3).prop_map(CertificateContent::Certificates),
        Just(CertificateContent::Missing),
        TEXT.prop_map(CertificateContent::Unreadable),
    ];
    (role, NAME, content).prop_map(|(role, path, content)| CertificateFile { role, path, content })
}

fn secure_port() -> impl Strategy<Value = SecurePort> {
    let answers = (http(), http(), http());
    let credential = prop_oneof![
        Just(Credential::None),
        Just(Credential::Token),
        TEXT.prop_map(Credential::Unusable),
    ];
    (TEXT, credential, answers, any::<bool>(), of(vec(TEXT, 0..3))).prop_map(
        |(endpoint, credential, (healthz, configz, metrics), refused_late, alpha_features)| {
            SecurePort {
                endpoint,
                credential,
                healthz,
                configz,
                metrics,
                refused_late,
                alpha_features,
            }
        },
    )
}

fn told() -> impl Strategy<Value = (Option<Version>, Vec<Label>, Configuration)> {
    let version = (NAME, TEXT).prop_map(|(version, source)| Version { version, source });
    let label =
        (NAME, TEXT).prop_map(|(key, value)| Label { key: key.into(), value: value.into() });
    (of(version), vec(label, 0..3), configuration())
}

fn seen()
-> impl Strategy<Value = (Vec<String>, Option<Process>, UnitState, Vec<u32>, String, HttpAnswer)> {
    (vec(TEXT, 0..3), process(), unit(), vec(any::<u32>(), 0..3), TEXT, http())
}

/// Any kubelet.
pub(super) fn facts() -> impl Strategy<Value = Kubelet> {
    (seen(), told(), any::<bool>(), vec(certificates(), 0..3), secure_port()).prop_map(
        |(
            (traces, process, unit, other_pids, healthz_endpoint, healthz),
            (version, node_labels, configuration),
            registers_azure_labels,
            certificates,
            secure_port,
        )| Kubelet {
            traces,
            process,
            unit,
            other_pids,
            version,
            healthz_endpoint,
            healthz,
            registers_azure_labels,
            node_labels,
            configuration,
            certificates,
            secure_port,
        },
    )
}
