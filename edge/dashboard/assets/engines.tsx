import type { Client, Engine, Evidence, HeldModel, Store } from "../../../shared/wire/heartbeat.ts";
import { Meter } from "../charts/bar-charts.tsx";
import { Badge, plural } from "../components/badges.tsx";
import { Empty } from "../components/layout.tsx";
import { Ago } from "../components/time.tsx";

const isLoopback = (address: string): boolean => /^(127\.|\[?::1\]?$|::ffff:127\.|localhost$)/i.test(address);

/** Whether the engine listens on an address that other hosts can reach. */
export const isExposed = (engine: Pick<Engine, "bind">): boolean => engine.bind.some((at) => !isLoopback(at));

const KIND: Partial<Record<Engine["kind"], string>> = {
  ui: "user interface",
  rag: "RAG",
  mcp: "MCP server",
  "ai-app": "AI application",
  weights: "weights in memory",
};
export const kindName = (kind: string): string => KIND[kind as Engine["kind"]] ?? kind.replaceAll("-", " ");

export const Engines = ({ engines, now }: { engines: readonly Engine[]; now: number }) =>
  engines.length === 0 ? (
    <Empty title="No AI engine found">The sources that the agent could read show no AI engine.</Empty>
  ) : (
    <div class="engines">
      {engines.map((engine) => (
        <EngineCard engine={engine} now={now} />
      ))}
    </div>
  );

const EngineCard = ({ engine, now }: { engine: Engine; now: number }) => (
  <article class="engine" data-key={`${engine.id}-${engine.pid}`}>
    <div class="engine-head">
      <h3>
        <bdi>{engine.name}</bdi>
        {engine.version && (
          <span class="muted">
            {" "}
            <bdi>{engine.version}</bdi>
          </span>
        )}
      </h3>
      <span class="muted">{kindName(engine.kind)}</span>
      <Meter value={engine.confidence} label="confidence" />
    </div>
    <Warnings engine={engine} />
    <Facts engine={engine} now={now} />
    {engine.models.length > 0 && <Models models={engine.models} />}
    {engine.clients.length > 0 && <Clients clients={engine.clients} />}
    <EvidenceTable evidence={engine.evidence} />
  </article>
);

const Warnings = ({ engine }: { engine: Engine }) => (
  <p class="badges">
    {engine.ports.length === 0 ? (
      <Badge tone="quiet" icon="info">
        No port
      </Badge>
    ) : isExposed(engine) ? (
      <Badge tone="critical" icon="critical">
        Exposed beyond loopback
      </Badge>
    ) : (
      <Badge tone="quiet" icon="ok">
        Loopback only
      </Badge>
    )}
    {engine.auth === "open" && (
      <Badge tone="warning" icon="warning">
        No credential required
      </Badge>
    )}
    {engine.auth === "required" && (
      <Badge tone="quiet" icon="ok">
        Credential required
      </Badge>
    )}
    {engine.renamed && (
      <Badge tone="warning" icon="warning">
        Renamed executable
      </Badge>
    )}
  </p>
);

const Facts = ({ engine, now }: { engine: Engine; now: number }) => (
  <dl class="facts">
    <Fact name="Process">
      {engine.pid === undefined ? "not readable" : String(engine.pid)}
      {engine.user && (
        <>
          {" by "}
          <bdi>{engine.user}</bdi>
        </>
      )}
      {engine.processStartedAt && (
        <>
          , started <Ago at={engine.processStartedAt} now={now} />
        </>
      )}
    </Fact>
    {engine.bind.length > 0 && (
      <Fact name="Listens on">
        <bdi class="mono">{engine.bind.join(", ")}</bdi>, port {engine.ports.join(", ")}
      </Fact>
    )}
    {engine.executable && (
      <Fact name="Executable">
        <bdi class="mono">{engine.executable}</bdi>
      </Fact>
    )}
    {engine.executableSha256 && (
      <Fact name="SHA-256">
        <code title={engine.executableSha256}>{engine.executableSha256.slice(0, 16)}…</code>
      </Fact>
    )}
    {engine.package && (
      <Fact name="Package">
        <bdi class="mono">{engine.package}</bdi>
      </Fact>
    )}
    {engine.signer && (
      <Fact name="Signed by">
        <bdi>{engine.signer}</bdi>
      </Fact>
    )}
    {engine.parents.length > 0 && (
      <Fact name="Started by">
        <bdi class="mono">{engine.parents.join(" ← ")}</bdi>
      </Fact>
    )}
    {engine.container && (
      <Fact name="Container">
        <bdi class="mono">{engine.container}</bdi>
      </Fact>
    )}
  </dl>
);

const Fact = ({ name, children }: { name: string; children: unknown }) => (
  <div>
    <dt>{name}</dt>
    <dd>{children as string}</dd>
  </div>
);

export const gigabytes = (bytes: number): string =>
  bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.max(1, Math.round(bytes / 1e6))} MB`;

/** Lists models on disk, grouped by application. */
export const Stores = ({ stores }: { stores: readonly Store[] }) => (
  <div class="engines">
    {stores.map((store) => (
      <article class="engine" data-key={store.id}>
        <h3>
          <bdi>{store.name}</bdi>
        </h3>
        <Models models={store.models} />
      </article>
    ))}
  </div>
);

const Models = ({ models }: { models: readonly HeldModel[] }) => (
  <div>
    <h4>{plural(models.length, "model")}</h4>
    <ul class="models">
      {models.map((model) => (
        <li data-key={model.name}>
          <bdi class="mono strong">{model.name}</bdi>
          <span class="muted small">
            {model.loaded ? "in memory" : "on disk"}
            {[model.parameters, model.quantisation, model.architecture, model.format]
              .filter((part): part is string => part !== undefined)
              .map((part) => (
                <>
                  {" · "}
                  <bdi>{part}</bdi>
                </>
              ))}
            {model.sizeBytes !== undefined && ` · ${gigabytes(model.sizeBytes)}`}
            {model.licence && (
              <>
                {" · licence "}
                <bdi>{model.licence}</bdi>
              </>
            )}
            {model.publisher && (
              <>
                {" · from "}
                <bdi>{model.publisher}</bdi>
              </>
            )}
          </span>
        </li>
      ))}
    </ul>
  </div>
);

const Clients = ({ clients }: { clients: readonly Client[] }) => (
  <div>
    <h4>{plural(clients.length, "client")} connected</h4>
    <ul class="models">
      {clients.map((client) => (
        <li>
          <bdi class="mono strong">{client.name ?? client.remote ?? "unknown process"}</bdi>
          <span class="muted small">
            {client.remote !== undefined && client.name === undefined ? "on another host" : "on this host"}
            {client.pid !== undefined && ` · process ${client.pid}`}
            {` · ${plural(client.connections, "connection")}`}
            {client.executable && (
              <>
                {" · "}
                <bdi>{client.executable}</bdi>
              </>
            )}
            {client.directory && (
              <>
                {" · in "}
                <bdi>{client.directory}</bdi>
              </>
            )}
          </span>
        </li>
      ))}
    </ul>
  </div>
);

const SIGNAL: Record<Evidence["signal"], string> = {
  http: "HTTP response",
  weights: "Model weights in memory",
  library: "Engine library in memory",
  gpu: "GPU use",
  binary: "Program file and path",
  "openai-shape": "OpenAI-compatible API",
  name: "Process name",
  port: "Port number",
};

/**
 * Lists the evidence for an engine, with the weight of each entry. The confidence is the sum of the weights,
 * at most 100.
 */
const EvidenceTable = ({ evidence }: { evidence: readonly Evidence[] }) => (
  <details open>
    <summary>Evidence: {plural(evidence.length, "piece")}</summary>
    <table class="evidence">
      <thead>
        <tr>
          <th scope="col">Signal</th>
          <th scope="col">Observed</th>
          <th scope="col" class="number">
            Weight
          </th>
        </tr>
      </thead>
      <tbody>
        {evidence.map((piece) => (
          <tr>
            <td>{SIGNAL[piece.signal]}</td>
            <td>
              <bdi>{piece.detail}</bdi>
            </td>
            <td class="number">{piece.weight > 0 ? `+${piece.weight}` : "0"}</td>
          </tr>
        ))}
      </tbody>
    </table>
  </details>
);
