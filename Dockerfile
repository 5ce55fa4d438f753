# The image of the action. `docker/*.txt` are written from uv.lock by scripts/export_requirements.sh;
# where the digest comes from is in docs/pins.md.
FROM python:3.13.14-slim-trixie@sha256:9662417aace5ae7b8e2609cce472b72a8958e134ba372808abe9cc1a0c0125e6 AS base


FROM base AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build

# The program's own environment has no pip, and nothing that was needed to build the program.
COPY docker/requirements.txt docker/build-requirements.txt docker/
RUN python -m venv /build/tools \
 && /build/tools/bin/pip install --require-hashes --only-binary :all: \
        -r docker/build-requirements.txt \
 && python -m venv --without-pip /opt/discover-models \
 && /build/tools/bin/pip --python /opt/discover-models/bin/python install \
        --require-hashes --only-binary :all: -r docker/requirements.txt

COPY pyproject.toml README.md ./
COPY templates templates
COPY src src
RUN /build/tools/bin/pip --python /opt/discover-models/bin/python check \
 && /build/tools/bin/python -m hatchling build -t wheel -d /build/wheel \
 && /build/tools/bin/pip --python /opt/discover-models/bin/python install \
        --no-deps --no-index /build/wheel/*.whl


FROM base

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="discover-models" \
      org.opencontainers.image.description="Finds language models, the GPU kernel definitions each one needs, and who has them" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# The runner's user owns the checkout and root runs the container: git would refuse to look at it.
# Debian keeps only the newest version of a package, so a pinned one would be gone within weeks.
# hadolint ignore=DL3008
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends git \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log \
        /usr/share/man /usr/share/locale \
 && find /usr/share/doc -type f ! -name copyright -delete \
 && git config --system --add safe.directory '*'

COPY --from=build /opt/discover-models /opt/discover-models
ENV HF_HUB_DISABLE_TELEMETRY=1

# No USER: the runner mounts folders that only the default user may write to. No WORKDIR: the
# runner sets it. The exec form, because dash drops variables with a dash in their name, such as
# INPUT_MODEL-NAME; -I, because Python would otherwise import from the checkout, which may hold
# anything.
ENTRYPOINT ["/opt/discover-models/bin/python", "-I", "-B", "-u", "-m", "discover_models.action"]
