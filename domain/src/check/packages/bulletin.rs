//! Whether a bulletin of the provider is about the node: by its distribution, the versions of
//! its packages and of its image, and by what holds it off, as the bulletin's own data says.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::super::{Evidence, Scope, Severity, Verdict, facts, verdict_or};
use crate::advisory::{Affected, AliasId, Bulletin, BulletinKind, Epochs, Stream};
use crate::facts::{KernelModules, OsRelease, Package};
use crate::image::build_of;
use crate::matching::RunningKernel;
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};
use crate::version::key::VersionKey;

/// How a bulletin stands on a node.
enum Standing {
    /// It is not about the node.
    Not,
    /// It is; and this is what shows it.
    Applies(String),
    /// It is, and something holds it off.
    HeldOff(String),
    /// It cannot be said.
    Unknown(String),
}

pub(super) fn applies(
    history: &NodeHistory,
    scope: &Scope<'_>,
    _: &Policy,
    _: Timestamp,
) -> Verdict {
    let (os, _) = verdict_or!(facts(&history.os_release, "no os-release file"));
    let (_, since) = verdict_or!(facts(&history.packages, "no package database"));
    if scope.outside.bulletins.is_empty() {
        return Verdict::not_applicable("no bulletin has been imported");
    }
    let mut evidence = Vec::new();
    let mut applying: Vec<&Bulletin> = Vec::new();
    let mut unknown = None;
    for bulletin in scope.outside.bulletins {
        let said = match standing(bulletin, history, os) {
            Standing::Not => continue,
            Standing::Applies(seen) => {
                applying.push(bulletin);
                seen
            }
            Standing::HeldOff(by) => format!("held off: {by}"),
            Standing::Unknown(why) => {
                let said = format!("{}: {why}", bulletin.id);
                unknown.get_or_insert(said.clone());
                said
            }
        };
        evidence.push(Evidence::new(&bulletin.source, format!("{}: {said}", bulletin.id), ""));
    }
    let Some(first) = applying.first() else {
        return match unknown {
            Some(why) => Verdict::unknown(why, evidence),
            None => Verdict::pass(evidence),
        };
    };
    let others = match applying.len() - 1 {
        0 => String::new(),
        number => format!(", and {number} more"),
    };
    let kind = match first.kind {
        BulletinKind::Bulletin => "",
        BulletinKind::KnownIssue => "known issue ",
    };
    let turn = Turn {
        responsible: Responsible::Customer,
        action: Action::Repair { what: first.steps.join(" Then: ") },
        valid_until: None,
    };
    let message = format!("{kind}{}: {}{others}", first.id, first.title);
    Verdict::fail(message, since.max(first.published), turn, evidence)
}

/// Bulletins are warnings, whatever they are about: how bad each is, its own text says.
pub(super) const SEVERITY: Severity = Severity::Warning;

fn standing(bulletin: &Bulletin, history: &NodeHistory, os: &OsRelease) -> Standing {
    let stream = Stream::of_os_release(&os.id, &os.version_id);
    let mut unknown = None;
    for affected in bulletin.affected.iter().filter(|one| is_of(&one.stream, &stream)) {
        match fits(affected, history) {
            Ok(None) => {}
            Ok(Some(seen)) => {
                return match held_off(bulletin, history.kernel_modules.present()) {
                    Some(by) => Standing::HeldOff(by),
                    None => Standing::Applies(seen),
                };
            }
            Err(why) => unknown = Some(why),
        }
    }
    unknown.map_or(Standing::Not, Standing::Unknown)
}

/// Whether something about a stream is about the node's; without a release about all.
fn is_of(affected: &Stream, node: &Stream) -> bool {
    affected.distribution == node.distribution
        && (affected.release.is_empty() || affected.release == node.release)
}

/// What shows that the node is affected; none when it is not.
fn fits(affected: &Affected, history: &NodeHistory) -> Result<Option<String>, String> {
    let image = match &affected.image_below {
        None => None,
        Some(below) => match is_image_below(history, below)? {
            None => return Ok(None),
            seen => seen,
        },
    };
    let Some(package) = &affected.package else { return Ok(Some(image.unwrap_or_default())) };
    let packages = history.packages.present().ok_or("the packages are not known")?;
    let kernel = history.kernel.present();
    let running = kernel.map(|kernel| crate::matching::running(kernel, packages));
    // Of a kernel only the one that runs counts.
    if crate::matching::is_of_kernel(packages.manager, package) {
        return match running {
            Some(Ok(RunningKernel { source, version, .. })) if *source == **package => {
                is_in_range(affected, &source, &version)
            }
            Some(Ok(_)) => Ok(None),
            Some(Err(why)) => Err(why),
            None => Err("the running kernel is not known".to_owned()),
        };
    }
    let installed = |one: &&Package| one.source == **package;
    for one in packages.installed.iter().filter(installed) {
        if let Some(seen) = is_in_range(affected, &one.source, &one.source_version)? {
            return Ok(Some(seen));
        }
    }
    Ok(None)
}

fn is_in_range(affected: &Affected, source: &str, version: &str) -> Result<Option<String>, String> {
    let order = affected.stream.distribution.order().ok_or("its versions cannot be ordered")?;
    let range = affected.range.keys(order, Epochs::Compared).map_err(|error| error.to_string())?;
    let key = VersionKey::parse(order, version)
        .map_err(|why| format!("the version {version:?} of {source} {why}"))?;
    Ok(range.holds(key.bytes()).then(|| format!("{source} {version}, affected {}", affected.range)))
}

/// What shows that the node's image was built before another; none when it was not.
fn is_image_below(history: &NodeHistory, below: &str) -> Result<Option<String>, String> {
    let image = history.node_image.present().and_then(|image| image.name.as_ref());
    let version = image.map(|name| name.version.as_str()).ok_or("the node's image is not known")?;
    let built = |version: &str| {
        build_of(version).ok_or_else(|| format!("the image version {version:?} names no day"))
    };
    Ok((built(version)? < built(below)?).then(|| format!("image {version}, fixed in {below}")))
}

/// What holds a bulletin off on the node, by its probe: every module that it names is kept
/// from loading, and none of them is loaded.
fn held_off(bulletin: &Bulletin, modules: Option<&KernelModules>) -> Option<String> {
    let probe = bulletin.probe.as_ref().filter(|probe| !probe.modprobe_blocks.is_empty())?;
    let modules = modules?;
    let mut seen = Vec::new();
    for name in &probe.modprobe_blocks {
        let name = name.replace('-', "_");
        let rule = modules.blocks().find(|rule| rule.module == name)?;
        if modules.loaded.contains(&name) {
            return None;
        }
        seen.push(format!("{name} is kept from loading by {}:{}", rule.path, rule.line));
    }
    Some(seen.join(", "))
}

/// The vulnerabilities that are held off on a node, and by what.
pub(crate) fn mitigated(
    bulletins: &[Bulletin],
    history: &NodeHistory,
) -> BTreeMap<AliasId, String> {
    let modules = history.kernel_modules.present();
    let mut mitigated = BTreeMap::new();
    for bulletin in bulletins {
        if let Some(by) = held_off(bulletin, modules) {
            for cve in &bulletin.cves {
                mitigated.insert(cve.clone(), format!("{by} ({})", bulletin.id));
            }
        }
    }
    mitigated
}
