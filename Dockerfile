# The whole of Grove in one image: `grove serve` with DATABASE_URL and REDIS_URL, or with engines of its own in /data.
FROM python:3.11-slim AS build

WORKDIR /build
COPY requirements.lock ./
RUN python -m venv /opt/grove && \
    /opt/grove/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY tenants tenants
COPY provisioning provisioning
COPY migrations migrations
COPY grafana-templates grafana-templates
COPY sdk/dist sdk/dist
RUN /opt/grove/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps . && \
    /opt/grove/bin/python -m compileall -q /opt/grove/lib && \
    /opt/grove/bin/pip uninstall --yes pip

FROM python:3.11-slim

RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin grove && \
    install --directory --owner=grove --group=grove --mode=0700 /data
COPY --from=build /opt/grove /opt/grove

ENV PATH=/opt/grove/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    GROVE_HOST=0.0.0.0 \
    GROVE_DATA_DIR=/data
USER grove
WORKDIR /data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('PORT', '8000') + '/health/live', timeout=4)"]
CMD ["grove", "serve"]
