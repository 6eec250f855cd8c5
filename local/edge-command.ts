import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { denoPath, workerdPath } from "./binaries.ts";

export const RUNTIMES = ["deno", "bun", "workerd"] as const;
export type RuntimeName = (typeof RUNTIMES)[number];

export type EdgeCommand = {
  command: string[];
  env: Record<string, string>;
  isReady: (line: string) => boolean;
};

/** Settings that name a file with AWS credentials. The edge reads no other files. */
const TOKEN_FILES = ["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"];

/** Path of a runtime. Throws {@link MissingBinary}, with the fix, if this machine does not have the runtime. */
export function runtimePath(runtime: RuntimeName): string {
  if (runtime === "bun") return process.execPath;
  return runtime === "deno" ? denoPath() : workerdPath();
}

/**
 * Builds the command that runs the edge under a runtime. `env` is the configuration of the edge. `port` must
 * be free.
 *
 * @param scratch folder for temporary files: the bundle of workerd, or the compiled modules of Deno
 */
export async function edgeCommand(
  runtime: RuntimeName,
  root: string,
  env: Record<string, string>,
  port: number,
  scratch: string,
): Promise<EdgeCommand> {
  const isReady = (line: string) => line.includes('"edge.listening"');
  // There is no load balancer on this machine, so the edge stops without a drain delay.
  const listening = { LZ_DRAIN_SECONDS: "0", ...env, PORT: String(port) };
  if (runtime === "bun") {
    return { command: [runtimePath(runtime), join(root, "edge/bun.ts")], env: listening, isReady };
  }
  if (runtime === "deno") {
    const files = TOKEN_FILES.map((name) => env[name]).filter(Boolean);
    const readable = files.length > 0 ? [`--allow-read=${files.join(",")}`] : [];
    const allowed = ["--no-prompt", "--allow-net", "--allow-env", ...readable, "--quiet"];
    const command = [
      runtimePath(runtime),
      "run",
      ...allowed,
      "--config",
      join(root, "deno.json"),
      join(root, "edge/deno.ts"),
    ];
    // Deno stores compiled modules in this folder, because the home directory may not exist.
    return { command, env: { ...listening, DENO_DIR: join(scratch, "deno"), NO_COLOR: "1" }, isReady };
  }
  const config = await writeWorkerdConfig(root, env, port, scratch);
  return {
    command: [runtimePath(runtime), "serve", "--control-fd=1", config],
    env: {},
    isReady: (line) => line.includes('"listen"'),
  };
}

/** Bundles the edge as for a deployment to Cloudflare Workers. Throws an error with the bundler's messages. */
export async function bundleForWorkerd(root: string, outdir: string): Promise<string> {
  const built = await Bun.build({
    entrypoints: [join(root, "edge/workerd.ts")],
    target: "browser",
    conditions: ["workerd", "worker"],
    minify: true,
    // Without this setting, the JSX of every page has debugging arguments.
    define: { "process.env.NODE_ENV": '"production"' },
    outdir,
    naming: "edge.js",
  });
  if (!built.success) throw new AggregateError(built.logs, "the edge cannot be bundled for workerd");
  return join(outdir, "edge.js");
}

async function writeWorkerdConfig(root: string, env: Record<string, string>, port: number, scratch: string) {
  mkdirSync(scratch, { recursive: true });
  await bundleForWorkerd(root, scratch);
  const bindings = Object.entries(env).map(
    ([name, value]) => `(name = ${JSON.stringify(name)}, text = ${JSON.stringify(value)})`,
  );
  const config = join(scratch, "workerd.capnp");
  writeFileSync(
    config,
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "edge", worker = .edge),
    (name = "internet", network = (allow = ["public", "private"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "edge")],
);
const edge :Workerd.Worker = (
  modules = [(name = "edge.js", esModule = embed "edge.js")],
  compatibilityDate = "2026-06-01",
  bindings = [${bindings.join(", ")}],
);
`,
    { mode: 0o600 },
  );
  return config;
}
