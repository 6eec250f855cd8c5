import { canonicalJson } from "../canonical-json.ts";
import type { Client, Heartbeat } from "./heartbeat.ts";

/**
 * What of a heartbeat is the asset's state: a difference in this text is a change that is told and kept. Left
 * out is what moves without meaning: sequence and times, the spool, connection counts, collectors' wording.
 * Agent and worker both use it, the one to date the state, the other to find out an agent that does not.
 */
export function stateText(
  heartbeat: Pick<Heartbeat, "agent" | "host" | "engines" | "collectors" | "containment">,
): string {
  const { agent, host, containment } = heartbeat;
  const engines = heartbeat.engines
    .map(({ clients, ...engine }) =>
      canonicalJson({ ...engine, clients: [...new Set(clients.map(clientText))].sort() }),
    )
    .sort();
  const collectors = heartbeat.collectors.map(({ name, status }) => `${name}:${status}`).sort();
  return canonicalJson({ agent, host, containment, engines, collectors });
}

/** A client is who it is, not which of its processes is at it now. */
const clientText = ({ name, executable, directory, remote }: Client): string =>
  canonicalJson({ name, executable, directory, remote });
