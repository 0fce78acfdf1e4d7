# Two images: `bus` (broker, workers, commands) and `training` (the same with torch, for the example).
#
#     docker build --target bus --tag drytorch-bus:0.1.0 .
#
# No container engine runs where this project is tested. What is tested there: the scripts that the
# RUN lines call, and the commands of docker-compose.yml, as plain processes.

ARG PYTHON=python:3.11.13-slim-bookworm

FROM ${PYTHON} AS source
WORKDIR /src
COPY pyproject.toml constraints.txt ./
COPY drytorch_client ./drytorch_client
COPY drytorch_broker ./drytorch_broker
COPY schemas/drytorch_schemas ./schemas/drytorch_schemas
COPY trackers/drytorch_trackers ./trackers/drytorch_trackers
COPY docker ./docker

FROM source AS bus-build
RUN sh docker/install.sh /app postgres

FROM source AS training-build
# With the address of torch's wheels for CPUs (see torch's own page on installing) the image is smaller
# by gigabytes: docker compose build --build-arg PIP_EXTRA_INDEX_URL=...
ARG PIP_EXTRA_INDEX_URL=
RUN sh docker/install.sh /app torch,postgres scikit-learn

FROM ${PYTHON} AS base
# A number, so that `runAsNonRoot` of Kubernetes can tell that it is not root.
COPY docker /usr/local/lib/drytorch
RUN sh /usr/local/lib/drytorch/folders.sh 10001 /home/drytorch /journal /results /state
ENV PATH=/app/bin:$PATH \
    HOME=/home/drytorch \
    USER=drytorch \
    XDG_STATE_HOME=/state \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /results

FROM base AS bus
COPY --from=bus-build /app /app
CMD ["drytorch", "--help"]

FROM base AS training
COPY --from=training-build /app /app
COPY examples /examples
CMD ["python", "/examples/digits.py"]
