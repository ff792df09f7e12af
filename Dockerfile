# Two stages: build with cargo, run on a distroless image as a user without rights.
# The image's own toolchain builds: rust-toolchain.toml would have rustup fetch another one.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY config config
COPY schema schema
COPY sandbox sandbox
COPY src src
# Nothing of these is built, but cargo wants to see every member of the workspace.
COPY fuzz fuzz
COPY tests/core tests/core
COPY tests/model tests/model
COPY tests/mutants tests/mutants
COPY tests/rig tests/rig
COPY tests/simulation tests/simulation
RUN cargo build --release --locked --bin holdfast

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/holdfast /usr/local/bin/holdfast
USER nonroot:nonroot
# The listener for webhooks and health; publish it behind TLS.
ENV HOLDFAST__HTTP__LISTEN=0.0.0.0:8080
EXPOSE 8080
# Whether it lives: a worker that waits for Redis needs no restart. Routing asks /readyz.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
    CMD ["/usr/local/bin/holdfast", "health", "--live"]
# Stop it with 35 s of patience: docker run --stop-timeout 35.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/holdfast"]
CMD ["worker"]
