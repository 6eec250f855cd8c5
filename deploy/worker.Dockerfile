# docker build -f deploy/worker.Dockerfile -t lifecyclezero-worker .
# Of the secrets give it LZ_QUEUE_KEYS, and LZ_AI_API_KEY where a model is asked: it does not start with those of the edge.
FROM oven/bun:1.4.5-slim
WORKDIR /app
COPY package.json bun.lock bunfig.toml ./
RUN bun install --frozen-lockfile --production --ignore-scripts
COPY shared ./shared
COPY worker ./worker
USER bun
# SIGTERM ends receiving and finishes what was received: give it 30 s.
CMD ["bun", "worker/main.ts"]
