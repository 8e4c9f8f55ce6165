# The images of Nodeward. `scripts/image` builds them from binaries that cargo has built
# before; `--target agent-from-source` and `--target aggregator-from-source` build everything
# inside of containers, on any Rust image that has a C compiler.
#
# Each program is static and needs nothing from its base. A base with an os-release file tells
# image scanners what they look at; `scratch` works as well, but that an aggregator which pulls
# feeds looks for authorities in /etc/ssl/certs, or is told them by --feed-ca.

ARG BASE=scratch
ARG RUST_IMAGE=docker.io/library/rust:1.95-bookworm

# No user is set: `collect` reads the node as uid 0, `send` runs as any other, and the
# manifests say so for each.
FROM ${BASE} AS agent
ARG BINARY=out/nodeward-agent
COPY ${BINARY} /usr/bin/nodeward-agent
# What the allocator may keep, see docs/performance.md.
ENV MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=131072
ENTRYPOINT ["/usr/bin/nodeward-agent"]

# Aggregator and relay, and the command that asks them: `kubectl exec` finds it there.
FROM ${BASE} AS aggregator
COPY out/nodeward-aggregator out/nodeward /usr/bin/
USER 65532:65532
ENTRYPOINT ["/usr/bin/nodeward-aggregator"]

FROM ${RUST_IMAGE} AS build
WORKDIR /nodeward
COPY . .

FROM build AS build-agent
# The target is named so that only the program is static, not cargo's own plug-ins.
RUN target="$(rustc -vV | sed -n 's/^host: //p')" \
    && RUSTFLAGS="-C target-feature=+crt-static" \
       cargo build --locked --profile agent --package nodeward-agent --target "$target" \
    && cp "target/$target/agent/nodeward-agent" /nodeward-agent

FROM build AS build-aggregator
RUN target="$(rustc -vV | sed -n 's/^host: //p')" \
    && RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --release --bins \
       --package nodeward-aggregator --package nodeward-cli --target "$target" \
    && cp "target/$target/release/nodeward-aggregator" "target/$target/release/nodeward" /

FROM ${BASE} AS agent-from-source
COPY --from=build-agent /nodeward-agent /usr/bin/nodeward-agent
ENV MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=131072
ENTRYPOINT ["/usr/bin/nodeward-agent"]

FROM ${BASE} AS aggregator-from-source
COPY --from=build-aggregator /nodeward-aggregator /nodeward /usr/bin/
USER 65532:65532
ENTRYPOINT ["/usr/bin/nodeward-aggregator"]
