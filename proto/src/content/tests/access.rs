//! Facts of what lies on a node and who may enter it: files, access, certificates, Docker.

use nodeward_domain::facts::files::{FileContent, FileForm, ManagedFile};
use nodeward_domain::facts::kubelet::{Certificate, CertificateContent};
use nodeward_domain::facts::node_access::{
    Account, AccountLogins, Logins, Sshd, SshdBlock, SshdCriterion, SshdSetting, SshdSettings, Sudo,
};
use nodeward_domain::facts::{
    CertificateStore, Certificates, Docker, Files, KubeletRuntime, NodeAccess, StoredCertificates,
    TrustBundle, UnreadPlace,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{NAME, TEXT, process, time};

fn place() -> impl Strategy<Value = UnreadPlace> {
    (TEXT, TEXT).prop_map(|(path, why)| UnreadPlace { path, why })
}

pub(super) fn files() -> impl Strategy<Value = Files> {
    let content = prop_oneof![
        "[0-9a-f]{64}".prop_map(FileContent::Digest),
        TEXT.prop_map(FileContent::Link),
        Just(FileContent::NotRead),
        TEXT.prop_map(FileContent::Other),
        TEXT.prop_map(FileContent::Unreadable),
    ];
    let form = (content, any::<u32>(), any::<u32>(), any::<u32>())
        .prop_map(|(content, mode, uid, gid)| FileForm { content, mode, uid, gid });
    let file = (NAME, form, option::of(any::<u64>()), time()).prop_map(
        |(path, form, size_bytes, written_at)| ManagedFile { path, form, size_bytes, written_at },
    );
    (vec(file, 0..4), any::<u32>(), vec(place(), 0..3)).prop_map(|(mut files, left_out, unread)| {
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files.dedup_by(|a, b| a.path == b.path);
        Files { files, left_out, unread }
    })
}

pub(super) fn node_access() -> impl Strategy<Value = NodeAccess> {
    let setting =
        || (NAME, TEXT, TEXT).prop_map(|(name, value, source)| SshdSetting { name, value, source });
    let criterion = (NAME, TEXT).prop_map(|(name, patterns)| SshdCriterion { name, patterns });
    let block = (NAME, vec(criterion, 0..3), vec(setting(), 0..3))
        .prop_map(|(place, criteria, settings)| SshdBlock { place, criteria, settings });
    let settings = prop_oneof![
        place().prop_map(SshdSettings::Unreadable),
        (vec(setting(), 0..3), vec(block, 0..3), any::<u32>()).prop_map(
            |(settings, blocks, match_blocks)| SshdSettings::Read {
                settings,
                blocks,
                match_blocks
            }
        ),
    ];
    let sshd = prop_oneof![
        Just(Sshd::NotThere),
        (any::<bool>(), any::<bool>(), settings).prop_map(|(runs, starts_on_connect, settings)| {
            Sshd::There { runs, starts_on_connect, settings }
        }),
    ];
    let account = (NAME, any::<u32>(), TEXT, vec(TEXT, 0..3), vec(TEXT, 0..3)).prop_map(
        |(name, uid, shell, keys, key_files)| Account { name, uid, shell, keys, key_files },
    );
    let sudo = prop_oneof![
        Just(Sudo::NotThere),
        place().prop_map(Sudo::Unreadable),
        any::<u32>().prop_map(Sudo::Read),
    ];
    let at = time().prop_map(Option::unwrap_or_default);
    let one = (NAME, at, any::<u32>()).prop_map(|(account, last_at, count)| AccountLogins {
        account,
        last_at,
        count,
    });
    let logins = prop_oneof![
        Just(Logins::NotKept),
        place().prop_map(Logins::Unreadable),
        (vec(TEXT, 0..3), time(), vec(one, 0..3), option::of(place())).prop_map(
            |(files, since, accounts, beside)| Logins::Read { files, since, accounts, beside }
        ),
    ];
    (sshd, vec(account, 0..3), vec(place(), 0..3), sudo, logins).prop_map(
        |(sshd, accounts, unread_keys, sudo, logins)| NodeAccess {
            sshd,
            accounts,
            unread_keys,
            sudo,
            logins,
        },
    )
}

pub(super) fn certificates() -> impl Strategy<Value = Certificates> {
    let at = || time().prop_map(Option::unwrap_or_default);
    let certificate =
        move || {
            (TEXT, TEXT, at(), at()).prop_map(|(subject, issuer, not_before, not_after)| {
                Certificate { subject, issuer, not_before, not_after }
            })
        };
    let content = prop_oneof![
        vec(certificate(), 1..3).prop_map(CertificateContent::Certificates),
        Just(CertificateContent::Missing),
        TEXT.prop_map(CertificateContent::Unreadable),
    ];
    let store = prop_oneof![
        Just(CertificateStore::Provider),
        Just(CertificateStore::Kubeadm),
        Just(CertificateStore::Added),
    ];
    let file = (NAME, store, content).prop_map(|(path, store, content)| StoredCertificates {
        path,
        store,
        content,
    });
    let trust = prop_oneof![
        Just(TrustBundle::NotThere),
        place().prop_map(TrustBundle::Unreadable),
        (NAME, any::<u32>(), at(), vec(certificate(), 0..3)).prop_map(
            |(path, authorities, newest, first_to_end)| TrustBundle::Read {
                path,
                authorities,
                newest,
                first_to_end,
            }
        ),
    ];
    (vec(file, 0..3), any::<u32>(), vec(place(), 0..3), trust, vec(NAME, 0..3)).prop_map(
        |(files, left_out, unread, trust, ignored)| Certificates {
            files,
            left_out,
            unread,
            trust,
            ignored,
        },
    )
}

pub(super) fn docker() -> impl Strategy<Value = Docker> {
    let kubelet = (TEXT, TEXT).prop_map(|(runtime, endpoint)| KubeletRuntime { runtime, endpoint });
    let processes = (process(), process());
    (vec(TEXT, 0..3), processes, vec(TEXT, 0..3), option::of(kubelet)).prop_map(
        |(traces, (process, shim), sockets, kubelet)| Docker {
            traces,
            process,
            shim,
            sockets,
            kubelet,
        },
    )
}
