import { canonicalJson } from "../encoding/canonical-json.ts";
import type { Client, Engine, Heartbeat, Store } from "./heartbeat.ts";

/**
 * Heartbeat members that describe the host: all members except the sequence number, the times and the spool
 * counts.
 */
export type HostState = Pick<
  Heartbeat,
  "agent" | "host" | "engines" | "stores" | "collectors" | "containment"
>;

/**
 * Canonical text of an asset's state. A difference in this text is a change of state, which is stored. The
 * text excludes details that vary without meaning: order, connection counts, process ids of clients, and the
 * wording of evidence and collectors, which contains counts. An idle host therefore stays in one state for
 * hours.
 *
 * The agent uses this text to determine when the state started. The worker uses it to detect an agent that
 * reports a wrong start.
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
