//! Flags on the command line of a program written in Go.

/// The value of a flag, in both spellings. The last one counts, as in the programs.
pub(super) fn flag<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    let mut value = None;
    let mut arguments = arguments.iter().map(String::as_str).peekable();
    while let Some(argument) = arguments.next() {
        let Some(rest) = argument.strip_prefix("--").and_then(|flag| flag.strip_prefix(name))
        else {
            continue;
        };
        if let Some(inline) = rest.strip_prefix('=') {
            value = Some(inline);
        } else if rest.is_empty() {
            value = arguments.peek().copied();
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_in_both_spellings_and_the_last_counts() {
        let line = "kubelet --config=/a --healthz-port 1 --healthz-port=2 --v=2";
        let line: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        assert_eq!(flag(&line, "config"), Some("/a"));
        assert_eq!(flag(&line, "healthz-port"), Some("2"));
        assert_eq!(flag(&line, "healthz"), None);
    }
}
