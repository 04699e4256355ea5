# Kerastuna on a CPU, with MNIST: docs/containers.md. Dockerfile.gpu differs in the extras and the last ENV.
FROM python:3.11-slim

# A compiler, for the check of an exported C program.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/kerastuna
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY search search
COPY spaces spaces
COPY data data
# Editable: MNIST is found beside the code.
RUN pip install --no-cache-dir --constraint constraints.txt --editable '.[export,postgresql]'

# Any user may run it: caches need a folder that can be written to, and MLflow notes who runs it.
ENV HOME=/tmp USER=kerastuna
WORKDIR /work
CMD ["kerastuna", "search"]
