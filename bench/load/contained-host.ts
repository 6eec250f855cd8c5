import type { Scope } from "../harness/scope.ts";

/** The simulated host of the agent. */
export type ContainedHost = {
  /** Prefix that runs a command on that host. */
  enter: readonly string[];
  /** Address of this machine's edge as seen from that host. */
  edgeAddress: string;
  /** Whether containment can block that host's network without blocking this machine's. */
  isReal: boolean;
};

/** A different network for each bench, so that two benches can run at the same time. */
const NET = `10.79.${process.pid % 256}`;
const EDGE_ADDRESS = `${NET}.1`;
const HOST_ADDRESS = `${NET}.2`;

/**
 * Makes a network namespace with one link to this machine, and removes it with the scope. Without root or
 * Linux, it returns this machine.
 */
export async function makeHost(scope: Scope): Promise<ContainedHost> {
  const isAble =
    process.platform === "linux" && process.getuid?.() === 0 && Bun.which("ip") && Bun.which("nft");
  if (!isAble) return { enter: [], edgeAddress: "127.0.0.1", isReal: false };
  const name = `lzb${process.pid % 100_000}`;
  const run = (line: string): boolean => Bun.spawnSync(line.split(" "), { stderr: "inherit" }).success;
  scope.keep(() => run(`ip netns del ${name}`));
  const commands = [
    `ip netns add ${name}`,
    `ip link add ${name}a type veth peer name ${name}b netns ${name}`,
    `ip addr add ${EDGE_ADDRESS}/30 dev ${name}a`,
    `ip link set ${name}a up`,
    `ip -n ${name} addr add ${HOST_ADDRESS}/30 dev ${name}b`,
    `ip -n ${name} link set ${name}b up`,
    `ip -n ${name} link set lo up`,
    `ip -n ${name} route add default via ${EDGE_ADDRESS}`,
  ];
  for (const command of commands) if (!run(command)) throw new Error(`${command} failed`);
  return { enter: ["ip", "netns", "exec", name], edgeAddress: EDGE_ADDRESS, isReal: true };
}
