//! Real deltas of security patches, counted by other means, and applied to real images.

use std::path::{Path, PathBuf};

use nodeward_domain::image::{
    ImageRelease, PackageChange, PatchBase, PatchMisfit, PatchParts, SecurityPatch, apply,
};
use nodeward_feeds::image_note::read_image_note;
use nodeward_feeds::security_patch::read_security_patch;

use crate::corpus;

/// All deltas, with their texts.
fn patches(corpus: &Path) -> Vec<(String, String, SecurityPatch)> {
    let mut folders = vec![corpus.join("security-patch")];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("readable").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    let read = |path: PathBuf| {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(&path).expect("readable");
        let patch = read_security_patch(&file, text.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
        (file, text, patch)
    };
    files.into_iter().map(read).collect()
}

fn image(corpus: &Path, label: &str) -> Option<ImageRelease> {
    let (family, version) = label.rsplit_once('-')?;
    let path = corpus.join(format!("images/{family}/{version}.txt"));
    let bytes = std::fs::read(&path).ok()?;
    Some(read_image_note(&path.display().to_string(), &bytes).expect("a note").release)
}

#[test]
fn every_real_delta_is_read_and_no_change_is_lost() {
    let Some(corpus) = corpus() else { return };
    let patches = patches(&corpus);
    assert_eq!(patches.len(), 25);
    let (mut empty, mut changes, mut reboots) = (0, 0, 0);
    for (file, text, patch) in &patches {
        let expected = match file {
            _ if file.contains("/azurelinux/") => ("azurelinux", "3.0"),
            _ if file.contains("/ubuntu2404/") => ("ubuntu", "24.04"),
            _ => ("ubuntu", "22.04"),
        };
        assert_eq!((patch.os_id.as_str(), patch.os_version_id.as_str()), expected, "{file}");
        let parts = match &patch.parts {
            PatchParts::Empty => {
                assert!(text.is_empty(), "{file}");
                empty += 1;
                continue;
            }
            PatchParts::Listed(parts) => parts,
        };
        // Brackets and rows, counted without the parser.
        let rows = text.lines().filter(|line| line.split_whitespace().count() == 3);
        let in_text = match expected.0 {
            "ubuntu" => text.matches(" (").count(),
            _ => rows.filter(|line| !line.contains("eboot") && !line.starts_with('=')).count(),
        };
        let read: usize = parts.iter().map(|part| part.changes.len()).sum();
        assert_eq!(read, in_text, "{file}");
        let with_reboot = text.lines().filter(|line| line.starts_with("Reboot required")).count();
        assert_eq!(parts.iter().filter(|part| part.needs_reboot).count(), with_reboot, "{file}");
        (changes, reboots) = (changes + read, reboots + with_reboot);
        let is_2204 = expected == ("ubuntu", "22.04");
        assert_eq!(parts.len(), if is_2204 { 2 } else { 1 }, "{file}");
        let kernels = parts.iter().flat_map(|part| &part.changes).filter(|change| {
            matches!(change, PackageChange::Install { name, .. } if name == "kernel" || name.starts_with("linux-image-"))
        });
        assert!(kernels.count() >= with_reboot.min(1), "{file}: no kernel to start");
    }
    println!(
        "{} deltas, {empty} empty; {changes} changes, {reboots} parts with a reboot",
        patches.len()
    );
    assert_eq!(empty, 1);
}

#[test]
fn real_deltas_fit_the_images_that_they_begin_from() {
    let Some(corpus) = corpus() else { return };
    let mut fitting = 0;
    for (file, _, patch) in patches(&corpus) {
        for part in patch.listed().unwrap_or_default() {
            let PatchBase::Image(label) = &part.from else { continue };
            let Some(before) = image(&corpus, &label.to_string()) else { continue };
            assert!(patch.is_for(&before), "{file}");
            let after = apply(&before, part).unwrap_or_else(|error| panic!("{file}: {error}"));
            fitting += 1;
            let count = |image: &ImageRelease| image.listed().map_or(0, <[_]>::len);
            let added = part.changes.iter().map(|change| match change {
                PackageChange::Install { .. } => 1,
                PackageChange::Upgrade { .. } => 0,
                PackageChange::Remove { .. } => -1,
            });
            let expected = i64::try_from(count(&before)).expect("few") + added.sum::<i64>();
            assert_eq!(i64::try_from(count(&after)).expect("few"), expected, "{file}");
            println!(
                "{label} at {}: kernel {:?} -> {:?}, {} -> {} packages",
                patch.timestamp,
                before.kernel,
                after.kernel,
                count(&before),
                count(&after)
            );
            // Once applied it fits no longer: the versions before are not there.
            assert!(matches!(apply(&after, part), Err(PatchMisfit::Differs { .. })), "{file}");
        }
    }
    assert_eq!(fitting, 8);
}
