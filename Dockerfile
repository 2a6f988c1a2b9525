# The bot, and `--target dev` the tests. `scripts/prove_docker.sh` builds it without a registry.
ARG BASE=python:3.11-slim-bookworm

# hadolint ignore=DL3006
FROM ${BASE} AS base
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN groupadd --gid 10001 fractal \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/fractal fractal \
 && install --directory --owner=fractal --group=fractal --mode=0700 /var/lib/fractal

# The locked versions of everything, and the sources as they are.
FROM base AS sources
WORKDIR /app
COPY requirements.lock ./
RUN python3 -m venv /opt/dev && /opt/dev/bin/pip install --require-hashes -r requirements.lock
COPY . ./
RUN /opt/dev/bin/pip install --no-deps --no-build-isolation --editable .

# The wheel alone with the locked versions of what it needs.
FROM sources AS wheel
RUN /opt/dev/bin/hatchling build -t wheel -d /dist \
 && python3 -m venv /opt/fractal \
 && /opt/fractal/bin/pip install --require-hashes -r requirements-bot.lock \
 && /opt/fractal/bin/pip install --no-deps /dist/*.whl \
 && /opt/fractal/bin/pip uninstall --yes pip setuptools

# What the tests need. The root is read-only: what they and the tools keep goes to /tmp.
FROM sources AS dev
ENV PATH=/opt/dev/bin:$PATH FRACTAL_HOME=/tmp/fractal HOME=/tmp \
    PYTEST_ADDOPTS="-o cache_dir=/tmp/pytest" HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis
USER 10001:10001
CMD ["pytest", "--numprocesses", "auto"]

FROM base AS bot
COPY --from=wheel /opt/fractal /opt/fractal
ENV PATH=/opt/fractal/bin:$PATH FRACTAL_HOME=/var/lib/fractal
WORKDIR /var/lib/fractal
VOLUME /var/lib/fractal
USER 10001:10001
# Red when the bot hangs: its heartbeat is older than [guard] heartbeat_limit_s.
HEALTHCHECK --interval=30s --timeout=20s --start-period=60s --retries=2 \
  CMD ["fractal", "status", "--health"]
ENTRYPOINT ["fractal"]
CMD ["run"]
