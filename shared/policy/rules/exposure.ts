import type { Engine } from "../../wire/heartbeat.ts";
import { at, type EngineRule, grown, isInDoubt, listed, whenAny } from "../rule.ts";

const LOOPBACK = /^(127\.|::1$|::ffff:127\.)/;
/** Of an engine: a backup or a notebook listens for other reasons. */
const exposedAddresses = (engine: Engine): string[] =>
  isInDoubt(engine) ? [] : engine.bind.filter((address) => !LOOPBACK.test(address));
const remotes = (engine: Engine): string[] =>
  (isInDoubt(engine) ? [] : engine.clients).flatMap(({ remote }) =>
    remote !== undefined && !LOOPBACK.test(remote) ? [remote] : [],
  );

/** From this many other hosts on an engine is a service, whoever meant it to be one. */
const SERVED_HOSTS_MIN = 3;

/** Who can reach an engine, and who does. */
export const EXPOSURE: readonly EngineRule[] = [
  {
    id: "exposed-engine",
    about: "engine",
    title: "AI engine open to the network",
    atlas: "AML.T0132",
    points: 75,
    pointsMax: 80,
    remediation: "Bind it to 127.0.0.1, or put it behind a proxy that asks for a credential.",
    applies: (engine, { policy }) => {
      const addresses = exposedAddresses(engine);
      if (policy.exposure === "any" || engine.auth === "required" || addresses.length === 0) return undefined;
      const where = `${engine.name} listens on ${listed(addresses)} (${at(engine)})`;
      // Answered without one is worse than not known to ask for one.
      return engine.auth === "open"
        ? { says: `${where} and asks for no credential.`, points: 80 }
        : { says: `${where} and is not known to ask for a credential.`, points: 75 };
    },
  },
  {
    id: "exposed-behind-credential",
    about: "engine",
    title: "AI engine reachable from the network",
    atlas: "AML.T0132",
    points: 35,
    remediation: "Bind it to 127.0.0.1 unless others are meant to use it.",
    applies: (engine, { policy }) =>
      policy.exposure !== "loopback" || engine.auth !== "required"
        ? undefined
        : whenAny(
            exposedAddresses(engine),
            (addresses) =>
              `${engine.name} listens on ${addresses} (${at(engine)}) and asks for a credential.`,
          ),
  },
  {
    id: "unauthenticated-engine",
    about: "engine",
    title: "AI engine without authentication",
    atlas: "AML.T0040",
    points: 30,
    remediation: "Configure an API key: any program and any web page of this host can use it as it is.",
    applies: (engine, { policy }) =>
      policy.requireAuthentication && engine.auth === "open" && exposedAddresses(engine).length === 0
        ? `${engine.name} (${at(engine)}) answers any local program without a credential.`
        : undefined,
  },
  {
    id: "remote-client",
    about: "engine",
    title: "Another host uses the AI engine",
    atlas: "AML.T0040",
    points: 60,
    pointsMax: 68,
    remediation: "Ask whose host that is; close the engine to the network if it was not meant to serve it.",
    applies: (engine, { policy }) => {
      const hosts = [...new Set(remotes(engine))];
      return policy.exposure === "loopback" && hosts.length > 0
        ? {
            says: `${engine.name} (${at(engine)}) is in use from ${listed(hosts)}.`,
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
      "A service nobody runs as one: move it to a server with an owner, or close it to the network.",
    applies: (engine, { policy }) => {
      const hosts = [...new Set(remotes(engine))];
      return policy.exposure !== "any" && hosts.length >= SERVED_HOSTS_MIN
        ? {
            says: `${engine.name} (${at(engine)}) serves ${hosts.length} other hosts: ${listed(hosts)}.`,
            points: grown(70, 5, hosts.length, SERVED_HOSTS_MIN),
          }
        : undefined;
    },
  },
];
