/*
 * Starts twelve engines and scans the host with the agent binary at the path in the first argument. Prints
 * one JSON object. Run this program in its own namespaces, so that the agent sees only these processes and
 * listeners.
 */
import type { ScanResult } from "../../../agent/scan/scan.ts";
import { faultsOf, startDozen } from "./twelve-engines.ts";

/**
 * Maximum number of scans. On a busy machine, a server can respond after the timeout. The agent then reports
 * a partial scan, and the next scan tries again.
 */
const SCANS_MAX = 8;

Bun.spawnSync(["ip", "link", "set", "lo", "up"], { stderr: "ignore" });
const { engines, ordinary, stop } = await startDozen();
const scans: { code: number; stdout: string; stderr: string }[] = [];
for (let count = 0; count < SCANS_MAX; count += 1) {
  const scan = Bun.spawn([process.argv[2]!, "scan", "--json"], { stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr, code] = await Promise.all([
    new Response(scan.stdout).text(),
    new Response(scan.stderr).text(),
    scan.exited,
  ]);
  scans.push({ code, stdout, stderr });
  // Exit code 4: the scan was partial, so the next scan can find more.
  if (code !== 0 && code !== 4) break;
  if (code === 0 && faultsOf((JSON.parse(stdout) as ScanResult).engines, engines).length === 0) break;
}
stop();
console.log(JSON.stringify({ scans, engines, ordinary }));
process.exit(0);
