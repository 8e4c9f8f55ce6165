//! Ecosystems of OSV, by the names that the databases use. Spellings change for weeks
//! (`Ubuntu:26.04`, `Ubuntu:26.04:LTS`), and a name that is not known is kept as it is.

use std::sync::Arc;

use nodeward_domain::advisory::{Distribution, Stream, Tier};

/// The stream of an ecosystem.
#[must_use]
pub fn stream(ecosystem: &str) -> Stream {
    let (name, rest) = ecosystem.split_once(':').unwrap_or((ecosystem, ""));
    match name {
        "Ubuntu" => ubuntu(rest),
        "Debian" => base(Distribution::Debian, rest),
        "Azure Linux" | "CBL-Mariner" | "Mariner" => azure_linux(rest),
        "Go" => base(Distribution::Upstream(Arc::from("Go")), ""),
        _ => base(Distribution::Other(Arc::from(name)), rest),
    }
}

fn base(distribution: Distribution, release: &str) -> Stream {
    Stream { distribution, release: Arc::from(release), tier: Tier::Base }
}

/// `22.04:LTS`, `Pro:20.04:LTS`, `Pro:FIPS-updates:20.04:LTS`, `20.04:LTS:for:NVIDIA:…`.
fn ubuntu(rest: &str) -> Stream {
    let mut words = rest.split(':');
    let before: Vec<&str> = words.by_ref().take_while(|word| !is_release(word)).collect();
    let release = rest.split(':').find(|word| is_release(word)).unwrap_or_default();
    let behind: Vec<&str> = words.filter(|word| *word != "LTS").collect();
    let tier = match (before.as_slice(), behind.as_slice()) {
        ([], []) => Tier::Base,
        (["Pro"], []) => Tier::Pro,
        (["Pro", "FIPS"] | ["FIPS"], []) => Tier::Fips,
        (["Pro", "FIPS-updates"], []) => Tier::FipsUpdates,
        (["Pro", "FIPS-preview"], []) => Tier::FipsPreview,
        (before, behind) => {
            let words: Vec<&str> = before.iter().chain(behind).copied().collect();
            Tier::Other(Arc::from(words.join(":")))
        }
    };
    Stream { distribution: Distribution::Ubuntu, release: Arc::from(release), tier }
}

/// Whether that is a release, such as `22.04`.
fn is_release(word: &str) -> bool {
    word.split_once('.').is_some_and(|(year, month)| {
        let is_number =
            |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number(year) && is_number(month)
    })
}

/// `3`, or `2`, which calls itself CBL-Mariner on nodes.
fn azure_linux(rest: &str) -> Stream {
    let release = match rest {
        "2" | "3" => format!("{rest}.0"),
        other => other.to_owned(),
    };
    Stream::of_os_release("azurelinux", &release)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_has_its_stream() {
        for (ecosystem, name) in [
            ("Ubuntu:22.04:LTS", "Ubuntu 22.04"),
            ("Ubuntu:26.04", "Ubuntu 26.04"),
            ("Ubuntu:26.04:LTS", "Ubuntu 26.04"),
            ("Ubuntu:25.10", "Ubuntu 25.10"),
            ("Ubuntu:Pro:20.04:LTS", "Ubuntu 20.04 Pro"),
            ("Ubuntu:Pro:FIPS:20.04:LTS", "Ubuntu 20.04 fips"),
            ("Ubuntu:Pro:FIPS-updates:20.04:LTS", "Ubuntu 20.04 fips-updates"),
            ("Ubuntu:Pro:FIPS-preview:22.04:LTS", "Ubuntu 22.04 fips-preview"),
            ("Ubuntu:Pro:Realtime:22.04:LTS", "Ubuntu 22.04 Pro:Realtime"),
            ("Ubuntu:22.04:LTS:for:NVIDIA:BlueField", "Ubuntu 22.04 for:NVIDIA:BlueField"),
            ("Debian:12", "Debian 12"),
            ("Azure Linux:3", "Azure Linux 3.0"),
            ("Azure Linux:2", "CBL-Mariner 2.0"),
            ("Go", "Go"),
            ("Alpine:v3.20", "Alpine v3.20"),
            ("", ""),
        ] {
            assert_eq!(stream(ecosystem).to_string(), name, "{ecosystem}");
        }
    }
}
