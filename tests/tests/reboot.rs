//! What speaks for a reboot, on a machine whose programs and libraries are really replaced
//! while they run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod real_systemd {
    use std::sync::Arc;
    use std::time::Instant;

    use nodeward_agent::collect::{COLLECTOR_LIMIT, COLLECTORS, Rounds};
    use nodeward_agent::host::{Host, HostRoot};
    use nodeward_agent::probe::Probes;
    use nodeward_domain::component::Component;
    use nodeward_domain::facts::{ComponentState, OutdatedProcess, Reboot};
    use nodeward_domain::observed::State;
    use nodeward_tests::machine::Machine;
    use nodeward_tests::service::PATIENCE;

    const PROGRAM: &str = "/usr/local/bin/gardener";
    const LIBRARY: &str = "/usr/local/lib/libspade.so.1";

    /// What one round of the agent sees of the machine.
    async fn seen(machine: &Machine) -> Arc<Reboot> {
        let host = Host {
            containerd_socket: "/run/containerd/containerd.sock".to_owned(),
            ..Host::new(
                HostRoot::open(&machine.root()).expect("the machine's root"),
                Probes::Live { runtime: tokio::runtime::Handle::current() },
            )
        };
        let only = COLLECTORS.into_iter().filter(|one| one.component == Component::Reboot);
        let seen = Rounds::with(Arc::new(host), only.collect(), COLLECTOR_LIMIT).run().await;
        match seen.into_iter().next().map(|observation| observation.state) {
            Some(ComponentState::Reboot(State::Present(facts))) => facts,
            other => panic!("not read: {other:?}"),
        }
    }

    /// A machine on which a program runs as a service, with a library of its own.
    fn with_service() -> Machine {
        let machine = Machine::boot();
        let copy = |from: &str, to: &str| {
            machine.run("cp", &["--dereference", from, to]);
        };
        copy("/usr/bin/sleep", PROGRAM);
        let libraries = machine.run("find", &["/usr/lib", "-name", "libm.so.6"]);
        copy(libraries.lines().next().expect("every system has it"), LIBRARY);
        let unit =
            format!("[Service]\nExecStart={PROGRAM} infinity\nEnvironment=LD_PRELOAD={LIBRARY}\n");
        machine.write("/etc/systemd/system/gardener.service", &unit);
        machine.systemctl(&["daemon-reload"]);
        start(&machine);
        machine
    }

    /// Starts the service, and waits until its program runs.
    fn start(machine: &Machine) {
        machine.systemctl(&["restart", "gardener.service"]);
        let deadline = Instant::now() + PATIENCE;
        let mapped = |machine: &Machine| {
            let pid = machine.systemctl(&["show", "--property=MainPID", "--value", "gardener"]);
            let maps = std::fs::read_to_string(machine.inside(&format!("/proc/{pid}/maps")));
            maps.is_ok_and(|maps| maps.contains(LIBRARY))
        };
        while !mapped(machine) {
            assert!(Instant::now() < deadline, "the program does not start");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    fn replace(machine: &Machine, path: &str) {
        let new = format!("{path}.new");
        machine.run("cp", &[path, &new]);
        machine.run("mv", &[&new, path]);
    }

    fn gardener(files: &[&str]) -> Vec<OutdatedProcess> {
        let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
        vec![OutdatedProcess { name: "gardener".to_owned(), files }]
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_replaced_program_is_former_until_its_service_is_restarted() {
        let machine = with_service();
        let before = seen(&machine).await;
        assert_eq!((&before.outdated, &before.unseen), (&Vec::new(), &None));
        replace(&machine, PROGRAM);
        assert_eq!(seen(&machine).await.outdated, gardener(&[PROGRAM]));
        start(&machine);
        assert_eq!(seen(&machine).await.outdated, Vec::new());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_replaced_library_is_former_in_processes_from_before() {
        let machine = with_service();
        replace(&machine, LIBRARY);
        // As after every change of a library by a package.
        machine.run("ldconfig", &[]);
        assert_eq!(seen(&machine).await.outdated, gardener(&[LIBRARY]));
        start(&machine);
        assert_eq!(seen(&machine).await.outdated, Vec::new());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_asks_for_a_reboot_is_told_with_its_packages_and_its_time() {
        let machine = Machine::boot();
        assert_eq!(seen(&machine).await.sentinels, Vec::new());
        machine.write("/run/reboot-required", "*** System restart required ***\n");
        machine.write("/run/reboot-required.pkgs", "libc6\ndbus\nlibc6\n");
        let sentinels = seen(&machine).await.sentinels.clone();
        let metadata = std::fs::metadata(machine.inside("/run/reboot-required")).expect("there");
        let written_at = metadata.modified().expect("a time").try_into().expect("of today");
        assert_eq!(sentinels.len(), 1);
        assert_eq!(sentinels[0].path, "/run/reboot-required");
        assert_eq!(sentinels[0].written_at, Some(written_at));
        assert_eq!(sentinels[0].packages, ["dbus", "libc6"]);
        assert!(!seen(&machine).await.kured_runs);
        machine.run("cp", &["/usr/bin/sleep", "/usr/bin/kured"]);
        machine.run("systemd-run", &["--quiet", "/usr/bin/kured", "infinity"]);
        assert!(seen(&machine).await.kured_runs);
    }
}
