import type { Scope } from "../harness/scope.ts";

/** A simulated host on which the agent runs. */
export type ContainedHost = {
  /** Prefix for commands that run on the simulated host. */
  enter: readonly string[];
  /** Address of this machine's edge as seen from the simulated host. */
  edgeAddress: string;
  /** Whether containment can block the network of the simulated host without blocking the network of this machine. */
  isReal: boolean;
};

/** Network address prefix. The prefix differs between processes, so that two benches can run at the same time. */
const NET = `10.79.${process.pid % 256}`;
const EDGE_ADDRESS = `${NET}.1`;
const HOST_ADDRESS = `${NET}.2`;

/**
 * Creates a network namespace with one link to this machine. The namespace is removed when the scope ends.
 * Without root or outside Linux, returns this machine.
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
