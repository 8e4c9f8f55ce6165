//! Facts of `docker` to and from the wire.

use nodeward_domain::facts as domain;

use super::files::PLACES;
use super::process;
use crate::convert::{Invalid, text, texts};
use crate::v1;
use crate::v1::docker as wire;

impl From<&domain::Docker> for v1::Docker {
    fn from(docker: &domain::Docker) -> Self {
        Self {
            traces: docker.traces.clone(),
            process: docker.process.as_ref().map(Into::into),
            shim: docker.shim.as_ref().map(Into::into),
            sockets: docker.sockets.clone(),
            kubelet: docker.kubelet.as_ref().map(|kubelet| wire::KubeletRuntime {
                runtime: kubelet.runtime.clone(),
                endpoint: kubelet.endpoint.clone(),
            }),
        }
    }
}

impl TryFrom<v1::Docker> for domain::Docker {
    type Error = Invalid;

    fn try_from(docker: v1::Docker) -> Result<Self, Invalid> {
        Ok(Self {
            traces: texts("traces", docker.traces, PLACES)?,
            process: process(docker.process)?,
            shim: process(docker.shim)?,
            sockets: texts("sockets", docker.sockets, PLACES)?,
            kubelet: docker.kubelet.map(|kubelet| domain::KubeletRuntime {
                runtime: text(kubelet.runtime),
                endpoint: text(kubelet.endpoint),
            }),
        })
    }
}
