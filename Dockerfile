# The operator's image. `docker build -t kiln .` works as it is; BUILD_BASE and BASE replace the two bases.
#
# Both bases need the same Python 3.11 or newer at PYTHON. BUILD_BASE also needs a shell; where it lacks Python's venv it
# needs apt. BASE needs no shell, no package manager and no pip.
ARG BUILD_BASE=docker.io/library/debian:12-slim
ARG BASE=gcr.io/distroless/python3-debian12:nonroot
ARG PYTHON=/usr/bin/python3.11

# ---- build: a virtual environment in /app, from hashed dependencies --------------------------------------------------
FROM ${BUILD_BASE} AS build
ARG PYTHON
RUN "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null \
    || { apt-get update && apt-get install -y --no-install-recommends ca-certificates python3-venv; }
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src

# The dependencies come first: they change less often than the code, so the layer is cached. What is compiled here need not
# be compiled at each start, for the root is read-only. The libraries' own tests stay out.
COPY requirements/build.txt requirements/runtime.txt requirements/
RUN "$PYTHON" -m venv /build \
    && "$PYTHON" -m venv --without-pip /app \
    && /build/bin/pip install --no-cache-dir --no-deps --require-hashes --only-binary :all: -r requirements/build.txt \
    && /build/bin/pip --python /app/bin/python install --no-cache-dir --no-compile --no-deps \
        --require-hashes --only-binary :all: -r requirements/runtime.txt \
    && rm -rf /app/lib/python3*/site-packages/*/tests \
    && /app/bin/python -m compileall -q --invalidation-mode unchecked-hash /app/lib

COPY pyproject.toml README.md LICENSE ./
COPY crds crds
COPY hot_translator hot_translator
COPY reconcilers reconcilers
COPY operator operator
RUN /build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /build/bin/pip --python /app/bin/python install --no-cache-dir --no-compile --no-deps /wheels/*.whl \
    && /app/bin/python -m compileall -q --invalidation-mode unchecked-hash \
        /app/lib/python3*/site-packages/kiln /app/lib/python3*/site-packages/hot_translator /app/lib/python3*/site-packages/reconcilers \
    && /app/bin/kiln version

# ---- the image -------------------------------------------------------------------------------------------------------
FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="kiln" \
      org.opencontainers.image.description="OpenStack Heat as a Kubernetes operator" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
COPY --from=build /app /app
# Two arenas: with one for each thread, what threads free stays with their arenas.
ENV MALLOC_ARENA_MAX=2 PATH=/app/bin:/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
USER 65532:65532
WORKDIR /tmp
ENTRYPOINT ["kiln"]
CMD ["run"]
