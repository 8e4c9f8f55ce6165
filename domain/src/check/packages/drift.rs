//! Whether the node has the packages that its image brought: changes by other means than the
//! image are lost with the next one, and the provider does not support what they break.

use jiff::Timestamp;

use super::super::{Evidence, Scope, Verdict, facts, of_a_provider, shortened, verdict_or};
use crate::fixes::images::NodeOnImage;
use crate::image::drift::{DriftCause, DriftedPackage, drift};
use crate::image::{ImageLabel, NODE_IMAGE_LABEL, ShippedPackages};
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};

pub(super) fn drifted(
    history: &NodeHistory,
    scope: &Scope<'_>,
    _: &Policy,
    _: Timestamp,
) -> Verdict {
    verdict_or!(of_a_provider(scope, "lists the packages of its images"));
    let (packages, since) = verdict_or!(facts(&history.packages, "no package database"));
    let (image, _) = verdict_or!(facts(&history.node_image, "nothing on the node names an image"));
    let Some(images) = scope.outside.images else {
        return Verdict::not_applicable("no images are at hand");
    };
    let node = NodeOnImage::of(history);
    if node.version.is_empty() {
        return Verdict::unknown("no file of the image's builder names it", Vec::new());
    }
    let line = images.line_of(node);
    let release = line.and_then(|line| images.catalogue().release(&line, node.version));
    let Some(release) = release else {
        let why = format!("the note of image {} {} has not been imported", node.sku, node.version);
        return Verdict::unknown(why, Vec::new());
    };
    let label = image.label(NODE_IMAGE_LABEL).and_then(|label| ImageLabel::parse(label).ok());
    let Some(all) = drift(release, packages, label.as_ref()) else {
        let why = match &release.packages {
            ShippedPackages::Unknown(why) => why.as_str(),
            ShippedPackages::Listed(_) => "they are of another package manager",
        };
        return Verdict::unknown(format!("the image's packages are not known: {why}"), Vec::new());
    };
    let (explained, others): (Vec<DriftedPackage>, Vec<DriftedPackage>) =
        all.into_iter().partition(|one| one.cause == DriftCause::SecurityPatch);
    let evidence = others.iter().chain(&explained).map(|one| {
        let actual = match one.installed.is_empty() {
            true => format!("{}: {}", one.name, one.cause.words()),
            false => format!("{} {}: {}", one.name, one.installed.join(", "), one.cause.words()),
        };
        Evidence::new(&packages.path, actual, one.shipped.join(", "))
    });
    let evidence = shortened(evidence.collect());
    if others.is_empty() {
        return Verdict::pass(evidence);
    }
    let with = |cause: DriftCause| others.iter().filter(|one| one.cause == cause).count();
    let causes = [
        DriftCause::Installed,
        DriftCause::Removed,
        DriftCause::Updated,
        DriftCause::Downgraded,
        DriftCause::Changed,
    ];
    let counted = causes.iter().filter(|cause| with(**cause) > 0);
    let counted: Vec<String> =
        counted.map(|cause| format!("{} {}", with(*cause), cause.words())).collect();
    let message = format!(
        "packages are not as image {} brought them: {}; all that is lost with the next image",
        node.version,
        counted.join(", ")
    );
    let action = Action::Investigate { at: "who changes packages on the node".to_owned() };
    let turn = Turn { responsible: Responsible::Customer, action, valid_until: None };
    Verdict::fail(message, since, turn, evidence)
}
