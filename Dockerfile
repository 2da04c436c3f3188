# A server for robots: docs/container.md says how it is built and run. Linted by tests/packaging/test_dockerfile.py.
FROM python:3.13-slim-bookworm AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY bonsai_edge/ bonsai_edge/
COPY backends/ backends/
COPY devices/ devices/
COPY plugins/ plugins/
RUN python -m venv /opt/bonsai-edge && /opt/bonsai-edge/bin/pip install --no-cache-dir .
ENV BONSAI_EDGE_KERNEL_CACHE=/opt/bonsai-edge/kernels
RUN /opt/bonsai-edge/bin/bonsai-edge warm

FROM python:3.13-slim-bookworm
COPY --from=build /opt/bonsai-edge /opt/bonsai-edge
RUN useradd --system --create-home --uid 10001 bonsai
ENV BONSAI_EDGE_KERNEL_CACHE=/opt/bonsai-edge/kernels \
    BONSAI_EDGE_MODELS=/models \
    PATH=/opt/bonsai-edge/bin:$PATH
USER 10001
# The server is asked over loopback, where it listens as long as no other --bind is given.
HEALTHCHECK --interval=30s --timeout=10s --start-period=2m CMD ["bonsai-edge", "status"]
ENTRYPOINT ["bonsai-edge"]
CMD ["serve"]
