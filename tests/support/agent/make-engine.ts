import type { Engine } from "../../../shared/wire/heartbeat.ts";

/** An engine as reported by the agent: Ollama on loopback. `members` replaces members of this default. */
export const makeEngine = (members: Partial<Engine> = {}): Engine => ({
  ...{ id: "ollama", name: "Ollama", kind: "inference-engine", confidence: 95, parents: [] },
  ...{ ports: [11434], bind: ["127.0.0.1"], auth: "open", renamed: false },
  evidence: [{ signal: "http", detail: "GET / answered as Ollama", weight: 95 }],
  ...{ models: [], clients: [] },
  ...members,
});
