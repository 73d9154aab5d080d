# syntax=docker/dockerfile:1
# The bot in a container: `docker compose up`, or `docker run --env-file .env -v easel:/data IMAGE`.
# Before a release, pin the base image: --build-arg PYTHON_IMAGE=python:3.12-slim@sha256:DIGEST, with the digest of
# docker buildx imagetools inspect python:3.12-slim --format "{{.Manifest.Digest}}".
ARG PYTHON_IMAGE=python:3.12-slim

FROM ${PYTHON_IMAGE} AS build
WORKDIR /app
COPY requirements.lock ./
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv --without-pip .venv \
    && python -m pip --python .venv/bin/python install --require-hashes --only-binary=:all: -r requirements.lock
COPY bot ./bot
RUN python -m compileall -q bot
# The guide of the sandbox answers from these.
COPY docs ./docs
COPY README.md ./

FROM ${PYTHON_IMAGE}
RUN python -m pip uninstall --yes --quiet --root-user-action=ignore pip \
    && groupadd --gid 999 easel \
    && useradd --uid 999 --gid 999 --home-dir /app --no-create-home --shell /usr/sbin/nologin easel \
    && install --directory --owner=999 --group=999 --mode=700 /data
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    DATA_DIR=/data HTTP_HOST=0.0.0.0 LOG_FORMAT=json
USER 999:999
VOLUME /data
EXPOSE 8765
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["python", "-m", "bot", "health"]
ENTRYPOINT ["python", "-m", "bot"]
CMD ["run"]
