import { makeEngine, makeHeartbeat } from "../../lz/platform/simulated-agents.ts";
import { timestamp } from "../../shared/time/clock.ts";
import type { Engine, Heartbeat } from "../../shared/wire/heartbeat.ts";
import { sessionKeyid } from "../../shared/wire/keyid.ts";
import { signatureBase } from "../../shared/wire/signature.ts";

/**
 * Secret of the tested edge, in the format `v1:<base64url>`. The bench derives session keys from this secret
 * and opens no sessions.
 */
export type EdgeSecret = { version: string; bytes: Buffer };

export function parseEdgeSecret(text: string): EdgeSecret {
  const [version, secret] = text.split(",")[0]!.split(":");
  return { version: version!, bytes: Buffer.from(secret!, "base64url") };
}

const SESSION_SECONDS = 3600;
const CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** A well-formed ULID that is derived from a number. */
export function assetIdOf(number: number): string {
  let rest = number;
  let tail = "";
  for (let i = 0; i < 10; i++) {
    tail = CROCKFORD[rest % 32] + tail;
    rest = Math.floor(rest / 32);
  }
  return `01BENCHBENCH0000${tail}`.replaceAll("L", "0").replaceAll("I", "1");
}

/** A simulated asset that signs synchronously. A thousand signatures take a few milliseconds. */
export type BenchAsset = {
  tenantId: string;
  assetId: string;
  hostname: string;
  keyid: string;
  key: Buffer;
  engines: Engine[];
  stateSince: string;
  sequence: number;
};

export function makeAsset(tenantId: string, number: number, secret: EdgeSecret, nowMs: number): BenchAsset {
  const assetId = assetIdOf(number);
  const expiresAtSeconds = Math.floor(nowMs / 1000) + SESSION_SECONDS;
  const keyid = sessionKeyid({ version: secret.version, tenantId, assetId, expiresAtSeconds });
  return {
    tenantId,
    assetId,
    hostname: `bench-${number}.example.com`,
    keyid,
    key: hmac(secret.bytes, keyid),
    engines: [benchEngine(number)],
    stateSince: timestamp(nowMs),
    sequence: 0,
  };
}

/**
 * Engine of a developer's workstation: Ollama with one model and two clients. A heartbeat with this engine is
 * about 1.5 KB.
 */
const benchEngine = (number: number): Engine =>
  makeEngine({
    pid: 1000 + (number % 60_000),
    processStartedAt: "2026-11-02T07:31:12.000Z",
    executableSha256: Bun.SHA256.hash(String(number), "hex"),
    clients: [
      { name: "code", pid: 9001, executable: "/usr/share/code/code", connections: 1 },
      { name: "python3", pid: 9105, executable: "/usr/bin/python3.13", connections: 2 },
    ],
  });

export function nextHeartbeat(asset: BenchAsset, sentAtMs: number): Heartbeat {
  return makeHeartbeat(++asset.sequence, sentAtMs, asset.hostname, {
    engines: asset.engines,
    stateSince: asset.stateSince,
    collectors: ["processes", "listeners", "fingerprints", "weights", "gpu", "models", "clients"].map(
      (name) => ({
        name,
        status: "ok",
      }),
    ),
  });
}

export const PATH = "/v1/heartbeats";

export const hmac = (key: Uint8Array, text: string): Buffer =>
  new Bun.CryptoHasher("sha256", key).update(text).digest();

/** Signature headers as an agent sends them, in the signature profile that the edge accepts. */
export function signatureHeaders(
  asset: Pick<BenchAsset, "key" | "keyid">,
  body: string,
  createdSeconds: number,
) {
  const digest = `sha-256=:${new Bun.CryptoHasher("sha256").update(body).digest("base64")}:`;
  const parameters = `("@method" "@path" "content-digest");created=${createdSeconds};keyid="${asset.keyid}";alg="hmac-sha256"`;
  const base = signatureBase({ method: "POST", path: PATH, digest }, parameters);
  return {
    "content-type": "application/json",
    "content-digest": digest,
    "signature-input": `lz=${parameters}`,
    signature: `lz=:${hmac(asset.key, base).toString("base64")}:`,
  };
}

/** A complete HTTP/1.1 request as bytes. */
export function requestBytes(asset: BenchAsset, body: string, createdSeconds: number, host: string): Buffer {
  const headers = Object.entries(signatureHeaders(asset, body, createdSeconds))
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("");
  return Buffer.from(
    `POST ${PATH} HTTP/1.1\r\nhost: ${host}\r\naccept: application/json\r\n${headers}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
