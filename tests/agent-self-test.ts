import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { readProcessArguments } from "../shared/command-line/read-process-arguments.ts";

/** Builds the agent for this platform and runs the binary once, as a smoke test. */

const ROOT = resolve(import.meta.dir, "..");
readProcessArguments("bun run test:agent", {
  summary:
    "compile dist/lz-agent for this host, check its version, and let it find a stand-in of Ollama's API",
  options: {},
});

async function run(command: readonly string[]): Promise<string> {
  const child = Bun.spawn([...command], { cwd: ROOT, stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code === 0) return stdout.trim();
  throw new Error(`${command.slice(1).join(" ")} ended with code ${code}:\n${stderr}`);
}

/** A stub of Ollama's API on a free port. The scan must identify the stub by its responses alone. */
const serveOllamaApi = () =>
  Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === "/") return new Response("Ollama is running");
      if (pathname === "/api/version") return Response.json({ version: "0.12.6" });
      if (pathname === "/api/tags" || pathname === "/api/ps") return Response.json({ models: [] });
      return new Response("404 page not found", { status: 404 });
    },
  });

type Scan = {
  engines: { id: string; ports: number[] }[];
  collectors: { name: string; status: string; detail?: string }[];
  durationMs: number;
};

async function checkScan(binary: string): Promise<void> {
  const server = serveOllamaApi();
  try {
    const scan = JSON.parse(await run([binary, "scan", "--json", "--allow-partial"])) as Scan;
    for (const { name, status, detail } of scan.collectors)
      console.log(`  ${name}: ${status}${detail ? ` (${detail})` : ""}`);
    if (!scan.engines.some(({ id, ports }) => id === "ollama" && ports.includes(server.port!)))
      throw new Error(
        `scan did not find the Ollama API on port ${server.port}: ${JSON.stringify(scan.engines)}`,
      );
    console.log(
      `scan --json found the Ollama API on port ${server.port} in ${Math.round(scan.durationMs)} ms`,
    );
  } finally {
    await server.stop(true);
  }
}

try {
  console.log(await run([process.execPath, "tools/build-agent.ts"]));
  const binary = join(ROOT, "dist", process.platform === "win32" ? "lz-agent.exe" : "lz-agent");
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
  const printed = await run([binary, "--version"]);
  if (printed !== `lz-agent ${version}`)
    throw new Error(`--version printed ${JSON.stringify(printed)}: expected lz-agent ${version}`);
  console.log(printed);
  await checkScan(binary);
} catch (error) {
  console.error(`agent self-test failed: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
