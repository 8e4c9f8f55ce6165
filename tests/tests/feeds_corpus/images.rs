//! Release notes of real node images and their lists of container images, beside figures
//! that were taken out of the same notes by other means.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nodeward_domain::image::ShippedPackages;
use nodeward_domain::image::family_of;
use nodeward_feeds::image_list::read_image_list;
use nodeward_feeds::image_note::{ImageNote, read_image_note};

use crate::corpus;

/// What the index says of one image.
struct Row {
    build_started: String,
    kernel: String,
    packages: Option<usize>,
}

/// The rows of the index, by family and version.
fn index(corpus: &Path) -> BTreeMap<(String, String), Row> {
    let text = std::fs::read_to_string(corpus.join("images/index.tsv")).expect("an index");
    let rows = text.lines().skip(1).map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        let family = family_of(columns[0]).unwrap_or_else(|| panic!("{}", columns[0]));
        let row = Row {
            build_started: columns[2].to_owned(),
            kernel: columns[3].to_owned(),
            packages: columns[6].parse().ok(),
        };
        ((family.to_owned(), columns[1].to_owned()), row)
    });
    rows.collect()
}

/// The files below the folder of images whose names end so, in order.
fn files(corpus: &Path, end: &str) -> Vec<PathBuf> {
    let below = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).expect("a folder");
        entries.map(|entry| entry.expect("readable").path()).collect()
    };
    let folders = below(&corpus.join("images")).into_iter().filter(|path| path.is_dir());
    let mut files: Vec<PathBuf> = folders.flat_map(|folder| below(&folder)).collect();
    files.retain(|path| path.to_string_lossy().ends_with(end));
    files.sort();
    files
}

fn notes(corpus: &Path) -> Vec<(String, ImageNote)> {
    let read = |path: PathBuf| {
        let file = path.display().to_string();
        let bytes = std::fs::read(&path).expect("readable");
        let note = read_image_note(&file, &bytes).unwrap_or_else(|error| panic!("{error}"));
        let again = note.render();
        assert_eq!(again.as_bytes(), bytes, "{file}: written as it stood");
        assert_eq!(read_image_note(&file, again.as_bytes()).expect("a note"), note, "{file}");
        (file, note)
    };
    files(corpus, ".txt").into_iter().map(read).collect()
}

#[test]
fn real_notes_are_read_and_written_as_they_stood() {
    let Some(corpus) = corpus() else { return };
    let index = index(&corpus);
    let (mut held, mut stubs, mut windows) = (0, 0, 0);
    for (file, note) in notes(&corpus) {
        let release = &note.release;
        assert!(file.contains(&format!("{}/{}.txt", release.family, release.version)), "{file}");
        if release.os_id.as_deref() == Some("windows") {
            windows += 1;
            assert_eq!((release.built_at, release.listed()), (None, None), "{file}");
            let build = release.os_version_id.as_deref().expect("a build");
            assert!(release.version.starts_with(build), "{file}: {build}");
            continue;
        }
        assert!(release.os_id.is_some() && release.os_version_id.is_some(), "{file}");
        assert!(release.built_at.is_some(), "{file}");
        let Some(row) = index.get(&(release.family.clone(), release.version.clone())) else {
            // The line was taken out of its source before the index was made.
            assert_eq!(release.family, "AKSAzureLinux-V2gen2", "{file}");
            assert_eq!(release.listed().map(<[_]>::len), Some(519), "{file}");
            continue;
        };
        held += 1;
        assert_eq!(release.listed().map(<[_]>::len), row.packages, "{file}");
        assert_eq!(release.kernel.as_deref().unwrap_or_default(), row.kernel, "{file}");
        let built_at = nodeward_feeds::instant::read_date(&row.build_started).expect("a time");
        assert_eq!(release.built_at, Some(built_at), "{file}");
        if let ShippedPackages::Unknown(why) = &release.packages {
            stubs += 1;
            assert!(why.contains("stub"), "{file}: {why}");
        }
    }
    println!("{held} notes held against the index, {stubs} of them stubs; {windows} of Windows");
    assert_eq!((stubs, windows), (2, 4));
    assert_eq!(held, files(&corpus, ".txt").len() - windows - 4, "all but those of Azure Linux 2");
}

#[test]
fn the_kernel_that_runs_is_among_the_packages_of_an_image_with_two() {
    let Some(corpus) = corpus() else { return };
    let of = |version: &str| {
        let path = corpus.join(format!("images/AKSAzureLinux-V3gen2/{version}.txt"));
        let bytes = std::fs::read(&path).expect("readable");
        read_image_note(&path.display().to_string(), &bytes).expect("a note").release
    };
    let two = of("202501.28.0");
    let kernels: Vec<&str> = two.versions_of("kernel").collect();
    assert_eq!(kernels.len(), 2);
    assert!(kernels.contains(&two.kernel.as_deref().expect("a kernel")));
    // The version with the earlier day in it was built eight days later.
    assert!(of("202603.12.1").built_at > of("202603.18.0").built_at);
}

#[test]
fn wherever_a_real_note_is_cut_it_is_refused() {
    let Some(corpus) = corpus() else { return };
    for family in ["AKSUbuntu-2404gen2containerd", "AKSAzureLinux-V3gen2"] {
        let path = corpus.join(format!("images/{family}/202607.02.0.txt"));
        let file = path.display().to_string();
        let bytes = std::fs::read(&path).expect("readable");
        for length in (0..bytes.len() - 1).step_by(211) {
            let error = read_image_note(&file, &bytes[..length]).expect_err("cut off");
            assert!(error.to_string().starts_with(&file), "{error}");
        }
        let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        for (end, _) in ends.filter(|(end, _)| end + 1 < bytes.len()) {
            assert!(read_image_note(&file, &bytes[..=end]).is_err(), "{file}: {end}");
        }
    }
}

#[test]
fn real_lists_of_container_images_are_read() {
    let Some(corpus) = corpus() else { return };
    let files = files(&corpus, "-image-list.json");
    for path in &files {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).expect("readable");
        let list = read_image_list(&file, text.as_bytes()).expect("a list");
        assert_eq!(list.images.len(), text.matches("\"id\":").count(), "{file}: none is lost");
        assert!(file.ends_with(&format!("/{}-image-list.json", list.version)), "{file}");
        let folder = path.parent().and_then(Path::file_name).expect("a folder").to_string_lossy();
        let (gallery, definition) = folder.split_once('-').expect("a gallery");
        // On Windows the sku has a word more than the folder.
        assert!(list.sku.ends_with(definition), "{file}: {}", list.sku);
        assert!(list.images.len() > 30, "{file}");
        for image in &list.images {
            assert!(image.id.starts_with("sha256:"), "{file}");
            assert!(!image.tags.is_empty() && !image.digests.is_empty(), "{file}");
            assert_eq!(image.size_bytes.is_some(), gallery != "AKSWindows", "{file}");
        }
    }
    println!("{} lists", files.len());
    assert!(files.len() >= 40);
}
