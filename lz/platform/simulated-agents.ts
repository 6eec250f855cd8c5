import { base64url, fromBase64url, utf8 } from "../../shared/encoding/bytes.ts";
import { timestamp } from "../../shared/time/clock.ts";
import {
  type EnrolmentAnswer,
  enrolmentAnswer,
  type SessionAnswer,
  sessionAnswer,
} from "../../shared/wire/enrolment.ts";
import type { ContainmentReport, Engine, Heartbeat } from "../../shared/wire/heartbeat.ts";
import { deviceKeyid } from "../../shared/wire/keyid.ts";
import { signReport } from "../../shared/wire/report-signature.ts";
import { importHmacKey, type Signer, signRequest } from "../../shared/wire/signature.ts";

/** Simulated assets. They use the wire protocol of the agent, but scan no host. */

export type Send = (request: Request) => Promise<Response>;

export type Device = {
  x: string;
  signer: (keyid: string) => Signer;
  /** Signs a containment report. Before the first directive, reports are sent without a signature. */
  sign: (who: { tenantId: string; assetId: string }, report: ContainmentReport) => Promise<ContainmentReport>;
};

export async function makeDevice(): Promise<Device> {
  const pair = (await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"])) as CryptoKeyPair;
  const x = base64url(new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey)));
  return {
    x,
    signer: (keyid) => ({ keyid, algorithm: "ed25519", key: pair.privateKey }),
    sign: async (who, report) =>
      report.generation === 0 ? report : signReport(pair.privateKey, who, report),
  };
}

/**
 * Creates a signed POST request. `createdSeconds` is the time of the signature. Tests can pass a time other
 * than the current one.
 */
export async function signedRequest(
  edgeUrl: string,
  path: string,
  body: string,
  signer: Signer,
  createdSeconds: number = Math.floor(Date.now() / 1000),
): Promise<Request> {
  const bytes = utf8(body);
  const signature = await signRequest(signer, { method: "POST", path, body: bytes }, createdSeconds);
  return new Request(`${edgeUrl}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...signature },
    body: bytes,
  });
}

export type SimulatedHost = { hostname: string; employeeId: string };

export async function enrolDevice(
  send: Send,
  edgeUrl: string,
  token: string,
  device: Device,
  host: SimulatedHost,
): Promise<EnrolmentAnswer> {
  const body = JSON.stringify({
    token,
    deviceKey: device.x,
    employeeId: host.employeeId,
    host: { hostname: host.hostname, os: "Linux (simulated)", arch: "x64", agentVersion: "0.1.0" },
  });
  const answer = await send(await signedRequest(edgeUrl, "/v1/enroll", body, device.signer(device.x)));
  if (answer.status !== 201)
    throw new Error(`the enrolment was rejected with ${answer.status}: ${await answer.text()}`);
  return enrolmentAnswer.parse(await answer.json());
}

export async function openSession(
  send: Send,
  edgeUrl: string,
  device: Device,
  who: { tenantId: string; assetId: string },
): Promise<SessionAnswer> {
  const body = JSON.stringify({ agentVersion: "0.1.0" });
  const signer = device.signer(deviceKeyid(who.tenantId, who.assetId));
  const answer = await send(await signedRequest(edgeUrl, "/v1/session", body, signer));
  if (answer.status !== 200)
    throw new Error(`the session was rejected with ${answer.status}: ${await answer.text()}`);
  return sessionAnswer.parse(await answer.json());
}

export async function sessionSigner(session: Pick<SessionAnswer, "keyid" | "key">): Promise<Signer> {
  const key = await importHmacKey(fromBase64url(session.key)!, ["sign"]);
  return { keyid: session.keyid, algorithm: "hmac-sha256", key };
}

export const NO_CONTAINMENT: ContainmentReport = {
  generation: 0,
  action: "none",
  mode: "observe",
  outcome: "none",
  at: "2026-01-01T00:00:00.000Z",
};

/** Creates a complete heartbeat. `more` replaces members. */
export function makeHeartbeat(
  sequence: number,
  sentAtMs: number,
  hostname: string,
  more: Partial<Heartbeat> = {},
): Heartbeat {
  const sentAt = timestamp(sentAtMs);
  return {
    v: 1,
    sequence,
    sentAt,
    stateSince: sentAt,
    agent: { version: "0.1.0", catalogue: "simulated", intervalMs: 5000 },
    host: { hostname, os: "Linux (simulated)", arch: "x64" },
    engines: [],
    collectors: [
      { name: "processes", status: "ok" },
      { name: "listeners", status: "ok" },
      { name: "weights", status: "ok" },
    ],
    containment: NO_CONTAINMENT,
    spool: { waiting: 0, dropped: 0 },
    ...more,
  };
}

/** Creates an Ollama engine as the agent would report it. `more` replaces members. */
export function makeEngine(more: Partial<Engine> = {}): Engine {
  return {
    id: "ollama",
    name: "Ollama",
    kind: "inference-engine",
    confidence: 98,
    version: "0.30.6",
    pid: 4242,
    executable: "/usr/local/bin/ollama",
    renamed: false,
    user: "dana",
    parents: ["systemd"],
    ports: [11434],
    bind: ["127.0.0.1"],
    auth: "open",
    models: [
      { name: "llama3.2:3b", loaded: true, format: "gguf", quantisation: "Q4_K_M", parameters: "3.2B" },
    ],
    evidence: [
      { signal: "http", detail: "GET /api/version answered like Ollama", weight: 70 },
      { signal: "name", detail: "executable is called ollama", weight: 10 },
    ],
    clients: [{ name: "code", pid: 9001, connections: 1 }],
    ...more,
  };
}
