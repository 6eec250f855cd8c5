import type { Fixture } from "../../../../agent/catalogue/entry.ts";

export const html = (title: string) => `<!doctype html><html><head><title>${title}</title></head></html>`;

/** Returns the same response for the most common paths of products. */
export function everywhere(answer: NonNullable<Fixture["answers"]>[string]): Fixture["answers"] {
  const paths = [
    "/",
    "/v1/models",
    "/openapi.json",
    "/manifest.json",
    "/api/version",
    "/api/config",
    "/api/tags",
    "/version",
    "/info",
    "/metrics",
    "/health",
    "/healthcheck",
    "/sse",
    "/mcp",
    "/v2",
    "/voices",
  ];
  return Object.fromEntries(paths.map((path) => [path, answer]));
}
