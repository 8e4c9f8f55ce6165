//! Units as a real systemd has them, well and broken, from the bus to the verdict. The
//! machine is booted in a container; its kubelet is a program that only sleeps.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod real_systemd {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use jiff::Timestamp;
    use nodeward_agent::collect::{COLLECTOR_LIMIT, COLLECTORS, Observation, Rounds};
    use nodeward_agent::host::{Host, HostRoot};
    use nodeward_agent::probe::Probes;
    use nodeward_domain::answer::{About, NodeAnswer};
    use nodeward_domain::component::Component;
    use nodeward_domain::facts::{
        ComponentState, Headline as _, Kubelet, Systemd, Unit, UnitState,
    };
    use nodeward_domain::node::NodeHistory;
    use nodeward_domain::observed::State;
    use nodeward_domain::policy::{DEFAULT_EDITION, Policy};
    use nodeward_tests::asked::{noting, undeclared};
    use nodeward_tests::machine::Machine;
    use nodeward_tests::service::PATIENCE;

    const UNIT_FILE: &str = "/etc/systemd/system/kubelet.service";

    /// What can be found about a unit. A program that only sleeps has no configuration.
    const ABOUT_UNITS: [&str; 6] = [
        "KubeletDown",
        "KubeletUnitFailed",
        "KubeletRestarting",
        "KubeletUnitDisabled",
        "KubeletUnitStale",
        "KubeletDropInAdded",
    ];

    /// A node whose kubelet is a unit of a real systemd.
    struct Node {
        machine: Machine,
        rounds: Rounds,
        history: NodeHistory,
    }

    impl Node {
        /// A node with a kubelet that runs `program`, started with the node.
        fn with_kubelet(program: &str, more: &str) -> Self {
            let machine = Machine::boot();
            std::fs::copy(machine.inside("/usr/bin/sleep"), machine.inside("/usr/bin/kubelet"))
                .expect("copied");
            machine.write(UNIT_FILE, &unit_file(program, more));
            machine.systemctl(&["daemon-reload"]);
            machine.systemctl(&["enable", "--quiet", "--now", "--no-block", "kubelet.service"]);
            let host = host(&machine);
            let asked = [Component::OsRelease, Component::Kubelet, Component::Containerd];
            let only = COLLECTORS.into_iter().filter(|one| asked.contains(&one.component));
            let rounds = Rounds::with(Arc::new(host), only.collect(), COLLECTOR_LIMIT);
            Self { machine, rounds, history: NodeHistory::default() }
        }

        /// A node with a kubelet that runs well.
        fn well() -> Self {
            Self::with_kubelet("/usr/bin/kubelet infinity", "Restart=always\n")
        }

        /// One more round of the agent.
        async fn look(&mut self) -> Arc<Kubelet> {
            let mut kubelet = None;
            for Observation { state, observed_at, took, .. } in self.rounds.run().await {
                if let ComponentState::Kubelet(State::Present(facts)) = &state {
                    kubelet = Some(Arc::clone(facts));
                }
                self.history.observe(state, observed_at, took);
            }
            kubelet.expect("a kubelet is installed")
        }

        /// The unit, as one more round sees it.
        async fn unit(&mut self) -> Unit {
            let kubelet = self.look().await;
            match &kubelet.unit {
                UnitState::Loaded(unit) => unit.as_ref().clone(),
                other => panic!("not loaded: {other:?}"),
            }
        }

        /// The unit, once it is as it must become.
        async fn unit_when(&mut self, what: &str, is_so: impl Fn(&Unit) -> bool) -> Unit {
            let deadline = Instant::now() + PATIENCE;
            loop {
                let unit = self.unit().await;
                if is_so(&unit) {
                    return unit;
                }
                assert!(Instant::now() < deadline, "never {what}: {unit:?}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }

        fn answer(&self) -> NodeAnswer {
            let policy = Policy::edition(DEFAULT_EDITION).expect("the usual edition");
            let now = Timestamp::now();
            let about = About { cluster: "c", node: "n", last_report_at: Some(now), agent: None };
            NodeAnswer::of(about, &self.history, Default::default(), &policy, now).0
        }

        /// The findings about the unit.
        fn findings(&self) -> Vec<String> {
            let reasons = self.answer().findings.into_iter().map(|finding| finding.reason);
            reasons.filter(|reason| ABOUT_UNITS.contains(&reason.as_str())).collect()
        }

        fn show(&self, property: &str) -> String {
            let property = format!("--property={property}");
            let time = "--timestamp=unix";
            self.machine.systemctl(&["show", "kubelet.service", &property, "--value", time])
        }
    }

    fn host(machine: &Machine) -> Host {
        Host {
            containerd_socket: "/run/containerd/containerd.sock".to_owned(),
            ..Host::new(
                HostRoot::open(&machine.root()).expect("the machine's root"),
                Probes::Live { runtime: tokio::runtime::Handle::current() },
            )
        }
    }

    fn unit_file(program: &str, more: &str) -> String {
        format!(
            "[Unit]\nDescription=Kubelet\n[Service]\nExecStart={program}\n{more}\
             [Install]\nWantedBy=multi-user.target\n"
        )
    }

    fn seconds(moment: Option<Timestamp>) -> String {
        moment.map_or_else(String::new, |moment| format!("@{}", moment.as_second()))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn every_property_is_what_systemctl_shows() {
        let mut node = Node::well();
        let drop_in = "/etc/systemd/system/kubelet.service.d/10-watchdog.conf";
        node.machine.write(drop_in, "[Service]\nWatchdogSec=60s\n");
        node.machine.systemctl(&["daemon-reload"]);
        node.machine.systemctl(&["restart", "kubelet.service"]);
        let unit = node.unit_when("running", |unit| unit.sub_state == "running").await;
        let seen = [
            ("LoadState", unit.load_state.clone()),
            ("ActiveState", unit.active_state.clone()),
            ("SubState", unit.sub_state.clone()),
            ("Result", unit.result.clone()),
            ("UnitFileState", unit.file_state.clone()),
            ("NRestarts", unit.restarts.to_string()),
            ("MainPID", unit.main_pid.to_string()),
            (
                "ExecMainStartTimestampMonotonic",
                unit.main_started_microseconds_after_boot.to_string(),
            ),
            ("ExecMainStartTimestamp", seconds(unit.main_started_at)),
            (
                "InactiveExitTimestampMonotonic",
                unit.start_began_microseconds_after_boot.to_string(),
            ),
            ("NeedDaemonReload", if unit.needs_daemon_reload { "yes" } else { "no" }.to_owned()),
            ("WatchdogUSec", format!("{}min", unit.watchdog_microseconds / 60_000_000)),
            ("LimitNOFILE", unit.open_files_limit.expect("it is asked for").to_string()),
            ("FragmentPath", unit.file.as_ref().expect("a unit file").path.clone()),
            ("DropInPaths", unit.drop_ins[0].path.clone()),
        ];
        for (property, seen) in seen {
            assert_eq!(seen, node.show(property), "{property}");
        }
        assert_eq!(unit.watchdog_microseconds, 60_000_000);
        let files: Vec<&str> = unit.files().map(|file| file.path.as_str()).collect();
        assert_eq!(files, [UNIT_FILE, drop_in]);
        for file in unit.files() {
            let metadata = std::fs::metadata(node.machine.inside(&file.path)).expect("there");
            let modified = Timestamp::try_from(metadata.modified().expect("a time"));
            assert_eq!(file.modified_at, Some(modified.expect("a time of today")));
        }
        assert_eq!(node.findings(), Vec::<String>::new());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_loop_is_found_by_restarts_although_the_unit_is_active_when_one_looks() {
        let often = "Restart=always\nRestartSec=100ms\n[Unit]\nStartLimitIntervalSec=0\n";
        let mut node = Node::with_kubelet("/usr/bin/kubelet 0.7", often);
        let running = |unit: &Unit| {
            (unit.active_state.as_str(), unit.sub_state.as_str(), unit.result.as_str())
                == ("active", "running", "success")
        };
        let first = node.unit_when("running", running).await;
        let deadline = Instant::now() + PATIENCE;
        while node.findings().is_empty() {
            assert!(Instant::now() < deadline, "no finding: {first:?}");
            tokio::time::sleep(Duration::from_millis(300)).await;
            node.unit_when("running", running).await;
        }
        assert_eq!(node.findings(), ["KubeletRestarting"]);
        let last = node.unit_when("running", running).await;
        assert!(last.restarts >= first.restarts + 5, "{first:?} {last:?}");
        assert_ne!(last.main_pid, first.main_pid);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_unit_that_systemd_gave_up_has_failed() {
        let few = "Restart=always\nRestartSec=10ms\n[Unit]\nStartLimitBurst=3\n";
        let mut node = Node::with_kubelet("/usr/bin/false", few);
        let unit = node.unit_when("failed", |unit| unit.active_state == "failed").await;
        assert_eq!(unit.result, node.show("Result"));
        assert_eq!(unit.main_pid, 0);
        assert_eq!(node.findings(), ["KubeletUnitFailed"]);
        // It clears by itself.
        node.machine.write(UNIT_FILE, &unit_file("/usr/bin/kubelet infinity", ""));
        node.machine.systemctl(&["daemon-reload"]);
        node.machine.systemctl(&["reset-failed", "kubelet.service"]);
        node.machine.systemctl(&["start", "kubelet.service"]);
        node.unit_when("running", |unit| unit.sub_state == "running").await;
        assert_eq!(node.findings(), Vec::<String>::new());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn masked_while_it_runs_and_gone_with_the_next_stop() {
        let mut node = Node::well();
        // systemd masks what lies below /usr only: the name in /etc must be free.
        node.machine.run("mv", &[UNIT_FILE, "/usr/lib/systemd/system/kubelet.service"]);
        node.machine.systemctl(&["mask", "--quiet", "kubelet.service"]);
        let unit = node.unit_when("masked", |unit| unit.load_state == "masked").await;
        assert_eq!((unit.active_state.as_str(), unit.file_state.as_str()), ("active", "masked"));
        assert_eq!(node.findings(), ["KubeletUnitDisabled"]);
        node.machine.systemctl(&["stop", "kubelet.service"]);
        for _ in 0..3 {
            node.look().await;
        }
        assert_eq!(node.findings(), ["KubeletDown", "KubeletUnitDisabled"]);
        let worst = node.answer().findings.swap_remove(0);
        assert!(worst.message.contains("kubelet.service is masked"), "{}", worst.message);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_unit_that_is_not_loaded_is_said_to_be_so_and_is_not_loaded_by_asking() {
        let mut node = Node::well();
        node.machine.systemctl(&["disable", "--quiet", "--now", "kubelet.service"]);
        let is_held = |machine: &Machine| {
            let held = machine.systemctl(&["list-units", "--all", "--plain", "--no-legend"]);
            held.lines().any(|line| line.starts_with("kubelet.service"))
        };
        let deadline = Instant::now() + PATIENCE;
        while is_held(&node.machine) {
            assert!(Instant::now() < deadline, "systemd does not forget the unit");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let kubelet = node.look().await;
        assert_eq!(kubelet.unit, UnitState::NotLoaded { file_state: "disabled".to_owned() });
        assert!(!is_held(&node.machine), "asking has loaded it");
        assert_eq!(node.findings(), ["KubeletUnitDisabled"]);
        std::fs::remove_file(node.machine.inside(UNIT_FILE)).expect("removed");
        node.machine.systemctl(&["daemon-reload"]);
        let kubelet = node.look().await;
        assert_eq!(kubelet.unit, UnitState::NotLoaded { file_state: String::new() });
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_edited_file_is_in_force_only_after_a_restart() {
        let mut node = Node::well();
        node.unit_when("running", |unit| unit.sub_state == "running").await;
        assert_eq!(node.findings(), Vec::<String>::new());
        // The clock of files is coarse.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let edited = unit_file("/usr/bin/kubelet infinity", "Restart=always\nNice=5\n");
        node.machine.write(UNIT_FILE, &edited);
        assert!(node.unit().await.needs_daemon_reload);
        assert_eq!(node.findings(), ["KubeletUnitStale"]);
        node.machine.systemctl(&["daemon-reload"]);
        assert!(!node.unit().await.needs_daemon_reload);
        assert_eq!(node.findings(), ["KubeletUnitStale"]);
        node.machine.systemctl(&["restart", "kubelet.service"]);
        node.unit_when("running", |unit| unit.sub_state == "running").await;
        assert_eq!(node.findings(), Vec::<String>::new());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_drop_in_that_aks_does_not_ship_is_named() {
        let mut node = Node::well();
        node.machine.write("/opt/azure/vhd-install.complete", "");
        let folder = "/etc/systemd/system/kubelet.service.d";
        node.machine.write(&format!("{folder}/10-watchdog.conf"), "[Service]\nWatchdogSec=60s\n");
        node.machine.systemctl(&["daemon-reload"]);
        node.machine.systemctl(&["restart", "kubelet.service"]);
        node.unit_when("running", |unit| unit.sub_state == "running").await;
        assert_eq!(node.findings(), Vec::<String>::new());
        node.machine.write(&format!("{folder}/99-nice.conf"), "[Service]\nNice=5\n");
        node.machine.systemctl(&["daemon-reload"]);
        node.machine.systemctl(&["restart", "kubelet.service"]);
        node.unit_when("running", |unit| unit.sub_state == "running").await;
        assert_eq!(node.findings(), ["KubeletDropInAdded"]);
        let findings = node.answer().findings;
        let added = findings.iter().find(|finding| finding.reason == "KubeletDropInAdded");
        let named = &added.expect("found").evidence[0].source;
        assert_eq!(*named, format!("{folder}/99-nice.conf"));
    }

    /// Why the unit could not be read, which is unknown and accuses nobody.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_collectors_ask_of_a_machine_that_runs_is_what_they_declare() {
        let node = Node::well();
        let mut all = Vec::new();
        for collector in COLLECTORS {
            let (host, asked) = noting(host(&node.machine));
            let collected = tokio::task::spawn_blocking(move || (collector.collect)(&host));
            collected.await.expect("it ends");
            let mut undeclared = undeclared(&[collector.component], &asked);
            // The file that the kubelet's process runs, wherever that lies.
            undeclared.retain(|place| place != "/usr/bin/kubelet");
            assert_eq!(undeclared, Vec::<String>::new(), "{}", collector.component);
            all.extend(asked.places());
        }
        // What no copy of a node leads to.
        for place in ["/run/systemd/system", "/run/dbus/system_bus_socket", "/proc/1/ns/net"] {
            assert!(all.iter().any(|one| one == place), "{place} was not asked for");
        }
    }

    async fn unreadable(node: &mut Node) -> String {
        let kubelet = node.look().await;
        let UnitState::Unreadable { why } = &kubelet.unit else {
            panic!("read: {:?}", kubelet.unit)
        };
        assert_eq!(node.findings(), Vec::<String>::new());
        let answer = node.answer();
        assert!(answer.incomplete.iter().any(|line| line.contains(why)), "{answer:#?}");
        why.clone()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_bus_that_refuses_hangs_or_is_gone_makes_units_unknown() {
        let mut node = Node::well();
        node.unit_when("running", |unit| unit.sub_state == "running").await;
        let policy = "<busconfig><policy user=\"root\"><deny \
                      send_destination=\"org.freedesktop.systemd1\"/></policy></busconfig>";
        let policy_file = "/etc/dbus-1/system.d/zz-deny.conf";
        node.machine.write(policy_file, policy);
        node.machine.systemctl(&["reload", "dbus.service"]);
        let why = unreadable(&mut node).await;
        assert!(why.contains("AccessDenied") || why.contains("Access denied"), "{why}");
        std::fs::remove_file(node.machine.inside(policy_file)).expect("removed");
        node.machine.systemctl(&["reload", "dbus.service"]);
        node.unit().await;

        node.machine.systemctl(&["kill", "--signal=STOP", "dbus.service"]);
        let started = Instant::now();
        let why = unreadable(&mut node).await;
        assert_eq!(why, "/run/dbus/system_bus_socket: no answer within 5000 ms");
        assert!(started.elapsed() < COLLECTOR_LIMIT, "{:?}", started.elapsed());
        node.machine.systemctl(&["kill", "--signal=CONT", "dbus.service"]);
        node.unit().await;

        std::fs::remove_file(node.machine.inside("/run/dbus/system_bus_socket")).expect("removed");
        assert_eq!(unreadable(&mut node).await, "/run/dbus/system_bus_socket: not there");
    }

    /// What can be found about the system as a whole.
    const ABOUT_THE_SYSTEM: [&str; 5] = [
        "SystemNotRunning",
        "UnitFailed",
        "UnitRestartsRepeatedly",
        "UnitMasked",
        "DaemonReloadPending",
    ];

    /// A machine without a kubelet.
    struct System {
        machine: Machine,
        rounds: Rounds,
        history: NodeHistory,
    }

    impl System {
        fn booted() -> Self {
            let machine = Machine::boot();
            let asked = [Component::OsRelease, Component::Kubelet, Component::Systemd];
            let only = COLLECTORS.into_iter().filter(|one| asked.contains(&one.component));
            let rounds = Rounds::with(Arc::new(host(&machine)), only.collect(), COLLECTOR_LIMIT);
            // What a container's own units lack is not what is tested.
            machine.systemctl(&["reset-failed"]);
            Self { machine, rounds, history: NodeHistory::default() }
        }

        /// One more round of the agent.
        async fn look(&mut self) -> State<Systemd> {
            let mut systemd = None;
            for Observation { state, observed_at, took, .. } in self.rounds.run().await {
                if let ComponentState::Systemd(state) = &state {
                    systemd = Some(state.clone());
                }
                self.history.observe(state, observed_at, took);
            }
            systemd.expect("it was looked at")
        }

        fn answer(&self) -> NodeAnswer {
            let policy = Policy::edition(DEFAULT_EDITION).expect("the usual edition");
            let now = Timestamp::now();
            let about = About { cluster: "c", node: "n", last_report_at: Some(now), agent: None };
            NodeAnswer::of(about, &self.history, Default::default(), &policy, now).0
        }

        /// Looks until these are the findings about the system.
        async fn finds(&mut self, expected: &[&str]) {
            let deadline = Instant::now() + PATIENCE;
            loop {
                let seen = self.look().await;
                let answer = self.answer();
                let reasons = answer.findings.iter().map(|finding| finding.reason.as_str());
                let found: Vec<&str> =
                    reasons.filter(|reason| ABOUT_THE_SYSTEM.contains(reason)).collect();
                if found == expected {
                    return;
                }
                assert!(Instant::now() < deadline, "{found:?}, not {expected:?}: {seen:?}");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }

        /// Writes a unit and has systemd read it.
        fn unit(&self, name: &str, service: &str) {
            // One that may be started as often as it likes is never given up.
            let unit = format!("[Unit]\nDescription={name}\nStartLimitIntervalSec=0\n");
            let text = format!("{unit}[Service]\n{service}");
            self.machine.write(&format!("/etc/systemd/system/{name}"), &text);
            self.machine.systemctl(&["daemon-reload"]);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_failed_unit_is_found_until_it_is_mended() {
        let mut system = System::booted();
        system.finds(&[]).await;
        system.unit("broken.service", "ExecStart=/bin/false\n");
        system.machine.systemctl(&["start", "--no-block", "broken.service"]);
        system.finds(&["UnitFailed"]).await;
        let answer = system.answer();
        let failed = answer.findings.iter().find(|finding| finding.reason == "UnitFailed");
        let failed = failed.expect("found");
        assert_eq!(failed.evidence[0].source, "broken.service");
        assert_eq!(failed.evidence[0].actual, "failed (failed), Result=exit-code");
        let State::Present(seen) = system.look().await else { panic!("not there") };
        assert_eq!(seen.manager.system_state, "degraded");
        assert!(seen.headline().starts_with("systemd 2"), "{}", seen.headline());
        system.machine.systemctl(&["reset-failed", "broken.service"]);
        system.finds(&[]).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_unit_that_flaps_is_found_by_what_systemd_counts() {
        let mut system = System::booted();
        system.finds(&[]).await;
        let flaps = "ExecStart=/bin/sleep 0.2\nRestart=always\nRestartSec=100ms\n";
        system.unit("flap.service", flaps);
        system.machine.systemctl(&["start", "flap.service"]);
        system.finds(&["UnitRestartsRepeatedly"]).await;
        system.machine.systemctl(&["stop", "flap.service"]);
        system.finds(&[]).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_masked_unit_is_found_until_it_is_unmasked() {
        let mut system = System::booted();
        system.machine.systemctl(&["mask", "--quiet", "systemd-sysctl.service"]);
        system.finds(&["UnitMasked"]).await;
        system.machine.systemctl(&["unmask", "--quiet", "systemd-sysctl.service"]);
        system.machine.systemctl(&["mask", "--quiet", "--runtime", "systemd-sysctl.service"]);
        system.finds(&["UnitMasked"]).await;
        system.machine.systemctl(&["unmask", "--quiet", "--runtime", "systemd-sysctl.service"]);
        system.finds(&[]).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_changed_file_is_found_until_systemd_has_read_it() {
        let mut system = System::booted();
        system.unit("sleeper.service", "ExecStart=/bin/sleep infinity\n");
        system.machine.systemctl(&["start", "sleeper.service"]);
        system.finds(&[]).await;
        // The clock of files is coarse.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let changed = "[Service]\nExecStart=/bin/sleep infinity\nNice=5\n";
        system.machine.write("/etc/systemd/system/sleeper.service", changed);
        system.finds(&["DaemonReloadPending"]).await;
        system.machine.systemctl(&["daemon-reload"]);
        system.finds(&[]).await;
        // Without a bus nothing is said of units, and nobody is accused.
        std::fs::remove_file(system.machine.inside("/run/dbus/system_bus_socket")).expect("gone");
        let State::Unavailable(unavailable) = system.look().await else { panic!("read") };
        assert_eq!(unavailable.to_string(), "/run/dbus/system_bus_socket: not there");
        system.finds(&[]).await;
    }
}
