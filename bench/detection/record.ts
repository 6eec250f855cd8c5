import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { catalogue } from "../../agent/catalogue/engines/list.ts";
import { cacheFolder } from "./cache.ts";
import type { Running } from "./start.ts";

const ANSWER_MS_MAX = 3000;
const BODY_MAX = 8192;
const COMMON = [
  "/",
  "/v1/models",
  "/models",
  "/openapi.json",
  "/health",
  "/version",
  "/api/version",
  "/mcp",
  "/sse",
  "/docs",
];
/**
 * Headers that can identify a product. Other headers are not recorded, because dates and lengths change with
 * every response.
 */
const HEADERS = [
  "server",
  "content-type",
  "location",
  "www-authenticate",
  "x-powered-by",
  "access-control-expose-headers",
];

type Answer = { status: number; headers: Record<string, string>; body: string };

/** Sends all catalogue requests for a program's product to the program. Writes the responses to one JSON file. */
export async function record(folder: string, running: Running, wanted: readonly string[]): Promise<void> {
  const { program, command, ports } = running;
  if (ports.own === undefined) return;
  const traits = catalogue.filter(({ id }) => wanted.includes(id)).flatMap((entry) => entry.traits);
  const host = ports.host.includes(":") ? `[${ports.host}]` : ports.host.replace("0.0.0.0", "127.0.0.1");
  const answers: Record<string, Answer> = {};
  for (const path of new Set([...COMMON, ...traits.map((trait) => trait.path)])) {
    const answer = await ask(`http://${host}:${ports.own}${path}`);
    if (answer) answers[path] = answer;
  }
  const hidden = (text: string) => text.replaceAll(cacheFolder(), "LAB");
  mkdirSync(folder, { recursive: true });
  const file = { program: program.name, source: program.source, command: command.map(hidden), answers };
  writeFileSync(join(folder, `${program.name}.json`), `${hidden(JSON.stringify(file, null, 1))}\n`);
}

async function ask(url: string): Promise<Answer | undefined> {
  try {
    const response = await fetch(url, { redirect: "manual", signal: AbortSignal.timeout(ANSWER_MS_MAX) });
    const headers = Object.fromEntries(
      HEADERS.flatMap((name) => (response.headers.has(name) ? [[name, response.headers.get(name)!]] : [])),
    );
    return { status: response.status, headers, body: await beginningOf(response) };
  } catch {
    return undefined; // The server does not speak HTTP or did not respond in time.
  }
}

/**
 * Start of a response body. An event stream never ends, so only the data that arrives before the timeout is
 * returned.
 */
async function beginningOf(response: Response): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  try {
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk as Uint8Array, { stream: true });
      if (text.length >= BODY_MAX) break;
    }
  } catch {}
  return text.slice(0, BODY_MAX);
}
