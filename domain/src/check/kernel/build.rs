//! Builds of one kernel release: an update that keeps the release, so that modules fit
//! both, shows in the version of the package and in `uname -v` alone.

use std::cmp::Ordering;

use crate::version::dpkg;

/// The builds of a running kernel and of its package, if the package's is newer. Debian
/// ends `uname -v` with the package's version, `#1 SMP Debian 6.1.192-2 (2026-11-16)`;
/// Ubuntu begins it with the number of the upload, `#133-Ubuntu SMP` of `5.15.0-1124.133`.
pub(super) fn newer_build(uname: &str, package: &str) -> Option<[String; 2]> {
    let (running, installed) = match uname.split_once(" Debian ") {
        Some((_, version)) => (version.split(' ').next()?, package),
        None => {
            let running = uname.strip_prefix('#')?.split_once("-Ubuntu")?.0;
            (running, package.rsplit_once('-')?.1.split_once('.')?.1)
        }
    };
    (dpkg::compare(running, installed) == Ordering::Less)
        .then(|| [running.to_owned(), installed.to_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_build_of_the_running_release_is_told_by_its_number() {
        let ubuntu = "#133-Ubuntu SMP Thu Oct 15 18:22:41 UTC 2026";
        let older = "#133~20.04.1-Ubuntu SMP Thu Oct 15 18:22:41 UTC 2026";
        let debian = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-11-16)";
        for (uname, package, builds) in [
            (ubuntu, "5.15.0-1124.133", None),
            (ubuntu, "5.15.0-1124.134", Some(["133", "134"])),
            (ubuntu, "5.15.0-1124.132", None),
            (older, "5.15.0-1124.133~20.04.1", None),
            (older, "5.15.0-1124.133~20.04.2", Some(["133~20.04.1", "133~20.04.2"])),
            (debian, "6.1.192-2", None),
            (debian, "6.1.192-3", Some(["6.1.192-2", "6.1.192-3"])),
            ("#2 SMP Mon Jan  5 2026", "6.1.192-3", None),
        ] {
            let builds = builds.map(|builds| builds.map(str::to_owned));
            assert_eq!(newer_build(uname, package), builds, "{uname} {package}");
        }
    }
}
