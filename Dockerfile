# The images of Nodeward. `scripts/image` builds the agent's from a binary that cargo has
# built before; `--target agent-from-source` builds everything inside of containers, on any
# Rust image that has a C compiler.
#
# The agent is one static program and needs nothing from its base. A base with an
# os-release file tells image scanners what they look at; `scratch` works as well.
# No user is set: `collect` reads the node as uid 0, `send` runs as any other, and the
# manifests say so for each.

ARG BASE=scratch
ARG RUST_IMAGE=docker.io/library/rust:1.95-bookworm

FROM ${BASE} AS agent
ARG BINARY=out/nodeward-agent
COPY ${BINARY} /usr/bin/nodeward-agent
# What the allocator may keep, see docs/performance.md.
ENV MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=131072
ENTRYPOINT ["/usr/bin/nodeward-agent"]

FROM ${RUST_IMAGE} AS build
WORKDIR /nodeward
COPY . .
# The target is named so that only the program is static, not cargo's own plug-ins.
RUN target="$(rustc -vV | sed -n 's/^host: //p')" \
    && RUSTFLAGS="-C target-feature=+crt-static" \
       cargo build --locked --profile agent --package nodeward-agent --target "$target" \
    && cp "target/$target/agent/nodeward-agent" /nodeward-agent

FROM ${BASE} AS agent-from-source
COPY --from=build /nodeward-agent /usr/bin/nodeward-agent
ENV MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=131072
ENTRYPOINT ["/usr/bin/nodeward-agent"]
