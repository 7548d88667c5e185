# The platform's image: web process, workers and beat differ only by their command (see docker-compose.yml).

FROM python:3.11-slim AS packages
WORKDIR /app
RUN python -m venv /venv
COPY requirements.lock .
# Every package is checked against the hashes of the lock file.
RUN /venv/bin/pip install --no-cache-dir --require-hashes --no-deps --requirement requirements.lock

FROM python:3.11-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends tesseract-ocr tesseract-ocr-eng libgomp1 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --user-group --uid 10001 --home-dir /app --no-create-home knowrithm \
 && install --directory --owner=knowrithm --group=knowrithm /data
WORKDIR /app
COPY --from=packages /venv /venv
COPY . .
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=knowrithm.settings \
    DATA_DIR=/data
USER knowrithm
VOLUME /data
EXPOSE 8543
CMD ["python", "-m", "uvicorn", "knowrithm.asgi:application", "--host", "0.0.0.0", "--port", "8543", "--no-access-log", "--timeout-graceful-shutdown", "5"]
