# docker build -f deploy/worker.Dockerfile -t lifecyclezero-worker .
# Secrets: LZ_QUEUE_KEYS, and LZ_AI_API_KEY for LLM reviews. The worker does not start with secrets of the edge.
FROM oven/bun:1.4.5-slim
WORKDIR /app
COPY package.json bun.lock bunfig.toml ./
RUN bun install --frozen-lockfile --production --ignore-scripts
COPY shared ./shared
COPY worker ./worker
USER bun
# After SIGTERM the worker stops receiving and finishes its received messages. Allow 30 s for that.
CMD ["bun", "worker/main.ts"]
