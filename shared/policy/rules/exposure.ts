import type { Engine } from "../../wire/heartbeat.ts";
import { type EngineRule, grown, isInDoubt, listed, processOf, whenAny } from "../rule.ts";

const LOOPBACK = /^(127\.|::1$|::ffff:127\.)/;
/**
 * Listening addresses other than loopback. Empty for a process that may not be an engine, because a backup
 * program or notebook listens for other reasons.
 */
const exposedAddresses = (engine: Engine): string[] =>
  isInDoubt(engine) ? [] : engine.bind.filter((address) => !LOOPBACK.test(address));
const remotes = (engine: Engine): string[] =>
  (isInDoubt(engine) ? [] : engine.clients).flatMap(({ remote }) =>
    remote !== undefined && !LOOPBACK.test(remote) ? [remote] : [],
  );

/** Minimum number of other hosts that use an engine before it counts as a service. */
const SERVED_HOSTS_MIN = 3;

/** Rules on the hosts that can reach an engine, and on its use from other hosts. */
export const EXPOSURE: readonly EngineRule[] = [
  {
    id: "exposed-engine",
    about: "engine",
    title: "AI engine open to the network",
    atlas: "AML.T0132",
    points: 75,
    pointsMax: 80,
    remediation: "Bind the engine to 127.0.0.1, or put it behind a proxy that requires a credential.",
    applies: (engine, { policy }) => {
      const addresses = exposedAddresses(engine);
      if (policy.exposure === "any" || engine.auth === "required" || addresses.length === 0) return undefined;
      const where = `${engine.name} listens on ${listed(addresses)} (${processOf(engine)})`;
      // Access without a credential is worse than unknown authentication.
      return engine.auth === "open"
        ? { explanation: `${where} and requires no credential.`, points: 80 }
        : { explanation: `${where}. Whether it requires a credential is unknown.`, points: 75 };
    },
  },
  {
    id: "exposed-behind-credential",
    about: "engine",
    title: "AI engine reachable from the network",
    atlas: "AML.T0132",
    points: 35,
    remediation: "Bind the engine to 127.0.0.1, unless other hosts are supposed to use it.",
    applies: (engine, { policy }) =>
      policy.exposure !== "loopback" || engine.auth !== "required"
        ? undefined
        : whenAny(
            exposedAddresses(engine),
            (addresses) =>
              `${engine.name} listens on ${addresses} (${processOf(engine)}) and requires a credential.`,
          ),
  },
  {
    id: "unauthenticated-engine",
    about: "engine",
    title: "AI engine without authentication",
    atlas: "AML.T0040",
    points: 30,
    remediation:
      "Configure an API key. Without one, every program and web page on this host can use the engine.",
    applies: (engine, { policy }) =>
      policy.requireAuthentication && engine.auth === "open" && exposedAddresses(engine).length === 0
        ? `${engine.name} (${processOf(engine)}) accepts requests from any local program without a credential.`
        : undefined,
  },
  {
    id: "remote-client",
    about: "engine",
    title: "Another host uses the AI engine",
    atlas: "AML.T0040",
    points: 60,
    pointsMax: 68,
    remediation:
      "Find out who uses the other host. If the engine should not serve other hosts, block network access to it.",
    applies: (engine, { policy }) => {
      const hosts = [...new Set(remotes(engine))];
      return policy.exposure === "loopback" && hosts.length > 0
        ? {
            explanation: `${engine.name} (${processOf(engine)}) is used from ${listed(hosts)}.`,
            points: grown(60, 4, hosts.length),
          }
        : undefined;
    },
  },
  {
    id: "serves-many-hosts",
    about: "engine",
    title: "AI engine serves several hosts",
    atlas: "AML.T0047",
    points: 70,
    pointsMax: 85,
    remediation:
      "The engine acts as a shared service. Move it to a managed server, or block network access to it.",
    applies: (engine, { policy }) => {
      const hosts = [...new Set(remotes(engine))];
      return policy.exposure !== "any" && hosts.length >= SERVED_HOSTS_MIN
        ? {
            explanation: `${engine.name} (${processOf(engine)}) serves ${hosts.length} other hosts: ${listed(hosts)}.`,
            points: grown(70, 5, hosts.length, SERVED_HOSTS_MIN),
          }
        : undefined;
    },
  },
];
