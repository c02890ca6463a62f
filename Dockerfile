# One image for every process; the command says which.
FROM debian:12.12-slim AS players
RUN apt-get update && apt-get install -y --no-install-recommends npm && rm -rf /var/lib/apt/lists/*
WORKDIR /players
COPY deploy/players/package.json deploy/players/package-lock.json ./
RUN npm ci --no-audit --no-fund --ignore-scripts

FROM debian:12.12-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --home-dir /var/lib/headrace headrace
WORKDIR /opt/headrace
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY headrace headrace
COPY edge edge
COPY shield shield
COPY proxy proxy
COPY origin origin
COPY control control
COPY geo geo
COPY kit kit
COPY bench bench
COPY configs configs
RUN python3 -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir -c constraints.txt .
COPY --from=players /players/node_modules /opt/players/node_modules
USER headrace
VOLUME /var/lib/headrace
ENTRYPOINT ["/opt/venv/bin/headrace"]
