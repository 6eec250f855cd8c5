import { describe, expect, test } from "bun:test";
import { createFetch } from "../../../../edge/app.ts";
import { assemble } from "../../../../edge/composition-root.ts";
import { readConfig } from "../../../../edge/config.ts";
import { createReadiness } from "../../../../edge/http/readiness.ts";
import type { NodeRole } from "../../../../edge/platform/node-role.ts";
import { makeSecrets } from "../../../../local/secrets.ts";
import { CATALOGUE_PATH } from "../../../../shared/wire/catalog.ts";
import { readConfig as readWorkerConfig } from "../../../../worker/config.ts";
import { EDGE_URL, makeEdgeApp } from "../../../support/edge/edge-app.ts";
import { controlJwks, makeRoleKeys, roleEnvironments } from "../../../support/nodes/role-environment.ts";

const secrets = await makeSecrets();
const roleKeys = await makeRoleKeys();
const NOWHERE = "http://127.0.0.1:9";
const AWS = { AWS_REGION: "us-east-1", AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "b" };
const SQS_QUEUE_URL = `${NOWHERE}/0/q`;
const environments = roleEnvironments(
  secrets,
  roleKeys,
  EDGE_URL,
  { url: NOWHERE, jwksUrl: `${NOWHERE}/jwks` },
  { ...AWS, DYNAMODB_ENDPOINT: NOWHERE, SQS_QUEUE_URL },
);
const worker = {
  ...AWS,
  SQS_QUEUE_URL,
  SQS_DLQ_URL: SQS_QUEUE_URL,
  LZ_QUEUE_KEYS: secrets.queueKeys,
  LZ_CONTROL_JWKS: controlJwks(secrets),
};
const SECRETS = {
  LZ_EDGE_SECRETS: secrets.edgeSecrets,
  LZ_QUEUE_KEYS: secrets.queueKeys,
  LZ_CONTROL_KEY: JSON.stringify(secrets.controlKey),
  LZ_CONTROL_KEY_NEXT: JSON.stringify({ ...secrets.controlKey, kid: "control-2" }),
  LZ_ENROL_KEY: roleKeys.enrolKey,
  LZ_AI_API_KEY: "sk-model-endpoint",
};
type SecretName = keyof typeof SECRETS;

const complaintOf = (read: () => unknown): string => {
  try {
    read();
  } catch (error) {
    return (error as Error).message;
  }
  return "";
};

const SURPLUS: Record<"ingest" | "enrol" | "admin", SecretName[]> = {
  ingest: ["LZ_CONTROL_KEY", "LZ_CONTROL_KEY_NEXT", "LZ_ENROL_KEY", "LZ_AI_API_KEY"],
  enrol: ["LZ_EDGE_SECRETS", "LZ_QUEUE_KEYS", "LZ_CONTROL_KEY", "LZ_CONTROL_KEY_NEXT", "LZ_AI_API_KEY"],
  admin: ["LZ_ENROL_KEY", "LZ_AI_API_KEY"],
};
const MISSING = {
  ingest: ["LZ_EDGE_SECRETS", "LZ_QUEUE_KEYS", "SQS_QUEUE_URL", "LZ_ENROL_JWKS"],
  enrol: ["LZ_ENROL_KEY", "LZ_ENROL_JWKS"],
  admin: [
    ...["LZ_EDGE_SECRETS", "LZ_QUEUE_KEYS", "SQS_QUEUE_URL", "LZ_ENROL_JWKS", "LZ_CONTROL_KEY"],
    ...["LZ_ADMIN_ISSUER", "LZ_ADMIN_JWKS_URL", "LZ_ADMIN_PARTIES", "LZ_SIGN_IN_URL"],
  ],
};
const ROLES = ["ingest", "enrol", "admin"] as const;

describe.each(ROLES)("LZ_ROLE=%s", (role) => {
  test("starts with exactly the settings of its role", () => {
    expect(readConfig(environments[role]).LZ_ROLE).toBe(role);
  });

  test("names every secret that it must not have, together with all other problems, and shows no value", () => {
    const said = complaintOf(() =>
      readConfig({ ...environments[role], ...SECRETS, AWS_REGION: undefined, LZ_TABLE: "" }),
    );
    for (const name of Object.keys(SECRETS) as SecretName[])
      expect([name, said.includes(`${name}: a node with LZ_ROLE=${role} must not hold it`)]).toEqual([
        name,
        SURPLUS[role].includes(name),
      ]);
    for (const name of ["AWS_REGION", "LZ_TABLE"]) expect(said).toContain(`${name}: `);
    for (const value of Object.values(SECRETS)) expect(said).not.toContain(value);
    expect(said).not.toContain(String(secrets.controlKey.d));
  });

  test("an empty variable does not count as a secret", () => {
    const empty = Object.fromEntries(SURPLUS[role].map((name) => [name, ""]));
    expect(readConfig({ ...environments[role], ...empty }).LZ_ROLE).toBe(role);
  });

  test("with LZ_EXTRA_SECRETS=allow, it starts and loads none of them", () => {
    const read = readConfig({ ...environments[role], ...SECRETS, LZ_EXTRA_SECRETS: "allow" });
    expect(SURPLUS[role].filter((name) => read[name as keyof typeof read] !== undefined)).toEqual([]);
    expect(complaintOf(() => readConfig({ ...environments[role], LZ_EXTRA_SECRETS: "yes" }))).toContain(
      "LZ_EXTRA_SECRETS",
    );
  });

  test("names every missing setting that its role needs", () => {
    const common = { ...AWS, LZ_CONTROL_JWKS: controlJwks(secrets), LZ_ROLE: role };
    const said = complaintOf(() => readConfig(common));
    const missing = [...said.matchAll(/^ {2}(\w+): missing; a node with LZ_ROLE=(\w+) needs it$/gm)];
    expect(missing.map(([, name]) => name!).sort()).toEqual([...MISSING[role]].sort());
    expect(missing.every(([, , named]) => named === role)).toBe(true);
  });
});

test("without LZ_ROLE, a node has all roles and can have every secret", () => {
  const unset = { ...environments.admin, ...SECRETS, LZ_ROLE: undefined };
  const read = readConfig(unset);
  expect([read.LZ_ROLE, read.LZ_ENROL_KEY?.kid, read.LZ_CONTROL_KEY?.kid]).toEqual([
    "all",
    "enrol-1",
    "control-1",
  ]);
  expect(complaintOf(() => readConfig({ ...unset, LZ_ROLE: "everything" }))).toContain("LZ_ROLE: ");
});

test("an enrol key whose public key is missing prevents the start", async () => {
  const others = await makeRoleKeys();
  const said = complaintOf(() => readConfig({ ...environments.enrol, LZ_ENROL_JWKS: others.enrolJwks }));
  expect(said).toContain("LZ_ENROL_JWKS: add the public half of LZ_ENROL_KEY");
});

describe("the worker", () => {
  test("names the secrets of the edge that it must not have, and starts without them", () => {
    expect(readWorkerConfig(worker).LZ_EXTRA_SECRETS).toBe("refuse");
    const said = complaintOf(() => readWorkerConfig({ ...worker, ...SECRETS, AWS_REGION: undefined }));
    expect([...said.matchAll(/^ {2}(\w+): a worker must not hold it/gm)].map(([, name]) => name)).toEqual([
      "LZ_EDGE_SECRETS",
      "LZ_CONTROL_KEY",
      "LZ_CONTROL_KEY_NEXT",
      "LZ_ENROL_KEY",
    ]);
    expect(said).toContain("AWS_REGION: ");
    for (const value of Object.values(SECRETS)) expect(said).not.toContain(value);
  });
  test("starts with them if LZ_EXTRA_SECRETS=allow is set", () => {
    const read = readWorkerConfig({ ...worker, LZ_CONTROL_KEY: "{}", LZ_EXTRA_SECRETS: "allow" });
    expect(read.LZ_EXTRA_SECRETS).toBe("allow");
  });
});

const SERVED_BY = [
  ["POST", "/v1/heartbeats", "ingest"],
  ["POST", "/v1/session", "ingest"],
  ["POST", "/v1/directive", "ingest"],
  ["GET", CATALOGUE_PATH, "ingest"],
  ["POST", "/v1/enroll", "enrol"],
  ["GET", "/v1/me", "admin"],
  ["POST", "/v1/assets/01M807NRG7BVMVH9SM4YAEXFPG/isolate", "admin"],
  ["GET", "/openapi.json", "admin"],
  ["GET", "/", "admin"],
  ["GET", "/readyz/admin", "admin"],
] as const;
const PARTS: Record<NodeRole, string[]> = {
  ingest: ["ingest"],
  enrol: ["enrol"],
  admin: ["admin", "enrol"],
  all: ["ingest", "enrol", "admin"],
};

describe.each(["ingest", "enrol", "admin", "all"] as const)("routes of LZ_ROLE=%s", (role) => {
  // The environment of a production node. It does not contain the secrets that the node's role does not use.
  const own = role === "all" ? { ...environments.admin, LZ_ROLE: "all" } : environments[role];
  test.each(SERVED_BY)("%s %s belongs to %s", async (method, path, part) => {
    const deps = await assemble(readConfig(own), { sharesIo: true, sourceIp: () => "192.0.2.1" });
    const answer = await createFetch({ ...deps, log: () => {} })(
      new Request(`${EDGE_URL}${path}`, { method }),
    );
    const text = await answer.text();
    if (PARTS[role].includes(part)) expect(text).not.toContain("edge.not-served");
    else {
      expect(answer.status).toBe(404);
      expect(answer.headers.get("x-request-id")).toBeString();
      expect(JSON.parse(text)).toMatchObject({
        code: "edge.not-served",
        title: `This node has LZ_ROLE=${role}. Send this request to a node with LZ_ROLE=${part}`,
      });
    }
  });
});

describe("readiness", () => {
  const VERDICTS = [
    ["ingest", "here", "away", 200],
    ["ingest", "away", "here", 503],
    ["enrol", undefined, "here", 200],
    ["enrol", undefined, "away", 503],
    ["admin", undefined, "here", 200],
    ["admin", undefined, "away", 503],
    ["all", "here", "away", 200],
  ] as const;
  test.each(VERDICTS)("%s: queue %p, table %p is %p at /readyz", async (role, queue, table, status) => {
    const { app } = await makeEdgeApp({ role, readiness: async () => ({ ...(queue && { queue }), table }) });
    const answer = await app.request("/readyz");
    expect([answer.status, ((await answer.json()) as { queue?: string }).queue]).toEqual([status, queue]);
  });

  test("a node that needs no queue probes only the table", async () => {
    const asked: string[] = [];
    const readiness = createReadiness({
      reachTable: async () => asked.push("table"),
      clock: () => 0,
      after: () => () => {},
      shared: true,
    });
    expect(await readiness()).toEqual({ table: "here" });
    expect(asked).toEqual(["table"]);
  });
});
