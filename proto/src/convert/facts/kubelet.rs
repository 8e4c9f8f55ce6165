//! Facts of `kubelet` to and from the wire.

use nodeward_domain::facts::HttpAnswer;
use nodeward_domain::facts::kubelet as domain;

use super::{TRACES, labels_in, labels_out, process, unit};
use crate::convert::{Invalid, list, name, required, text, texts, timestamp_in, timestamp_out};
use crate::v1;
use crate::v1::kubelet as wire;

/// Limits of the lists: some ten times what a real node shows.
const OTHERS: usize = 64;
const FLAGS: usize = 1024;
const FILES: usize = 1024;
const SETTINGS: usize = 1024;
const CERTIFICATES: usize = 256;
const FEATURES: usize = 4096;

impl From<&domain::Kubelet> for v1::Kubelet {
    fn from(kubelet: &domain::Kubelet) -> Self {
        let configuration = &kubelet.configuration;
        Self {
            traces: kubelet.traces.clone(),
            process: kubelet.process.as_ref().map(Into::into),
            unit: Some((&kubelet.unit).into()),
            healthz_endpoint: kubelet.healthz_endpoint.clone(),
            healthz: Some((&kubelet.healthz).into()),
            registers_azure_labels: kubelet.registers_azure_labels,
            other_pids: kubelet.other_pids.clone(),
            version: kubelet.version.as_ref().map(|known| wire::Version {
                version: known.version.clone(),
                source: known.source.clone(),
            }),
            node_labels: labels_out(&kubelet.node_labels),
            flags: configuration
                .flags
                .iter()
                .map(|flag| wire::Flag { name: flag.name.clone(), value: flag.value.clone() })
                .collect(),
            files: configuration.files.iter().map(file_out).collect(),
            settings: configuration.settings.iter().map(setting_out).collect(),
            certificates: kubelet.certificates.iter().map(certificates_out).collect(),
            secure_port: Some(secure_port_out(&kubelet.secure_port)),
        }
    }
}

impl TryFrom<v1::Kubelet> for domain::Kubelet {
    type Error = Invalid;

    fn try_from(kubelet: v1::Kubelet) -> Result<Self, Invalid> {
        Ok(Self {
            traces: texts("traces", kubelet.traces, TRACES)?,
            process: process(kubelet.process)?,
            unit: unit::unit(kubelet.unit)?,
            other_pids: list("other_pids", kubelet.other_pids, OTHERS, Ok)?,
            version: kubelet.version.map(version_in).transpose()?,
            healthz_endpoint: text(kubelet.healthz_endpoint),
            healthz: http_in("healthz", kubelet.healthz)?,
            registers_azure_labels: kubelet.registers_azure_labels,
            node_labels: labels_in("node_labels", kubelet.node_labels)?,
            configuration: domain::Configuration {
                flags: list("flags", kubelet.flags, FLAGS, |flag| {
                    Ok(domain::Flag { name: name("name", flag.name)?, value: flag.value.map(text) })
                })?,
                files: list("files", kubelet.files, FILES, file_in)?,
                settings: list("settings", kubelet.settings, SETTINGS, setting_in)?,
            },
            certificates: list(
                "certificates",
                kubelet.certificates,
                CERTIFICATES,
                certificates_in,
            )?,
            secure_port: match kubelet.secure_port {
                Some(port) => {
                    secure_port_in(port).map_err(|invalid| invalid.within("secure_port"))?
                }
                None => domain::SecurePort::not_asked("the agent does not ask there"),
            },
        })
    }
}

fn version_in(known: wire::Version) -> Result<domain::Version, Invalid> {
    Ok(domain::Version {
        version: name("version.version", known.version)?,
        source: text(known.source),
    })
}

fn http_in(field: &str, answer: Option<v1::HttpAnswer>) -> Result<HttpAnswer, Invalid> {
    required(field, answer)?.try_into().map_err(|invalid: Invalid| invalid.within(field))
}

fn file_out(file: &domain::ConfigurationFile) -> wire::File {
    use wire::file::{BeforeStart, Written};
    let (refused, unreadable) = match &file.state {
        domain::FileState::Good => (None, None),
        domain::FileState::Refused(why) => (Some(why.clone()), None),
        domain::FileState::Unreadable(why) => (None, Some(why.clone())),
    };
    wire::File {
        path: file.path.clone(),
        role: match file.role {
            domain::FileRole::Settings => wire::Role::Settings,
            domain::FileRole::Environment => wire::Role::Environment,
        }
        .into(),
        refused,
        unreadable,
        written: Some(match &file.written {
            domain::Written::BeforeStart => Written::BeforeStart(BeforeStart {}),
            domain::Written::AfterStart(at) => Written::AfterStart(timestamp_out(*at)),
            domain::Written::Unknown(why) => Written::WrittenUnknown(why.clone()),
        }),
    }
}

fn file_in(file: wire::File) -> Result<domain::ConfigurationFile, Invalid> {
    use wire::file::Written;
    Ok(domain::ConfigurationFile {
        path: name("path", file.path)?,
        role: match wire::Role::try_from(file.role) {
            Ok(wire::Role::Settings) => domain::FileRole::Settings,
            Ok(wire::Role::Environment) => domain::FileRole::Environment,
            Ok(wire::Role::Unspecified) | Err(_) => {
                return Err(Invalid::new("role", format!("{} is not known here", file.role)));
            }
        },
        state: match (file.refused, file.unreadable) {
            (Some(why), _) => domain::FileState::Refused(text(why)),
            (None, Some(why)) => domain::FileState::Unreadable(text(why)),
            (None, None) => domain::FileState::Good,
        },
        written: match required("written", file.written)? {
            Written::BeforeStart(_) => domain::Written::BeforeStart,
            Written::AfterStart(at) => {
                domain::Written::AfterStart(timestamp_in("written.after_start", Some(at))?)
            }
            Written::WrittenUnknown(why) => domain::Written::Unknown(text(why)),
        },
    })
}

fn setting_out(setting: &domain::Setting) -> wire::Setting {
    use wire::setting::Source;
    wire::Setting {
        key: setting.key.clone(),
        value: setting.value.clone(),
        source: match &setting.source {
            domain::SettingSource::Default => None,
            domain::SettingSource::File(path) => Some(Source::File(path.clone())),
            domain::SettingSource::Flag(name) => Some(Source::Flag(name.clone())),
        },
        in_force: setting.in_force.clone(),
    }
}

fn setting_in(setting: wire::Setting) -> Result<domain::Setting, Invalid> {
    use wire::setting::Source;
    Ok(domain::Setting {
        key: name("key", setting.key)?,
        value: text(setting.value),
        source: match setting.source {
            None => domain::SettingSource::Default,
            Some(Source::File(path)) => domain::SettingSource::File(text(path)),
            Some(Source::Flag(flag)) => domain::SettingSource::Flag(text(flag)),
        },
        in_force: setting.in_force.map(text),
    })
}

fn certificates_out(file: &domain::CertificateFile) -> wire::CertificateFile {
    let certificates = file.content.certificates().iter().map(|certificate| wire::Certificate {
        subject: certificate.subject.clone(),
        issuer: certificate.issuer.clone(),
        not_before: Some(timestamp_out(certificate.not_before)),
        not_after: Some(timestamp_out(certificate.not_after)),
    });
    wire::CertificateFile {
        role: match file.role {
            domain::CertificateRole::Client => wire::CertificateRole::Client,
            domain::CertificateRole::Serving => wire::CertificateRole::Serving,
            domain::CertificateRole::ClientAuthority => wire::CertificateRole::ClientAuthority,
        }
        .into(),
        path: file.path.clone(),
        certificates: certificates.collect(),
        unreadable: match &file.content {
            domain::CertificateContent::Unreadable(why) => Some(why.clone()),
            domain::CertificateContent::Certificates(_) | domain::CertificateContent::Missing => {
                None
            }
        },
    }
}

fn certificates_in(file: wire::CertificateFile) -> Result<domain::CertificateFile, Invalid> {
    let certificates = list("certificates", file.certificates, CERTIFICATES, |certificate| {
        Ok(domain::Certificate {
            subject: text(certificate.subject),
            issuer: text(certificate.issuer),
            not_before: timestamp_in("not_before", certificate.not_before)?,
            not_after: timestamp_in("not_after", certificate.not_after)?,
        })
    })?;
    Ok(domain::CertificateFile {
        role: match wire::CertificateRole::try_from(file.role) {
            Ok(wire::CertificateRole::Client) => domain::CertificateRole::Client,
            Ok(wire::CertificateRole::Serving) => domain::CertificateRole::Serving,
            Ok(wire::CertificateRole::ClientAuthority) => domain::CertificateRole::ClientAuthority,
            Ok(wire::CertificateRole::Unspecified) | Err(_) => {
                return Err(Invalid::new("role", format!("{} is not known here", file.role)));
            }
        },
        path: name("path", file.path)?,
        content: match file.unreadable {
            Some(why) => domain::CertificateContent::Unreadable(text(why)),
            None if certificates.is_empty() => domain::CertificateContent::Missing,
            None => domain::CertificateContent::Certificates(certificates),
        },
    })
}

fn secure_port_out(port: &domain::SecurePort) -> wire::SecurePort {
    wire::SecurePort {
        endpoint: port.endpoint.clone(),
        with_token: port.credential == domain::Credential::Token,
        token_unusable: match &port.credential {
            domain::Credential::Unusable(why) => Some(why.clone()),
            domain::Credential::None | domain::Credential::Token => None,
        },
        healthz: Some((&port.healthz).into()),
        configz: Some((&port.configz).into()),
        metrics: Some((&port.metrics).into()),
        refused_late: port.refused_late,
        alpha_features: port
            .alpha_features
            .as_ref()
            .map(|on| wire::AlphaFeatures { on: on.clone() }),
    }
}

fn secure_port_in(port: wire::SecurePort) -> Result<domain::SecurePort, Invalid> {
    Ok(domain::SecurePort {
        endpoint: text(port.endpoint),
        credential: match port.token_unusable {
            Some(why) => domain::Credential::Unusable(text(why)),
            None if port.with_token => domain::Credential::Token,
            None => domain::Credential::None,
        },
        healthz: http_in("healthz", port.healthz)?,
        configz: http_in("configz", port.configz)?,
        metrics: http_in("metrics", port.metrics)?,
        refused_late: port.refused_late,
        alpha_features: port
            .alpha_features
            .map(|features| texts("alpha_features.on", features.on, FEATURES))
            .transpose()?,
    })
}
