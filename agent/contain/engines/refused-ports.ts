import type { Endpoint, Firewall } from "../network/firewall.ts";

export type RefusedPortsDeps = {
  firewall: Pick<Firewall, "refusePorts" | "altered">;
  refusesItself: boolean;
  connect: (endpoint: Endpoint) => Promise<boolean>;
};

/** The engine ports on which the firewall refuses connections. */
export class RefusedPorts {
  readonly #deps: RefusedPortsDeps;
  /** Sorted ports, comma-separated. Undefined if it is unknown which rules are in force. */
  #inForce: string | undefined;

  constructor(deps: RefusedPortsDeps) {
    this.#deps = deps;
  }

  isInForce(): boolean {
    return this.#inForce !== undefined;
  }

  forget(): void {
    this.#inForce = undefined;
  }

  /**
   * Sends the rules if the ports have changed, or if the rules in force differ from the rules that were sent
   * last.
   */
  async refuse(wanted: readonly number[]): Promise<{ fault?: string; repaired?: string }> {
    const { firewall } = this.#deps;
    const ports = [...new Set(wanted)].sort((a, b) => a - b).join(",");
    const altered = await firewall.altered();
    if (ports === this.#inForce && altered === undefined) return {};
    const isTampered = this.#inForce !== undefined && altered !== undefined;
    const repaired = isTampered && { repaired: `the rules for engine ports were modified (${altered})` };
    this.#inForce = undefined;
    const fault = await firewall.refusePorts(wanted);
    if (fault)
      return {
        fault: `the engines are stopped, but connections to their ports could not be blocked: ${fault}`,
        ...repaired,
      };
    this.#inForce = ports;
    return { ...repaired };
  }

  /**
   * Ports that accept a connection. Some firewalls do not refuse connections from this host to itself, so a
   * connection attempt proves nothing. On such hosts, the rules in force are the proof.
   */
  async openAmong(endpoints: readonly Endpoint[]): Promise<number[]> {
    const { refusesItself, connect } = this.#deps;
    if (!refusesItself) return this.isInForce() ? [] : endpoints.map(({ port }) => port);
    const tries = endpoints.map(async ({ address, port }) => {
      const isOpen = await connect({ address: reachableAddress(address), port });
      return isOpen ? [port] : [];
    });
    return [...new Set((await Promise.all(tries)).flat())];
  }
}

/** The IPv6 wildcard address in the notation of `StopDeps.listening` on Linux. */
const ANY6 = "0000:0000:0000:0000:0000:0000:0000:0000";

/** The address to connect to for a listener on a wildcard address. */
const reachableAddress = (address: string): string =>
  ({ "0.0.0.0": "127.0.0.1", "::": "::1", "*": "127.0.0.1", [ANY6]: "::1" })[address] ?? address;
