//! What containerd's configuration file says of control groups. The file may hold
//! passwords of registries, so only the lines in question are read from it.

use nodeward_domain::facts::containerd::{Configuration, SystemdCgroup};

use crate::host::{Assignment, HostError, HostRoot, Outline};

/// Where the file lies when the process is not told another place.
const USUAL: &str = "/etc/containerd/config.toml";

const LIMIT_BYTES: u64 = 256 * 1024;

/// The runtime that is the default when the file names none.
const DEFAULT_RUNTIME: &str = "runc";

/// Reads the file that the process with those arguments was started with.
pub(super) fn configuration(root: &HostRoot, arguments: &[String]) -> Configuration {
    let path = path(arguments).unwrap_or(USUAL).to_owned();
    let keys = ["SystemdCgroup", "default_runtime_name", "imports"];
    let systemd_cgroup = match root.read_outline(&path, "plugins.", &keys, LIMIT_BYTES) {
        Ok(outline) => systemd_cgroup(&outline),
        Err(HostError::Missing { .. }) => SystemdCgroup::Unset,
        Err(error) => SystemdCgroup::Unknown(error.to_string()),
    };
    Configuration { path, systemd_cgroup }
}

/// The value of `--config`, in the spellings that containerd takes.
fn path(arguments: &[String]) -> Option<&str> {
    let names = ["--config", "-config", "--c", "-c"];
    arguments.iter().enumerate().skip(1).find_map(|(index, argument)| {
        match argument.split_once('=') {
            Some((name, value)) => names.contains(&name).then_some(value),
            None if names.contains(&argument.as_str()) => {
                arguments.get(index + 1).map(String::as_str)
            }
            None => None,
        }
    })
}

fn systemd_cgroup(outline: &Outline) -> SystemdCgroup {
    let lines = &outline.assignments;
    let value = |key: &str| lines.iter().find(|line| line.key == key).map(|line| &*line.value);
    // Other files are laid over this one, and any of them may set it anew.
    if value("imports").is_some_and(|imports| imports.replace(' ', "") != "[]") {
        return SystemdCgroup::Unknown("the file imports others".to_owned());
    }
    // A key with dots, in quotes, or in a table on one line.
    if let Some(key) = outline.elsewhere.first() {
        return SystemdCgroup::Unknown(format!("{key} stands in a form that is not read"));
    }
    let runtime = value("default_runtime_name").map_or(DEFAULT_RUNTIME, unquoted);
    let said = lines.iter().find(|line| line.key == "SystemdCgroup" && is_of(line, runtime));
    // A heading that is written in another way, or an older version of the file.
    let is_elsewhere =
        |line: &Assignment| line.key == "SystemdCgroup" && runtime_of(line).is_none();
    match said.map(|line| line.value.as_str()) {
        None if lines.iter().any(is_elsewhere) => {
            SystemdCgroup::Unknown("SystemdCgroup stands in a table that is not read".to_owned())
        }
        None => SystemdCgroup::Unset,
        Some("true") => SystemdCgroup::Set(true),
        Some("false") => SystemdCgroup::Set(false),
        Some(other) => SystemdCgroup::Unknown(format!("SystemdCgroup is {other:?}")),
    }
}

/// Whether the line stands in the options of that runtime.
fn is_of(line: &Assignment, runtime: &str) -> bool {
    runtime_of(line) == Some(runtime)
}

/// The runtime in whose options the line stands, by whatever name the plugin goes in this
/// version of the file.
fn runtime_of(line: &Assignment) -> Option<&str> {
    let (_, table) = line.table.split_once(".runtimes.")?;
    table.strip_suffix(".options").map(unquoted)
}

fn unquoted(text: &str) -> &str {
    text.trim_matches(['"', '\''])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(table: &str, key: &str, value: &str) -> Assignment {
        Assignment { table: table.to_owned(), key: key.to_owned(), value: value.to_owned() }
    }

    fn lines(assignments: &[Assignment]) -> Outline {
        Outline { assignments: assignments.to_vec(), elsewhere: Vec::new() }
    }

    #[test]
    fn what_may_be_set_in_another_form_is_not_known() {
        let first = "plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.";
        let kata = line(&format!("{first}kata.options"), "SystemdCgroup", "false");
        assert_eq!(systemd_cgroup(&lines(&[kata])), SystemdCgroup::Unset);
        for table in ["", "plugins.cri.containerd.default_runtime.options"] {
            let said = systemd_cgroup(&lines(&[line(table, "SystemdCgroup", "true")]));
            assert!(matches!(said, SystemdCgroup::Unknown(_)), "{table}: {said:?}");
        }
        let outline = Outline { elsewhere: vec!["imports".to_owned()], ..Outline::default() };
        let unknown = "imports stands in a form that is not read".to_owned();
        assert_eq!(systemd_cgroup(&outline), SystemdCgroup::Unknown(unknown));
    }

    #[test]
    fn the_default_runtimes_options_count() {
        let first = "plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.";
        let kata = line(&format!("{first}kata.options"), "SystemdCgroup", "false");
        let runc = line(&format!("{first}runc.options"), "SystemdCgroup", "true");
        let both = [kata, runc];
        assert_eq!(systemd_cgroup(&lines(&both)), SystemdCgroup::Set(true));
        let named = line("plugins.cri.containerd", "default_runtime_name", "\"kata\"");
        let of_kata = [&both[..], &[named]].concat();
        assert_eq!(systemd_cgroup(&lines(&of_kata)), SystemdCgroup::Set(false));
        assert_eq!(systemd_cgroup(&lines(&both[..1])), SystemdCgroup::Unset);
        let quoted = line("plugins.'x'.containerd.runtimes.'runc'.options", "SystemdCgroup", "1");
        assert_eq!(
            systemd_cgroup(&lines(&[quoted])),
            SystemdCgroup::Unknown("SystemdCgroup is \"1\"".to_owned())
        );
    }

    #[test]
    fn a_file_that_imports_others_does_not_have_the_last_word() {
        let said = line("plugins.x.containerd.runtimes.runc.options", "SystemdCgroup", "true");
        let imports = |value: &str| line("", "imports", value);
        assert_eq!(
            systemd_cgroup(&lines(&[imports("[ ]"), said.clone()])),
            SystemdCgroup::Set(true)
        );
        for value in ["[", "[\"/etc/containerd/conf.d/*.toml\"]"] {
            let unknown = SystemdCgroup::Unknown("the file imports others".to_owned());
            assert_eq!(systemd_cgroup(&lines(&[imports(value), said.clone()])), unknown, "{value}");
        }
    }

    #[test]
    fn the_path_is_taken_from_the_arguments() {
        for (line, expected) in [
            ("containerd", None),
            ("containerd --config /a --log-level warn", Some("/a")),
            ("containerd -c /b", Some("/b")),
            ("containerd --log-level=warn --config=/c", Some("/c")),
            ("containerd config dump", None),
        ] {
            let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            assert_eq!(path(&arguments), expected, "{line}");
        }
    }
}
