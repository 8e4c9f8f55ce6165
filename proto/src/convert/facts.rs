//! Facts to and from the wire, one pair of conversions per message.

mod api_server;
mod certificates;
mod cni;
mod conntrack;
pub(crate) mod containerd;
mod dns;
mod docker;
mod egress;
mod extensions;
mod files;
mod filesystem;
mod kernel_log;
mod kernel_modules;
mod kube_proxy;
mod kubelet;
mod linux_extension;
mod managed_images;
mod network;
mod node_access;
mod node_object;
mod pressure;
mod process_limits;
mod reach;
mod reboot;
mod swap_and_hugepages;
mod system_pods;
mod systemd;
mod tunnel;
mod unit;
mod update_channel;

use nodeward_domain::facts as domain;

use super::{Invalid, list, name, optional_timestamp, required, text, texts, timestamp_out};
use crate::v1;
use crate::v1::packages::Lock;

/// Limits of the lists in facts: some ten times what a real node shows.
const TRACES: usize = 64;
const SERVICES: usize = 64;
const PARAMETERS: usize = 512;
const IMAGES: usize = 256;
const PACKAGES: usize = 50_000;
const SETTINGS: usize = 4096;
const SPOILT_FILES: usize = 256;
const LABELS: usize = 1024;

/// Why something is not known that agents have not always reported.
const TOO_OLD: &str = "the node's agent is too old to report it";

impl From<&domain::OsRelease> for v1::OsRelease {
    fn from(os: &domain::OsRelease) -> Self {
        Self {
            path: os.path.clone(),
            id: os.id.clone(),
            version_id: os.version_id.clone(),
            version_codename: os.version_codename.clone(),
            pretty_name: os.pretty_name.clone(),
            variant_id: os.variant_id.clone(),
            architecture: os.architecture.clone(),
            provider_marks: os.provider_marks.clone(),
            fips: Some(fips_out(&os.fips)),
            ubuntu_pro: Some(ubuntu_pro_out(&os.ubuntu_pro)),
        }
    }
}

impl TryFrom<v1::OsRelease> for domain::OsRelease {
    type Error = Invalid;

    fn try_from(os: v1::OsRelease) -> Result<Self, Invalid> {
        Ok(Self {
            path: text(os.path),
            id: name("id", os.id)?,
            version_id: text(os.version_id),
            version_codename: text(os.version_codename),
            pretty_name: text(os.pretty_name),
            variant_id: text(os.variant_id),
            architecture: text(os.architecture),
            provider_marks: texts("provider_marks", os.provider_marks, TRACES)?,
            fips: fips_in(os.fips)?,
            ubuntu_pro: ubuntu_pro_in(os.ubuntu_pro)?,
        })
    }
}

fn fips_out(fips: &domain::Fips) -> v1::os_release::Fips {
    use v1::os_release::{Fips, FipsMode};
    let mode = match fips {
        domain::Fips::On => FipsMode::On,
        domain::Fips::Off => FipsMode::Off,
        domain::Fips::NotSupported => FipsMode::NotSupported,
        domain::Fips::Unreadable(why) => return Fips::FipsUnreadable(why.clone()),
    };
    Fips::FipsMode(mode.into())
}

fn fips_in(fips: Option<v1::os_release::Fips>) -> Result<domain::Fips, Invalid> {
    use v1::os_release::{Fips, FipsMode};
    match fips {
        None => Ok(domain::Fips::Unreadable(TOO_OLD.to_owned())),
        Some(Fips::FipsUnreadable(why)) => Ok(domain::Fips::Unreadable(text(why))),
        Some(Fips::FipsMode(mode)) => match FipsMode::try_from(mode) {
            Ok(FipsMode::On) => Ok(domain::Fips::On),
            Ok(FipsMode::Off) => Ok(domain::Fips::Off),
            Ok(FipsMode::NotSupported) => Ok(domain::Fips::NotSupported),
            Ok(FipsMode::Unspecified) | Err(_) => {
                Err(Invalid::new("fips_mode", format!("{mode} is not a mode known here")))
            }
        },
    }
}

fn ubuntu_pro_out(pro: &domain::UbuntuPro) -> v1::os_release::UbuntuPro {
    use v1::os_release::{NoUbuntuPro, UbuntuPro, UbuntuProStatus};
    match pro {
        domain::UbuntuPro::NotThere => UbuntuPro::NoUbuntuPro(NoUbuntuPro {}),
        domain::UbuntuPro::Read { attached, enabled } => {
            let status = UbuntuProStatus { attached: *attached, enabled: enabled.clone() };
            UbuntuPro::UbuntuProStatus(status)
        }
        domain::UbuntuPro::Unreadable(why) => UbuntuPro::UbuntuProUnreadable(why.clone()),
    }
}

fn ubuntu_pro_in(pro: Option<v1::os_release::UbuntuPro>) -> Result<domain::UbuntuPro, Invalid> {
    use v1::os_release::UbuntuPro;
    Ok(match pro {
        None => domain::UbuntuPro::Unreadable(TOO_OLD.to_owned()),
        Some(UbuntuPro::NoUbuntuPro(_)) => domain::UbuntuPro::NotThere,
        Some(UbuntuPro::UbuntuProStatus(status)) => domain::UbuntuPro::Read {
            attached: status.attached,
            enabled: texts("ubuntu_pro_status.enabled", status.enabled, SERVICES)?,
        },
        Some(UbuntuPro::UbuntuProUnreadable(why)) => domain::UbuntuPro::Unreadable(text(why)),
    })
}

impl From<&domain::Kernel> for v1::Kernel {
    fn from(kernel: &domain::Kernel) -> Self {
        Self {
            release: kernel.release.clone(),
            version: kernel.version.clone(),
            boot_id: kernel.boot_id.clone(),
            tainted: kernel.tainted,
            command_line: kernel.command_line.clone(),
            booted_at: kernel.booted_at.map(timestamp_out),
            images: Some(match &kernel.images {
                domain::KernelImages::Releases(releases) => {
                    v1::kernel::Images::OnDisk(v1::KernelImages { releases: releases.clone() })
                }
                domain::KernelImages::Unreadable(why) => {
                    v1::kernel::Images::ImagesUnreadable(why.clone())
                }
            }),
        }
    }
}

impl TryFrom<v1::Kernel> for domain::Kernel {
    type Error = Invalid;

    fn try_from(kernel: v1::Kernel) -> Result<Self, Invalid> {
        Ok(Self {
            release: name("release", kernel.release)?,
            version: text(kernel.version),
            boot_id: text(kernel.boot_id),
            tainted: kernel.tainted,
            command_line: texts("command_line", kernel.command_line, PARAMETERS)?,
            booted_at: optional_timestamp("booted_at", kernel.booted_at)?,
            images: match kernel.images {
                None => domain::KernelImages::Unreadable(TOO_OLD.to_owned()),
                Some(v1::kernel::Images::OnDisk(images)) => {
                    domain::KernelImages::Releases(texts("releases", images.releases, IMAGES)?)
                }
                Some(v1::kernel::Images::ImagesUnreadable(why)) => {
                    domain::KernelImages::Unreadable(text(why))
                }
            },
        })
    }
}

impl From<&domain::Packages> for v1::Packages {
    fn from(packages: &domain::Packages) -> Self {
        // A source equal to the binary is left out: it halves the content.
        let unless = |value: &String, same: &String| {
            if value == same { String::new() } else { value.clone() }
        };
        Self {
            manager: match packages.manager {
                domain::PackageManager::Dpkg => v1::PackageManager::Dpkg,
                domain::PackageManager::Rpm => v1::PackageManager::Rpm,
            }
            .into(),
            path: packages.path.clone(),
            installed: packages
                .installed
                .iter()
                .map(|package| v1::Package {
                    name: package.name.clone(),
                    architecture: package.architecture.clone(),
                    version: package.version.clone(),
                    source: unless(&package.source, &package.name),
                    source_version: unless(&package.source_version, &package.version),
                    held: package.held,
                    origin: package.origin.clone(),
                })
                .collect(),
            unfinished: packages
                .unfinished
                .iter()
                .map(|package| v1::UnfinishedPackage {
                    name: package.name.clone(),
                    architecture: package.architecture.clone(),
                    version: package.version.clone(),
                    status: package.status.clone(),
                })
                .collect(),
            lock: match &packages.lock {
                domain::DatabaseLock::Free => None,
                domain::DatabaseLock::Held(path) => Some(Lock::LockHeld(path.clone())),
                domain::DatabaseLock::Unreadable(why) => Some(Lock::LockUnreadable(why.clone())),
            },
        }
    }
}

impl TryFrom<v1::Packages> for domain::Packages {
    type Error = Invalid;

    fn try_from(packages: v1::Packages) -> Result<Self, Invalid> {
        let or = |value: String, same: &String| {
            if value.is_empty() { same.clone() } else { value }
        };
        Ok(Self {
            manager: match v1::PackageManager::try_from(packages.manager) {
                Ok(v1::PackageManager::Dpkg) => domain::PackageManager::Dpkg,
                Ok(v1::PackageManager::Rpm) => domain::PackageManager::Rpm,
                Ok(v1::PackageManager::Unspecified) | Err(_) => {
                    return Err(Invalid::new(
                        "manager",
                        format!("{} is not a package manager known here", packages.manager),
                    ));
                }
            },
            path: text(packages.path),
            installed: list("installed", packages.installed, PACKAGES, |package| {
                let binary = name("name", package.name)?;
                let version = name("version", package.version)?;
                Ok(domain::Package {
                    architecture: text(package.architecture),
                    source: or(text(package.source), &binary),
                    source_version: or(text(package.source_version), &version),
                    held: package.held,
                    origin: text(package.origin),
                    name: binary,
                    version,
                })
            })?,
            unfinished: list("unfinished", packages.unfinished, PACKAGES, |package| {
                Ok(domain::UnfinishedPackage {
                    name: name("name", package.name)?,
                    architecture: text(package.architecture),
                    version: text(package.version),
                    status: text(package.status),
                })
            })?,
            lock: match packages.lock {
                None => domain::DatabaseLock::Free,
                Some(Lock::LockHeld(path)) => domain::DatabaseLock::Held(text(path)),
                Some(Lock::LockUnreadable(why)) => domain::DatabaseLock::Unreadable(text(why)),
            },
        })
    }
}

impl From<&domain::Process> for v1::Process {
    fn from(process: &domain::Process) -> Self {
        Self {
            pid: process.pid,
            started_seconds_after_boot: process.started_seconds_after_boot,
            executable: process.executable.clone(),
            executable_replaced: process.executable_replaced,
        }
    }
}

impl TryFrom<v1::Process> for domain::Process {
    type Error = Invalid;

    fn try_from(process: v1::Process) -> Result<Self, Invalid> {
        Ok(Self {
            pid: process.pid,
            started_seconds_after_boot: process.started_seconds_after_boot,
            executable: text(process.executable),
            executable_replaced: process.executable_replaced,
        })
    }
}

/// A process that may be absent.
pub(super) fn process(process: Option<v1::Process>) -> Result<Option<domain::Process>, Invalid> {
    process
        .map(|process| process.try_into().map_err(|invalid: Invalid| invalid.within("process")))
        .transpose()
}

impl From<&domain::HttpAnswer> for v1::HttpAnswer {
    fn from(answer: &domain::HttpAnswer) -> Self {
        use v1::http_answer::{Answer, Answered, Refused, TimedOut};
        let answer = match answer.clone() {
            domain::HttpAnswer::Answered { status, body } => {
                Answer::Answered(Answered { status: u32::from(status), body })
            }
            domain::HttpAnswer::Refused => Answer::Refused(Refused {}),
            domain::HttpAnswer::TimedOut { after_milliseconds } => {
                Answer::TimedOut(TimedOut { after_milliseconds })
            }
            domain::HttpAnswer::NoHandshake { after_milliseconds } => {
                Answer::NoHandshake(TimedOut { after_milliseconds })
            }
            domain::HttpAnswer::Failed { why } => Answer::Failed(why),
            domain::HttpAnswer::NotAsked { why } => Answer::NotAsked(why),
        };
        Self { answer: Some(answer) }
    }
}

impl TryFrom<v1::HttpAnswer> for domain::HttpAnswer {
    type Error = Invalid;

    fn try_from(answer: v1::HttpAnswer) -> Result<Self, Invalid> {
        use v1::http_answer::Answer;
        Ok(match required("answer", answer.answer)? {
            Answer::Answered(answered) => Self::Answered {
                status: u16::try_from(answered.status)
                    .map_err(|_| Invalid::new("answered.status", "is not an HTTP status"))?,
                body: text(answered.body),
            },
            Answer::Refused(_) => Self::Refused,
            Answer::TimedOut(timed_out) => {
                Self::TimedOut { after_milliseconds: timed_out.after_milliseconds }
            }
            Answer::NoHandshake(timed_out) => {
                Self::NoHandshake { after_milliseconds: timed_out.after_milliseconds }
            }
            Answer::Failed(why) => Self::Failed { why: text(why) },
            Answer::NotAsked(why) => Self::NotAsked { why: text(why) },
        })
    }
}

impl From<&domain::Sysctl> for v1::Sysctl {
    fn from(sysctl: &domain::Sysctl) -> Self {
        use v1::sysctl::{Missing, setting::Live};
        let setting = |setting: &domain::Setting| v1::sysctl::Setting {
            key: setting.key.clone(),
            live: Some(match &setting.live {
                domain::LiveValue::Value(value) => Live::Value(value.clone()),
                domain::LiveValue::Missing => Live::Missing(Missing {}),
                domain::LiveValue::Unreadable(why) => Live::Unreadable(why.clone()),
            }),
            expected: setting.expected.as_ref().map(|expected| v1::sysctl::ExpectedValue {
                value: expected.value.clone(),
                file: expected.file.clone(),
            }),
        };
        let passed_over = |file: &domain::PassedOver| v1::sysctl::PassedOver {
            file: file.file.clone(),
            lines: file.lines,
            first_line: file.first_line,
            why: file.why.clone(),
        };
        Self {
            settings: sysctl.settings.iter().map(setting).collect(),
            passed_over: sysctl.passed_over.iter().map(passed_over).collect(),
        }
    }
}

impl TryFrom<v1::Sysctl> for domain::Sysctl {
    type Error = Invalid;

    fn try_from(sysctl: v1::Sysctl) -> Result<Self, Invalid> {
        use v1::sysctl::setting::Live;
        let settings = list("settings", sysctl.settings, SETTINGS, |setting| {
            Ok(domain::Setting {
                key: name("key", setting.key)?,
                live: match required("live", setting.live)? {
                    Live::Value(value) => domain::LiveValue::Value(text(value)),
                    Live::Missing(_) => domain::LiveValue::Missing,
                    Live::Unreadable(why) => domain::LiveValue::Unreadable(text(why)),
                },
                expected: setting
                    .expected
                    .map(|expected| {
                        Ok(domain::ExpectedValue {
                            value: text(expected.value),
                            file: text(expected.file),
                        })
                    })
                    .transpose()?,
            })
        })?;
        let passed_over = list("passed_over", sysctl.passed_over, SPOILT_FILES, |file| {
            Ok(domain::PassedOver {
                file: name("file", file.file)?,
                lines: file.lines,
                first_line: file.first_line,
                why: text(file.why),
            })
        })?;
        Ok(Self { settings, passed_over })
    }
}

impl From<&domain::NodeImage> for v1::NodeImage {
    fn from(image: &domain::NodeImage) -> Self {
        Self {
            name: image.name.as_ref().map(|name| v1::node_image::ImageName {
                path: name.path.clone(),
                sku: name.sku.clone(),
                version: name.version.clone(),
            }),
            build_note: image.build_note.clone(),
            marks: image.marks.clone(),
            labels: labels_out(&image.labels),
        }
    }
}

fn labels_out(labels: &[domain::Label]) -> Vec<v1::node_image::Label> {
    let out = |label: &domain::Label| v1::node_image::Label {
        key: label.key.to_string(),
        value: label.value.to_string(),
    };
    labels.iter().map(out).collect()
}

fn labels_in(
    field: &str,
    labels: Vec<v1::node_image::Label>,
) -> Result<Vec<domain::Label>, Invalid> {
    list(field, labels, LABELS, |label| {
        Ok(domain::Label { key: name("key", label.key)?.into(), value: text(label.value).into() })
    })
}

impl TryFrom<v1::NodeImage> for domain::NodeImage {
    type Error = Invalid;

    fn try_from(image: v1::NodeImage) -> Result<Self, Invalid> {
        Ok(Self {
            name: image
                .name
                .map(|image| {
                    Ok(domain::ImageName {
                        path: text(image.path),
                        sku: text(image.sku),
                        version: name("name.version", image.version)?,
                    })
                })
                .transpose()?,
            build_note: text(image.build_note),
            marks: texts("marks", image.marks, TRACES)?,
            labels: labels_in("labels", image.labels)?,
        })
    }
}
