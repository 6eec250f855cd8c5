import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import { tenantId } from "../../shared/ids.ts";
import type { Arguments } from "./arguments.ts";
import type { Deps } from "./deps.ts";
import { Failure, Misuse } from "./faults.ts";

/** What `bun run start` leaves for scripts, in `.local/stack.json`. */
export const stackFile = z.object({
  edgeUrl: z.url(),
  tenantId,
  adminToken: z.string().min(1),
  viewerToken: z.string().min(1),
  dynamodbEndpoint: z.url(),
  sqsEndpoint: z.url(),
  queueUrl: z.url(),
});
export type StackFile = z.infer<typeof stackFile>;

export const stackPath = (deps: Pick<Deps, "root" | "env">): string =>
  join(resolve(deps.root, deps.env.LZ_LOCAL_DIR ?? ".local"), "stack.json");

/** The running local stack. Throws {@link Failure} when there is none. */
export function openStack(deps: Pick<Deps, "root" | "env">): StackFile {
  const path = stackPath(deps);
  if (!existsSync(path)) {
    throw new Failure("there is no local stack: start one with bun run start, or give --url and --token");
  }
  const parsed = stackFile.safeParse(parseOrUndefined(readFileSync(path, "utf8")));
  if (!parsed.success) throw new Failure("stack.json is damaged: start the stack again with bun run start");
  return parsed.data;
}

/** Public control keys of the local stack as JSON; undefined when its secrets cannot be read. */
export function localControlJwks(deps: Pick<Deps, "root" | "env">): string | undefined {
  try {
    const secrets: unknown = JSON.parse(readFileSync(join(dirname(stackPath(deps)), "secrets.json"), "utf8"));
    const { controlKey } = z.object({ controlKey: z.object(PUBLIC_KEY) }).parse(secrets);
    return JSON.stringify({ keys: [controlKey] });
  } catch {
    return undefined;
  }
}

/** zod strips the private half. */
const PUBLIC_KEY = { kty: z.literal("OKP"), crv: z.literal("Ed25519"), kid: z.string(), x: z.string() };

export function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export type Connection = { url: string; token: string };

/**
 * Where to ask and as whom: options first, then LZ_URL and LZ_TOKEN, then the local stack. The stack's token is
 * never sent to an address that did not come with it.
 */
export function connectionOf(args: Arguments, deps: Deps): Connection {
  const url = args.texts.url ?? deps.env.LZ_URL;
  const token = args.texts.token ?? deps.env.LZ_TOKEN;
  if (url === undefined) {
    const stack = openStack(deps);
    return { url: stack.edgeUrl, token: token ?? stack.adminToken };
  }
  const parsed = URL.parse(url);
  if (!parsed || !/^https?:$/.test(parsed.protocol))
    throw new Misuse("the URL must be an http or https origin");
  if (parsed.protocol === "http:" && !isLoopback(parsed.hostname)) {
    throw new Misuse("a token does not travel without TLS: the URL must be https, or of this machine");
  }
  if (token === undefined) throw new Misuse("a token is needed with a URL: set LZ_TOKEN, or give --token");
  return { url: parsed.origin, token };
}

const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "[::1]" || host.endsWith(".localhost") || /^127(?:\.\d+){3}$/.test(host);
