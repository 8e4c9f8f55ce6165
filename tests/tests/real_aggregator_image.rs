//! The aggregator in a container, with exactly what its StatefulSet grants and the files that its
//! kustomization asks for: agents enrol with it, and it is asked by the command in its own image.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod real_image {
    use std::os::unix::fs::{PermissionsExt, chown};
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::time::{Duration, Instant};

    use nix::sys::signal::Signal;
    use nodeward_tests::api_server::tokens::Token;
    use nodeward_tests::containerd::Containerd;
    use nodeward_tests::image::{Container, Image};
    use nodeward_tests::in_cluster::{AGENT, api_server};
    use nodeward_tests::service::{PATIENCE, Program, get};
    use nodeward_tests::{programs, project};

    /// Copies files into a volume of secrets or settings, as a kubelet owns them.
    fn volume(volumes: &Path, name: &str, files: &[(&str, &Path)]) {
        const GROUP: u32 = 65532;
        let folder = volumes.join(name);
        std::fs::create_dir(&folder).expect("made");
        for (file, from) in files {
            let to = folder.join(file);
            std::fs::copy(from, &to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
            chown(&to, Some(0), Some(GROUP)).expect("root may");
            std::fs::set_permissions(&to, PermissionsExt::from_mode(0o440)).expect("root may");
        }
    }

    /// `nodeward ca`, as the kustomization says.
    fn ca(folder: &Path, arguments: &[&str]) {
        let status = Command::new(programs::nodeward())
            .arg("ca")
            .args(arguments)
            .current_dir(folder)
            .status()
            .expect("it runs");
        assert!(status.success(), "{arguments:?}");
    }

    fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "builds the release programs, which takes minutes: make prove"]
    async fn the_stateful_set_enrols_agents_and_is_asked_from_inside() {
        let (api, token) = api_server();
        let folder = tempfile::tempdir().expect("a folder");
        let (folder, volumes) = (folder.path(), folder.path().join("volumes"));
        std::fs::create_dir(&volumes).expect("made");
        ca(folder, &["init", "--out", "ca"]);
        ca(folder, &["issue", "--ca", "ca", "--out", "aggregator", "--server", "localhost"]);
        let reader = ["--reader", "ann", "--cluster", "local"];
        ca(folder, &[&["issue", "--ca", "ca", "--out", "ann"], &reader[..]].concat());
        let access = project::root().join("manifests/enrolment/access.toml");
        let access = std::fs::read_to_string(access).expect("the manifest");
        let issuer = "https://kubernetes.default.svc.cluster.local";
        assert!(access.contains(issuer));
        // The stand-in has not the name that an API server has in a cluster.
        let mounted = "/var/run/secrets/kubernetes.io/serviceaccount";
        let access = format!(
            "{}api-server = \"{}\"\napi-server-ca = \"{mounted}/ca.crt\"\n\
             api-server-token-file = \"{mounted}/token\"\n",
            access.replace(issuer, &api.url()),
            api.url()
        );
        let of = |name: &str| folder.join(name);
        volume(&volumes, "access", &[("access.toml", &write(folder, "access.toml", &access))]);
        let shown = [("tls.crt", of("aggregator.pem")), ("tls.key", of("aggregator.key"))];
        volume(&volumes, "tls", &shown.each_ref().map(|(name, path)| (*name, path.as_path())));
        let signs = [("tls.crt", of("ca/ca.pem")), ("tls.key", of("ca/ca.key"))];
        volume(
            &volumes,
            "authority",
            &signs.each_ref().map(|(name, path)| (*name, path.as_path())),
        );
        let namespace = write(folder, "namespace", "nodeward");
        volume(
            &volumes,
            "api-server",
            &[("token", &token), ("ca.crt", &api.ca()), ("namespace", &namespace)],
        );
        for writable in ["store", "tmp"] {
            std::fs::create_dir(volumes.join(writable)).expect("made");
        }

        let containerd = Containerd::start();
        containerd.import(Image::Aggregator);
        let container = Container::of_aggregator(&volumes)
            .in_the_machines_network()
            .with("--http-listen", "127.0.0.1:0")
            .with("--tls-listen", "127.0.0.1:0");
        let (mut program, starts, log) = containerd.serve(&container, "aggregator starts");
        let field = |name: &str| starts["fields"][name].as_str().map(str::to_owned);
        assert_eq!(field("grpc"), None, "nothing is served in plain text");
        let (http, tls) = (field("http").expect("an address"), field("tls").expect("an address"));
        assert!(get(&http, "/readyz").contains("200 OK"));
        let url = format!("https://localhost:{}", tls.rsplit(':').next().expect("a port"));

        let asked = Token::of(AGENT, "agent-a", "nodeward");
        let _agent = Program::start(
            Command::new(programs::agent())
                .args(["run", "--interval", "1s", "--aggregator", &url, "--tls-ca"])
                .arg(of("ca/ca.pem"))
                .arg("--token-file")
                .arg(write(folder, "token", &api.token(&asked)))
                .arg("--host-root")
                .arg(project::host("debian-12-plain")),
        );
        // The reader's certificate, which a person would bring along.
        volume(&volumes.join("tmp"), "ann", &[("pem", &of("ann.pem")), ("key", &of("ann.key"))]);
        let ask = || {
            containerd.inside(
                &container,
                &[
                    "/usr/bin/nodeward",
                    "nodes",
                    "--aggregator",
                    &url,
                    "--tls-ca",
                    "/run/secrets/nodeward/authority/tls.crt",
                    "--tls-certificate",
                    "/tmp/ann/pem",
                    "--tls-key",
                    "/tmp/ann/key",
                    "-o",
                    "csv",
                ],
            )
        };
        let deadline = Instant::now() + PATIENCE;
        let told = loop {
            let output = ask();
            let told = String::from_utf8_lossy(&output.stdout).into_owned();
            if told.contains("local,a,") {
                break told;
            }
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(Instant::now() < deadline, "{told}{said}{}", log.lock().expect("a log"));
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        let nodes = told.lines().skip(1).filter(|line| !line.is_empty()).count();
        println!("an agent enrols over TLS, and the command in the image lists {nodes} node");
        assert!(volumes.join("store/store.db").exists());
        // It trusts the authorities of the public, which it pulls feeds with.
        let authorities = containerd.path("aggregator.root/etc/ssl/certs/ca-certificates.crt");
        let authorities = std::fs::read_to_string(authorities).expect("they are in the image");
        assert!(authorities.matches("BEGIN CERTIFICATE").count() > 100);
        assert_eq!(
            std::fs::read_dir(containerd.path("aggregator.root/usr/bin")).expect("there").count(),
            2
        );
        program.signal(Signal::SIGTERM);
        let (status, _) = program.ended_within(PATIENCE);
        assert!(status.success(), "{status}");
    }
}
