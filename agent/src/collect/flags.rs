//! Flags on the command line of the programs of Kubernetes, which are written in Go, as in
//! `/proc/PID/cmdline`.

/// The flags of a process, in their order.
#[derive(Debug, Default)]
pub(super) struct Flags(Vec<(String, String)>);

impl Flags {
    /// Those among its arguments, of which the first is its own name.
    pub(super) fn of(arguments: &[String]) -> Self {
        let mut flags = Vec::new();
        let mut arguments = arguments.iter().skip(1).peekable();
        while let Some(argument) = arguments.next() {
            let Some(flag) = argument.strip_prefix('-') else { continue };
            let flag = flag.strip_prefix('-').unwrap_or(flag);
            if flag.is_empty() {
                // Behind `--` there are no flags.
                break;
            }
            let (name, inline) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (flag, None),
            };
            // These programs take no arguments but flags: a word that is none is a value.
            let value = inline
                .or_else(|| arguments.next_if(|next| !is_flag(next)).cloned())
                .unwrap_or_else(|| "true".to_owned());
            flags.push((name.replace('_', "-"), value));
        }
        Self(flags)
    }

    /// The value of a flag. The last one counts, as in the programs.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.values(name).last()
    }

    /// The values of a flag that was given more than once, in their order.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(flag, _)| flag == name).map(|(_, value)| value.as_str())
    }

    /// The names of all flags, each once, sorted.
    pub(super) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// Whether an argument is a flag; a negative number is a value.
fn is_flag(argument: &str) -> bool {
    argument
        .strip_prefix('-')
        .is_some_and(|rest| !rest.starts_with(|first: char| first.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(line: &str) -> Flags {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Flags::of(&arguments)
    }

    #[test]
    fn flags_are_read_in_every_spelling_and_the_last_counts() {
        let flags = flags(
            "kubelet --config=/a --healthz-port 1 --enable-server --healthz_port=2 -v=2 \
             --pod-max-pids -1 --fail-swap-on=false --seccomp-default",
        );
        for (name, value) in [
            ("config", Some("/a")),
            ("healthz-port", Some("2")),
            ("healthz", None),
            ("enable-server", Some("true")),
            ("v", Some("2")),
            ("pod-max-pids", Some("-1")),
            ("fail-swap-on", Some("false")),
            ("seccomp-default", Some("true")),
        ] {
            assert_eq!(flags.value(name), value, "{name}");
        }
        assert_eq!(flags.values("healthz-port").collect::<Vec<_>>(), ["1", "2"]);
    }
}
