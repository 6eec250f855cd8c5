import { custodyExport, inOrder, verifyExport } from "../../lz/custody/custody-export.ts";
import { createApi } from "../../lz/platform/api.ts";
import { enrolDevice, makeDevice, signedRequest } from "../../lz/platform/simulated-agents.ts";

/*
 * Sends concurrent requests of one tenant, distributed over several nodes. Each request is one transaction on
 * a shared item, which is the enrolment token or the head of the custody log.
 */

/**
 * Number of responses by kind. A kind is a status such as `201`, or a status with an error code such as `409
 * enrolment.used-up`.
 */
export type Answers = Record<string, number>;

async function count(answers: readonly Promise<Response>[]): Promise<Answers> {
  const counts: Answers = {};
  for (const answer of await Promise.all(answers)) {
    const body = (await answer.json().catch(() => ({}))) as { code?: string };
    const name = answer.ok ? String(answer.status) : `${answer.status} ${body.code ?? ""}`.trimEnd();
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

const nodeOf = (nodes: readonly string[], index: number): string => nodes[index % nodes.length]!;

/**
 * Enrols `hosts` new devices at the same time, all with the same token. All requests are signed before the
 * first request is sent.
 */
export async function enrolHerd(nodes: readonly string[], token: string, hosts: number): Promise<Answers> {
  const requests: Request[] = [];
  for (let index = 0; index < hosts; index++) {
    const device = await makeDevice();
    const host = { hostname: `herd-${index}`, os: "Linux (simulated)", arch: "x64", agentVersion: "0.1.0" };
    const body = JSON.stringify({ token, deviceKey: device.x, employeeId: `herd-${index % 50}`, host });
    requests.push(await signedRequest(nodeOf(nodes, index), "/v1/enroll", body, device.signer(device.x)));
  }
  return count(requests.map((request) => fetch(request)));
}

/** Enrols assets one after the other. The ids of these assets are used for later changes. */
export async function enrolAssets(edgeUrl: string, token: string, assets: number): Promise<string[]> {
  const ids: string[] = [];
  for (let index = 0; index < assets; index++) {
    const host = { hostname: `asset-${index}`, employeeId: "dana" };
    ids.push((await enrolDevice(fetch, edgeUrl, token, await makeDevice(), host)).assetId);
  }
  return ids;
}

type Change = { path: string; method: string; body: object; match?: string };

export type Herd = { nodes: readonly string[]; adminToken: string; assetIds: readonly string[] };

/**
 * Sends `changes` concurrent changes of different resources. The first changes are one isolation in mode
 * `observe` for each asset. The remaining changes create API keys and enrolment tokens alternately. The
 * control plane has no reason to reject any of these changes.
 */
export function changeHerd(herd: Herd, changes: number): Promise<Answers> {
  const list = Array.from({ length: changes }, (_, index): Change => {
    const assetId = herd.assetIds[index];
    if (assetId !== undefined) {
      const body = { mode: "observe", justification: "herd" };
      return { method: "POST", path: `/v1/assets/${assetId}/isolate`, body };
    }
    return index % 2 === 0
      ? { method: "POST", path: "/v1/api-keys", body: { name: `herd ${index}`, role: "viewer", days: 1 } }
      : { method: "POST", path: "/v1/enrolment-tokens", body: { uses: 1 } };
  });
  return send(herd, list);
}

/**
 * Sends `changes` concurrent requests that replace the same version of the policy. Only one of the requests
 * may succeed.
 */
export async function policyHerd(herd: Herd, changes: number): Promise<Answers> {
  const headers = { authorization: `Bearer ${herd.adminToken}` };
  const read = await fetch(`${herd.nodes[0]}/v1/policy`, { headers });
  const policy = (await read.json()) as object;
  const match = read.headers.get("etag")!;
  return send(
    herd,
    Array.from({ length: changes }, (_, index) => {
      const body = { ...policy, approvedModels: [`herd-${index}`] };
      return { method: "PUT", path: "/v1/policy", body, match };
    }),
  );
}

function send({ nodes, adminToken }: Herd, changes: readonly Change[]): Promise<Answers> {
  return count(
    changes.map(({ path, method, body, match }, index) =>
      fetch(`${nodeOf(nodes, index)}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${adminToken}`,
          "content-type": "application/json",
          "idempotency-key": crypto.randomUUID(),
          ...(match !== undefined && { "if-match": match }),
        },
        body: JSON.stringify(body),
      }),
    ),
  );
}

/** Reads the complete custody log and verifies it. `fault` is undefined for a valid log. */
export async function verifyLog(edgeUrl: string, adminToken: string) {
  const api = createApi({ url: edgeUrl, token: adminToken }, { fetch });
  const exported = inOrder(await api.getWhole("/v1/custody", custodyExport));
  const { fault } = await verifyExport(exported, {});
  return { records: exported.records.length, count: exported.head?.count ?? 0, fault };
}
