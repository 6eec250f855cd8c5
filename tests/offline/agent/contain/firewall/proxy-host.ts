import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { startForwardProxy } from "../../../../support/agent/corporate-network.ts";
import {
  ASSET,
  removeTemporaryDirectories,
  startEdge,
  TENANT,
  TOKEN,
  temporaryDirectory,
  until,
} from "../../report/send-edge.ts";

/*
 * Runs in a network namespace that has only loopback. Starts an edge, an HTTP proxy, and an agent whose
 * configuration file names the proxy. The edge sends a directive for mode `network`. Prints the agent's
 * report about the directive.
 */
const MAIN = new URL("../../../../../agent/main.ts", import.meta.url).pathname;

const edge = await startEdge();
const directory = temporaryDirectory();
const user = { user: "ada", password: "s3cret", ports: [edge.port] };
const proxy = await startForwardProxy(join(directory, "proxy"), user);
const config = join(directory, "agent.json");
writeFileSync(config, JSON.stringify({ proxy: `http://ada:s3cret@127.0.0.1:${proxy.port}` }), {
  mode: 0o600,
});
const words = ["--config", config, "--state", join(directory, "state")];
const spawn = (args: readonly string[]) =>
  Bun.spawn([process.execPath, MAIN, ...args, ...words], { stdout: "ignore", stderr: "inherit" });

const enrolled = spawn(["enroll", "--url", edge.url, "--token", TOKEN, "--employee", "ada"]);
if ((await enrolled.exited) !== 0) throw new Error("not enrolled");
edge.directive = await edge.direct({ tenant: TENANT, asset: ASSET, generation: 1, mode: "network" });
const daemon = spawn(["run", "--interval", "200"]);
const report = () => edge.taken.at(-1)?.containment;
await until("the agent reports", () => report()?.generation === 1 && report()?.outcome !== "none");
console.log(JSON.stringify({ ...report(), port: proxy.port }));
daemon.kill("SIGTERM");
await daemon.exited;
await edge.stop();
await proxy.stop();
removeTemporaryDirectories();
