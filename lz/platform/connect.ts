import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import { tenantId } from "../../shared/ids.ts";
import type { Arguments } from "./arguments.ts";
import type { Deps } from "./deps.ts";
import { Failure, Misuse } from "./faults.ts";

/** Content of `.local/stack.json`, which `bun run start` writes for scripts. */
const stackFile = z.object({
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

/** Reads the `stack.json` of the local stack. Throws {@link Failure} if the file is missing or damaged. */
export function openStack(deps: Pick<Deps, "root" | "env">): StackFile {
  const path = stackPath(deps);
  if (!existsSync(path)) {
    throw new Failure("no local stack is running: start one with bun run start, or give --url and --token");
  }
  const parsed = stackFile.safeParse(parseOrUndefined(readFileSync(path, "utf8")));
  if (!parsed.success) throw new Failure("stack.json is damaged: run bun run start again");
  return parsed.data;
}

/** Public control keys of the local stack as JSON. Undefined if the stack's secrets cannot be read. */
export function localControlJwks(deps: Pick<Deps, "root" | "env">): string | undefined {
  try {
    const secrets: unknown = JSON.parse(readFileSync(join(dirname(stackPath(deps)), "secrets.json"), "utf8"));
    const { controlKey } = z.object({ controlKey: z.object(PUBLIC_KEY) }).parse(secrets);
    return JSON.stringify({ keys: [controlKey] });
  } catch {
    return undefined;
  }
}

/** Schema of a control key's public members. zod removes the private member. */
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
 * URL and token of the control plane. They come from the options, from LZ_URL and LZ_TOKEN, or from the local
 * stack, in this order. The stack's token is sent only to the stack's URL. Throws {@link Misuse} for a wrong
 * URL or a missing token.
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
    throw new Misuse("the URL must be an http or https origin: https://lz.example.com");
  if (parsed.protocol === "http:" && !isLoopback(parsed.hostname)) {
    throw new Misuse("refusing to send a token over http: use https or a loopback URL");
  }
  if (token === undefined) throw new Misuse("a URL needs a token: set LZ_TOKEN, or give --token");
  return { url: parsed.origin, token };
}

const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "[::1]" || host.endsWith(".localhost") || /^127(?:\.\d+){3}$/.test(host);
