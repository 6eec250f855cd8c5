import { canonicalJson } from "../encoding/canonical-json.ts";
import type { Client, Engine, Heartbeat, Store } from "./heartbeat.ts";

/** What a heartbeat says of the host: everything in it but its own number, times and the spool. */
export type HostState = Pick<
  Heartbeat,
  "agent" | "host" | "engines" | "stores" | "collectors" | "containment"
>;

/**
 * What of a heartbeat is the asset's state: a difference in this text is a change that is told and kept. Left
 * out is what moves without meaning: order, connection counts, which of a client's processes it is, and the
 * wording of evidence and collectors, which carries counts. An idle host stays one state for hours.
 *
 * Agent and worker both use it, the one to date the state, the other to find out an agent that does not.
 */
export function stateText({ agent, host, engines, stores, collectors, containment }: HostState): string {
  return canonicalJson({
    agent,
    host,
    containment,
    engines: engines.map(engineText).sort(),
    ...(stores && { stores: stores.map(storeText).sort() }),
    collectors: collectors.map(({ name, status }) => `${name} ${status}`).sort(),
  });
}

function engineText(engine: Engine): string {
  return canonicalJson({
    ...engine,
    ports: engine.ports.toSorted((a, b) => a - b),
    bind: engine.bind.toSorted(),
    models: modelTexts(engine),
    evidence: engine.evidence.map(({ signal, weight }) => `${signal} ${weight}`).sort(),
    clients: [...new Set(engine.clients.map(clientText))].sort(),
  });
}

const storeText = (store: Store): string => canonicalJson({ ...store, models: modelTexts(store) });

const modelTexts = ({ models }: { models: readonly object[] }): string[] => models.map(canonicalJson).sort();

const clientText = ({ name, executable, directory, remote }: Client): string =>
  canonicalJson({ name, executable, directory, remote });
