# The program alone, in a small image, as nobody in particular.
#
#   docker build -t evently .
#
# A fleet brings its own PostgreSQL: the one inside the process is left out. It feeds Kafka.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p evently --no-default-features --features kafka-tls \
    && cp target/release/evently /evently && mkdir -p /kept/data /kept/shared

# One program, to ask how the other is.
FROM busybox:1.37.0-musl AS busybox

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=busybox /bin/busybox /usr/local/bin/busybox
COPY --from=build /evently /usr/local/bin/evently
# Everything that is kept. New volumes take their owner from here.
COPY --from=build --chown=65532:65532 /kept /var/lib/evently
WORKDIR /var/lib/evently
ENV EVENTLY_DATA=/var/lib/evently/data \
    EVENTLY_LISTEN=0.0.0.0:8080 \
    EVENTLY_LOG_FORMAT=json
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=6 \
    CMD ["/usr/local/bin/busybox", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8080/health/ready"]
ENTRYPOINT ["/usr/local/bin/evently"]
CMD ["serve"]
