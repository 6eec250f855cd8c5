import type { Scope } from "../harness/scope.ts";

/** Where the agent of a bench lives. */
export type ContainedHost = {
  /** Put before a command, it runs there. */
  enter: readonly string[];
  /** At which the edge of this machine is reached from there. */
  edgeAddress: string;
  /** Whether the network there can be cut without cutting this machine's. */
  isReal: boolean;
};

/** A network of its own for each bench: two may run at once. */
const NET = `10.79.${process.pid % 256}`;
const EDGE_ADDRESS = `${NET}.1`;
const HOST_ADDRESS = `${NET}.2`;

/** A network namespace with one link to this machine, removed with the scope; without root or Linux this host. */
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
