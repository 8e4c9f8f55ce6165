//! chronyd as it really answers, with its source, without it, stopped and killed, from
//! datagram to verdict. The one that is asked follows a second one on a network of the
//! test's own, and neither touches this machine's clock.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod real_chrony {
    use std::path::Path;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use jiff::{SignedDuration, Timestamp};
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    use nodeward_agent::collect::{COLLECTOR_LIMIT, COLLECTORS};
    use nodeward_agent::probe::chrony::Answer;
    use nodeward_agent::probe::chrony::reply::{Activity, Source, Tracking};
    use nodeward_domain::answer::{About, NodeAnswer};
    use nodeward_domain::check::CONFIRMATIONS;
    use nodeward_domain::component::Component;
    use nodeward_domain::facts::LeapStatus;
    use nodeward_domain::node::NodeHistory;
    use nodeward_domain::policy::{DEFAULT_EDITION, Policy};
    use nodeward_tests::chrony::{Chrony, chronyd};
    use nodeward_tests::host::HostCopy;
    use nodeward_tests::programs::{installed, nodeward};
    use nodeward_tests::service::{PATIENCE, Program};
    use serde_json::{Value, json};

    /// A plain machine whose chronyd gives the answers of a real one.
    struct Machine {
        copy: HostCopy,
        history: NodeHistory,
        observed: u32,
    }

    impl Machine {
        fn new() -> Self {
            Self {
                copy: HostCopy::of("debian-12-plain"),
                history: NodeHistory::default(),
                observed: 0,
            }
        }

        /// One more round, in which that was answered; the findings after it.
        async fn observe(&mut self, answer: &Answer) -> Vec<String> {
            self.copy.answer_over(&json!({ "chrony": answer }));
            // The day of the host root: what its log tells of is of days before.
            let day: Timestamp = "2026-11-24T12:00:00Z".parse().expect("a moment");
            let at = day + SignedDuration::from_secs(i64::from(self.observed) * 30);
            self.observed += 1;
            let mut measured = Default::default();
            for observation in self.copy.round_of(COLLECTORS.to_vec(), COLLECTOR_LIMIT).await {
                measured = observation.measured.or(measured);
                self.history.observe(observation.state, at, observation.took);
            }
            self.history.measured.observe(measured, at);
            let policy = Policy::edition(DEFAULT_EDITION).expect("the usual edition");
            let about = About { cluster: "c", node: "n", last_report_at: Some(at), agent: None };
            let (answer, _) = NodeAnswer::of(about, &self.history, Default::default(), &policy, at);
            answer.findings.into_iter().map(|finding| finding.reason).collect()
        }

        /// Asks as often as a weak probe must be asked; the findings after that.
        async fn judged(&mut self, chrony: &Chrony) -> Vec<String> {
            let mut findings = Vec::new();
            for _ in 0..CONFIRMATIONS {
                findings = self.observe(&chrony.ask()).await;
            }
            findings
        }
    }

    const NONE: [&str; 0] = [];

    #[tokio::test]
    async fn a_lost_source_is_found_although_chrony_says_normal_and_clears_by_itself() {
        let mut chrony = Chrony::start();
        let mut machine = Machine::new();
        assert_eq!(machine.judged(&chrony).await, NONE);

        chrony.kill_server();
        let lost = chrony.wait_until("unreachable", |report| report.sources[0].reach == 0);
        assert_eq!((lost.leap, lost.stratum), (LeapStatus::Normal, 3), "{lost:?}");
        assert_eq!(lost.reference, "127.0.0.1");
        assert!(lost.offset_seconds.abs() < 0.001, "{lost:?}");
        assert!(lost.update_age_seconds.is_some_and(|age| age >= 4.0), "{lost:?}");
        assert_eq!(machine.judged(&chrony).await, ["TimeSourceUnreachable"]);

        chrony.start_server();
        let again = chrony.wait_until("reachable", |report| report.sources[0].reach != 0);
        assert_eq!(machine.observe(&Answer::Answered(again)).await, NONE);
    }

    #[tokio::test]
    async fn a_stopped_one_is_hung_and_a_killed_one_is_not() {
        let mut chrony = Chrony::start();
        let mut machine = Machine::new();
        chrony.signal_client(Signal::SIGSTOP);
        let started = Instant::now();
        let answer = chrony.ask();
        assert!(matches!(answer, Answer::TimedOut { .. }), "{answer:?}");
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
        for _ in 1..CONFIRMATIONS {
            assert_eq!(machine.observe(&answer).await, NONE, "not confirmed yet");
        }
        assert_eq!(machine.observe(&answer).await, ["TimeDaemonHung"]);

        chrony.signal_client(Signal::SIGCONT);
        assert_eq!(machine.observe(&chrony.ask()).await, NONE);

        chrony.kill_client();
        assert_eq!(chrony.ask(), Answer::Refused);
    }

    #[tokio::test]
    async fn one_that_never_reached_its_server_has_no_source_and_not_two_faults() {
        let mut chrony = Chrony::without_client();
        chrony.kill_server();
        let client = chrony.client_configuration();
        let _client = chrony.network().inside(move || Program::start(&mut chronyd(&client)));
        let report = chrony.wait_until("there", |report| report.sources.len() == 1);
        assert_eq!((report.leap, report.stratum), (LeapStatus::Unsynchronised, 0), "{report:?}");
        assert_eq!((report.reference.as_str(), report.update_age_seconds), ("", None));
        assert_eq!(Machine::new().judged(&chrony).await, ["TimeSourceUnreachable"]);
    }

    /// What chronyc prints of it.
    fn tracking_line(tracking: &Tracking) -> Vec<String> {
        let at = tracking.reference_time.expect("it is synchronised");
        vec![
            format!("{:08X}", tracking.reference_id),
            tracking.reference.clone(),
            tracking.stratum.to_string(),
            format!("{}.{:09}", at.as_second(), at.subsec_nanosecond()),
            format!("{:.9}", tracking.correction_seconds),
            format!("{:.9}", tracking.last_offset_seconds),
            format!("{:.9}", tracking.rms_offset_seconds),
            format!("{:.3}", tracking.frequency_ppm),
            format!("{:.3}", tracking.residual_frequency_ppm),
            format!("{:.3}", tracking.skew_ppm),
            format!("{:.9}", tracking.root_delay_seconds),
            format!("{:.9}", tracking.root_dispersion_seconds),
            format!("{:.1}", tracking.update_interval_seconds),
            if tracking.leap == LeapStatus::Normal { "Normal" } else { "another" }.to_owned(),
        ]
    }

    fn source_line(source: &Source) -> Vec<String> {
        vec![
            "^".to_owned(),
            "*".to_owned(),
            source.name.clone(),
            source.stratum.to_string(),
            source.poll.to_string(),
            format!("{:o}", source.reach),
            source.sample_age_seconds.expect("it answers").to_string(),
            format!("{:.9}", source.offset_seconds),
            format!("{:.9}", source.measured_offset_seconds),
            format!("{:.9}", source.error_seconds),
        ]
    }

    fn fields(line: &str) -> Vec<String> {
        line.split(',').map(str::to_owned).collect()
    }

    /// Whether fields are equal, but those that move, which lie between before and after.
    fn agree(before: &[String], theirs: &[String], after: &[String], moving: &[usize]) -> bool {
        let number = |text: &String| text.parse::<f64>().expect("a number");
        before.len() == theirs.len()
            && (0..before.len()).all(|at| {
                if !moving.contains(&at) {
                    return before[at] == theirs[at] && theirs[at] == after[at];
                }
                let (one, other) = (number(&before[at]), number(&after[at]));
                // Each was rounded to the last of nine places.
                let rounded = 2e-9;
                let range = one.min(other) - rounded..=one.max(other) + rounded;
                range.contains(&number(&theirs[at]))
            })
    }

    /// Takes both views until no update of the clock came between.
    fn seen_together(
        what: &str,
        moving: &[usize],
        mut ours: impl FnMut() -> Vec<String>,
        theirs: impl Fn() -> String,
    ) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (before, line, after) = (ours(), fields(&theirs()), ours());
            if agree(&before, &line, &after, moving) {
                return;
            }
            let all = format!("\n{before:?}\n{line:?}\n{after:?}");
            assert!(Instant::now() < deadline, "{what} differ:{all}");
            std::thread::sleep(Duration::from_millis(130));
        }
    }

    #[test]
    fn every_field_is_what_chronyc_shows() {
        let chrony = Chrony::start();
        let mut asker = chrony.asker();
        // The correction goes down and the dispersion up from one second to the next.
        seen_together(
            "tracking",
            &[4, 11],
            || tracking_line(&asker.tracking().expect("an answer")),
            || chrony.chronyc("tracking"),
        );
        let mut asker = chrony.asker();
        seen_together(
            "sources",
            &[6],
            || {
                let (sources, left_out) = asker.sources().expect("an answer");
                assert_eq!((sources.len(), left_out), (1, 0));
                source_line(&sources[0])
            },
            || chrony.chronyc("sources"),
        );
        // Right after its start the source is asked in a burst, which counts apart.
        let mut asker = chrony.asker();
        seen_together(
            "activity",
            &[],
            || {
                let Activity { online, offline, unresolved } = asker.activity().expect("an answer");
                fields(&format!("{online},{offline},0,0,{unresolved}"))
            },
            || chrony.chronyc("activity"),
        );
    }

    /// A program in a PID namespace of its own, so that `nodeward inspect` beside it sees
    /// no other process of this machine.
    struct Inside {
        outside: Program,
        program: Pid,
    }

    impl Inside {
        fn new(chrony: &Chrony, command: &Command) -> Self {
            let name = Path::new(command.get_program()).file_name().expect("a name").to_owned();
            let mut unshare = Command::new(installed("unshare"));
            unshare.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
            unshare.arg(command.get_program()).args(command.get_args());
            unshare.stdout(Stdio::null()).stderr(Stdio::null());
            let outside = chrony.network().inside(move || Program::start(&mut unshare));
            let children = format!("/proc/{0}/task/{0}/children", outside.pid());
            let deadline = Instant::now() + PATIENCE;
            loop {
                let child = std::fs::read_to_string(&children).unwrap_or_default();
                let child = child.trim();
                // Its /proc is mounted before it becomes that program.
                let comm = std::fs::read_to_string(format!("/proc/{child}/comm"));
                if comm.is_ok_and(|comm| comm.trim() == name) {
                    let program = Pid::from_raw(child.parse().expect("one child"));
                    return Self { outside, program };
                }
                assert!(Instant::now() < deadline, "no process in a namespace of its own");
                std::thread::sleep(Duration::from_millis(10));
            }
        }

        /// The checks of `time_sync`, by reason, as `nodeward inspect` answers them there.
        fn inspected(&self, chrony: &Chrony) -> Value {
            let mut inspect = Command::new(installed("nsenter"));
            inspect.args(["--pid", "--mount", "--target", &self.program.to_string()]);
            inspect.arg(nodeward()).args(["inspect", "-o", "json", "--node-name", "n"]);
            let output = chrony.network().inside(move || inspect.output()).expect("it runs");
            let answer: Value =
                serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
            let components = answer["components"].as_array().expect("components").iter();
            let mut time = components.filter(|one| one["component"] == Component::TimeSync.name());
            let time = time.next().expect("time_sync").clone();
            assert_eq!(time["state"], "present", "{time}");
            let checks = time["checks"].as_array().expect("checks").iter();
            checks
                .map(|one| (one["reason"].as_str().expect("text").to_owned(), one.clone()))
                .collect()
        }
    }

    impl Drop for Inside {
        fn drop(&mut self) {
            let _ = kill(self.program, Signal::SIGKILL);
            // Its parent outside waits for it and ends.
            self.outside.ended_within(PATIENCE);
        }
    }

    #[test]
    fn inspect_sees_a_real_daemon_by_its_process_its_file_and_its_answers() {
        let mut chrony = Chrony::without_client();
        let inside = Inside::new(&chrony, &chronyd(&chrony.client_configuration()));
        chrony.wait_until("synchronised", |report| report.reference == "127.0.0.1");
        let checks = inside.inspected(&chrony);
        for reason in ["TimeDaemonHung", "TimeSourceUnreachable"] {
            assert_eq!(checks[reason]["outcome"], "pass", "{}", checks[reason]);
        }

        chrony.kill_server();
        chrony.wait_until("unreachable", |report| report.sources[0].reach == 0);
        let lost = &inside.inspected(&chrony)["TimeSourceUnreachable"];
        assert_eq!(lost["outcome"], "fail", "{lost}");
        let evidence = lost["evidence"].to_string();
        assert!(evidence.contains("^? 127.0.0.1"), "{evidence}");
        assert!(evidence.contains("follows 127.0.0.1, stratum 3"), "{evidence}");

        drop(inside);
        let inside = Inside::new(&chrony, Command::new("sleep").arg("600"));
        let checks = inside.inspected(&chrony);
        let told = checks["TimeDaemonHung"]["detail"].as_str().expect("a reason");
        assert_eq!(told, "chronyd does not run, see TimeDaemonDown");
    }
}

mod captures {
    //! What chronyc printed of a chronyd, recorded, read back through the wire's form.

    use nodeward_agent::probe::chrony::reply::{Source, Tracking};
    use nodeward_agent::probe::chrony::wire::{Question, Received};
    use nodeward_domain::facts::{LeapStatus, SourceMode, SourceState};

    /// A number in chrony's form, as its own daemon rounds it.
    fn float(value: f64) -> [u8; 4] {
        if value == 0.0 {
            return [0; 4];
        }
        let mut exponent = value.abs().log2().floor() as i32 + 2;
        let mut coefficient = (value * 2f64.powi(25 - exponent)).round() as i64;
        if coefficient.abs() >= 1 << 24 {
            exponent += 1;
            coefficient /= 2;
        }
        let bits = (exponent as u32) << 25 | (coefficient as u32 & 0x01ff_ffff);
        bits.to_be_bytes()
    }

    fn message(question: Question, form: u8, fields: &[u8]) -> Vec<u8> {
        let request = question.request(7, 0);
        let mut bytes = vec![6, 2, 0, 0, request[4], request[5], 0, form, 0, 0];
        bytes.extend_from_slice(&[0; 6]);
        bytes.extend_from_slice(&7u32.to_be_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(fields);
        bytes
    }

    fn number(text: &str) -> f64 {
        text.parse().expect("a number")
    }

    /// The reply that chronyc would have printed so.
    fn tracking(line: &str) -> Vec<u8> {
        let values: Vec<&str> = line.split(',').collect();
        let mut fields =
            u32::from_str_radix(values[0], 16).expect("hexadecimal").to_be_bytes().to_vec();
        let address: std::net::Ipv4Addr = values[1].parse().expect("an address");
        fields.extend_from_slice(&address.octets());
        fields.extend_from_slice(&[[0; 12].as_slice(), &[0, 1, 0, 0]].concat());
        fields.extend_from_slice(&values[2].parse::<u16>().expect("a stratum").to_be_bytes());
        assert_eq!(values[13], "Normal");
        fields.extend_from_slice(&[0, 0]);
        let (seconds, nanoseconds) = values[3].split_once('.').expect("with nanoseconds");
        fields.extend_from_slice(&seconds.parse::<u64>().expect("seconds").to_be_bytes());
        fields.extend_from_slice(&nanoseconds.parse::<u32>().expect("nine places").to_be_bytes());
        values[4..13].iter().for_each(|value| fields.extend_from_slice(&float(number(value))));
        message(Question::Tracking, 5, &fields)
    }

    #[test]
    fn recorded_figures_come_out_of_the_wires_form_as_they_were_printed() {
        let Some(corpus) = std::env::var_os("NODEWARD_CORPUS") else {
            println!("NODEWARD_CORPUS is not set: nothing to read");
            return;
        };
        let captures = std::path::Path::new(&corpus).join("captures");
        let text = |name: &str| std::fs::read_to_string(captures.join(name)).expect(name);
        let (synced, lost) = (text("chronyc-synced.txt"), text("chronyc-server-lost.txt"));
        let is_tracking = |line: &&str| line.starts_with("7F000001,");
        let lines: Vec<&str> = synced.lines().chain(lost.lines()).filter(is_tracking).collect();
        assert_eq!(lines.len(), 2, "one with and one without its server");
        for line in lines {
            let message = tracking(line);
            let Received::Reply(fields) = Question::Tracking.received(&message, 7) else {
                panic!("no reply: {line}")
            };
            let read = Tracking::read(fields).expect("its fields");
            let values: Vec<&str> = line.split(',').collect();
            assert_eq!((read.reference.as_str(), read.stratum), (values[1], 3));
            assert_eq!(read.leap, LeapStatus::Normal, "with its server and without");
            for (value, printed) in [
                (format!("{:.9}", read.correction_seconds), values[4]),
                (format!("{:.9}", read.last_offset_seconds), values[5]),
                (format!("{:.9}", read.rms_offset_seconds), values[6]),
                (format!("{:.3}", read.frequency_ppm), values[7]),
                (format!("{:.3}", read.residual_frequency_ppm), values[8]),
                (format!("{:.3}", read.skew_ppm), values[9]),
                (format!("{:.9}", read.root_delay_seconds), values[10]),
                (format!("{:.9}", read.root_dispersion_seconds), values[11]),
                (format!("{:.1}", read.update_interval_seconds), values[12]),
            ] {
                assert_eq!(value, printed, "{line}");
            }
        }
        let sources = synced.lines().find(|line| line.starts_with("^,*,")).expect("sources");
        let values: Vec<&str> = sources.split(',').collect();
        let reach = u16::from_str_radix(values[5], 8).expect("octal");
        assert_eq!(reach, 255, "377 as chronyc prints it");
        let mut fields = vec![127, 0, 0, 1];
        fields.extend_from_slice(&[[0; 12].as_slice(), &[0, 1, 0, 0], &[0, 0, 0, 2]].concat());
        fields.extend_from_slice(&[0, 0, 0, 0, 0, 0]);
        fields.extend_from_slice(&reach.to_be_bytes());
        fields.extend_from_slice(&[0; 4]);
        // The measured offset travels first.
        [8, 7, 9].iter().for_each(|at| fields.extend_from_slice(&float(number(values[*at]))));
        let message = message(Question::Source(0), 3, &fields);
        let Received::Reply(fields) = Question::Source(0).received(&message, 7) else {
            panic!("no reply")
        };
        let read = Source::read(fields).expect("its fields");
        assert_eq!((read.name.as_str(), read.stratum, read.reach), (values[2], 2, 255));
        assert_eq!((read.mode, read.state), (SourceMode::Server, SourceState::Selected));
        assert_eq!(format!("{:.9}", read.offset_seconds), values[7]);
        assert_eq!(format!("{:.9}", read.measured_offset_seconds), values[8]);
        assert_eq!(format!("{:.9}", read.error_seconds), values[9]);
    }
}
