import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { SignJWT } from "jose";
import type { RuntimeName } from "../../local/edge-command.ts";
import {
  enrolDevice,
  makeDevice,
  makeEngine,
  makeHeartbeat,
  openSession,
  sessionSigner,
  signedRequest,
} from "../../lz/platform/simulated-agents.ts";
import { base64url, fromBase64url } from "../../shared/encoding/bytes.ts";
import { verifyDirective } from "../../shared/wire/directive.ts";
import { DIRECTIVE_PATH } from "../../shared/wire/directive-poll.ts";
import { LIMITS } from "../../shared/wire/heartbeat.ts";
import { deriveSessionKey, deviceKeyid, sessionKeyid } from "../../shared/wire/keyid.ts";
import { importHmacKey, type Signer } from "../../shared/wire/signature.ts";
import { sendRaw, statusesOf } from "../support/edge/raw-http.ts";
import { enrolAsset, type SimulatedAsset, startTestStack, type TestStack } from "../support/stack.ts";

const nowSeconds = () => Math.floor(Date.now() / 1000);
const code = async (answer: Response) => ((await answer.json()) as { code: string }).code;

/** Tests behaviour that all runtimes share, over real sockets with a real queue and table. */
export function edgeSuite(runtime: RuntimeName): void {
  describe(`edge under ${runtime}`, () => {
    let stack: TestStack;
    let asset: SimulatedAsset;
    beforeAll(async () => {
      stack = await startTestStack(runtime, { workers: 0 });
      asset = await enrolAsset(stack, "host-1");
    });
    afterAll(() => stack?.stop());

    const post = async (
      body: string,
      signer: Signer,
      change?: (request: Request) => RequestInit,
      created?: number,
    ) => {
      const request = await signedRequest(stack.edgeUrl, "/v1/heartbeats", body, signer, created);
      const headers = Object.fromEntries(request.headers);
      return fetch(request.url, { method: "POST", headers, body, ...change?.(request) });
    };
    const heartbeatBody = (more = {}) => JSON.stringify(makeHeartbeat(1, Date.now(), "host-1", more));

    describe("enrolment", () => {
      test("a token for one device rejects a second device, and the first device keeps its asset if it enrols again", async () => {
        const token = await stack.enrolmentToken(1);
        const [first, second] = [await makeDevice(), await makeDevice()];
        const host = { hostname: "one-use", employeeId: "dana" };
        const enrolled = await enrolDevice(fetch, stack.edgeUrl, token, first, host);
        const again = await enrolDevice(fetch, stack.edgeUrl, token, first, host);
        expect(again.assetId).toBe(enrolled.assetId);
        await expect(enrolDevice(fetch, stack.edgeUrl, token, second, host)).rejects.toThrow("409");
      });

      test("ten devices that use a token for three devices at the same time create exactly three assets", async () => {
        const token = await stack.enrolmentToken(3);
        const tries = Array.from({ length: 10 }, async (_, i) =>
          enrolDevice(fetch, stack.edgeUrl, token, await makeDevice(), {
            hostname: `race-${i}`,
            employeeId: "kim",
          }),
        );
        const outcomes = await Promise.allSettled(tries);
        expect(outcomes.filter((outcome) => outcome.status === "fulfilled")).toHaveLength(3);
        const kims = (await (await stack.api("/v1/employees/kim/assets")).json()) as { items: unknown[] };
        expect(kims.items).toHaveLength(3);
      });

      test("enrolment rejects a token with a forged signature, and a request that is signed with another device's key", async () => {
        const [device, other] = [await makeDevice(), await makeDevice()];
        const host = { hostname: "x", employeeId: "dana" };
        const forged = `${(await stack.enrolmentToken()).split(".").slice(0, 2).join(".")}.${"A".repeat(86)}`;
        await expect(enrolDevice(fetch, stack.edgeUrl, forged, device, host)).rejects.toThrow("401");
        const token = await stack.enrolmentToken();
        const thief = { ...other, x: device.x };
        await expect(enrolDevice(fetch, stack.edgeUrl, token, thief, host)).rejects.toThrow("401");
      });
    });

    describe("session", () => {
      test("an unknown asset, another tenant's asset, an unknown device and an invalid key id get the same 401 response", async () => {
        const body = JSON.stringify({ agentVersion: "0.1.0" });
        const foreign = await makeDevice();
        const names = [
          asset.device.signer(deviceKeyid(asset.tenantId, "01AAAAAAAAAAAAAAAAAAAAAAAA")),
          asset.device.signer(deviceKeyid("org_other", asset.assetId)),
          foreign.signer(deviceKeyid(asset.tenantId, asset.assetId)),
          asset.device.signer("lzd1.nonsense"),
        ];
        for (const signer of names) {
          const answer = await fetch(await signedRequest(stack.edgeUrl, "/v1/session", body, signer));
          expect([answer.status, await code(answer)]).toEqual([401, "wire.bad-signature"]);
        }
      });
    });

    describe("heartbeats", () => {
      test("a valid heartbeat gets 202 once it is on the queue", async () => {
        const before = await queued(stack);
        const answer = await asset.beat({ engines: [makeEngine()] });
        expect(answer.status).toBe(202);
        expect(await queued(stack)).toBe(before + 1);
      });

      test("the signature time `created` can differ from the edge's clock by up to 300 s in both directions", async () => {
        for (const [offset, status] of [
          [-299, 202],
          [299, 202],
          [-302, 401],
          [302, 401],
        ] as const) {
          const answer = await post(heartbeatBody(), asset.signer, undefined, nowSeconds() + offset);
          expect(answer.status).toBe(status);
          // Not every runtime sends a Date header. A host with a wrong clock therefore learns the time from
          // the response body.
          const { time } = (await answer.json()) as { time?: string };
          if (status === 401) expect(Math.abs(Date.parse(time!) - Date.now())).toBeLessThan(5000);
          else expect(time).toBeUndefined();
        }
      });

      test("a body of the maximum size is parsed, and one more byte is rejected with 413, with and without chunked encoding", async () => {
        const filler = (length: number) => `{"x":"${"a".repeat(length - 8)}"}`;
        const atLimit = filler(LIMITS.BODY_BYTES_MAX);
        const beyond = filler(LIMITS.BODY_BYTES_MAX + 1);
        const stream = (text: string) => () =>
          ({ body: new Blob([text]).stream(), duplex: "half" }) as RequestInit;
        expect(await code(await post(atLimit, asset.signer))).toBe("wire.malformed");
        expect(await code(await post(atLimit, asset.signer, stream(atLimit)))).toBe("wire.malformed");
        expect((await post(beyond, asset.signer)).status).toBe(413);
        expect((await post(beyond, asset.signer, stream(beyond))).status).toBe(413);
      });

      const alter = (name: string, value: string | null) => (request: Request) => {
        const headers = new Headers(request.headers);
        if (value === null) headers.delete(name);
        else headers.set(name, value);
        return { headers };
      };
      const refusals: [string, number, string, (request: Request) => RequestInit][] = [
        ["no signature", 401, "wire.unsigned", alter("signature", null)],
        ["no signature input", 401, "wire.unsigned", alter("signature-input", null)],
        ["no content digest", 401, "wire.bad-signature", alter("content-digest", null)],
        ["a signature of the wrong length", 401, "wire.unsigned", alter("signature", "lz=:AAAA:")],
        ["a signature of zeros", 401, "wire.bad-signature", alter("signature", `lz=:${"A".repeat(43)}=:`)],
        ["another label", 401, "wire.unsigned", alter("signature", `sig=:${"A".repeat(43)}=:`)],
        ["text instead of JSON", 415, "wire.media-type", alter("content-type", "text/plain")],
        ["a tampered body", 401, "wire.bad-signature", () => ({ body: heartbeatBody({ sequence: 2 }) })],
      ];
      for (const [what, status, wanted, change] of refusals) {
        test(`${what} is rejected with ${wanted}`, async () => {
          const answer = await post(heartbeatBody(), asset.signer, change);
          expect([answer.status, await code(answer)]).toEqual([status, wanted]);
          expect(answer.headers.get("content-type")).toBe("application/problem+json");
        });
      }

      test("headers that are longer than any valid one are rejected before they are parsed", async () => {
        for (const [path, name, longest] of [
          ["/v1/heartbeats", "signature-input", 512],
          ["/v1/heartbeats", "signature", 128],
          ["/v1/session", "signature-input", 512],
          ["/v1/session", "x-filler", 11_000],
        ] as const)
          for (const [length, status] of [
            [longest, 401],
            [name === "x-filler" ? 13_000 : longest + 1, 431],
          ] as const) {
            const headers = { "content-type": "application/json", [name]: "a".repeat(length) };
            const answer = await fetch(`${stack.edgeUrl}${path}`, { method: "POST", headers, body: "{}" });
            expect([path, name, length, answer.status]).toEqual([path, name, length, status]);
            if (status === 431) expect(await code(answer)).toBe("wire.headers-too-large");
          }
      });

      test("a second signature next to a valid one is rejected", async () => {
        const answer = await post(heartbeatBody(), asset.signer, (request) => {
          const headers = new Headers(request.headers);
          headers.append("signature", "x=:AAAA:");
          return { headers };
        });
        expect(await code(answer)).toBe("wire.unsigned");
      });

      test("a signature for another path is rejected", async () => {
        const body = heartbeatBody();
        const request = await signedRequest(stack.edgeUrl, "/v1/session", body, asset.signer);
        const answer = await fetch(`${stack.edgeUrl}/v1/heartbeats`, {
          method: "POST",
          headers: request.headers,
          body,
        });
        expect(await code(answer)).toBe("wire.bad-signature");
      });

      test("a session key cannot sign for another tenant, another asset, another expiry time or another key version", async () => {
        const { keyid } = asset.signer;
        const forged = [
          keyid.replace(asset.tenantId, "org_other"),
          keyid.replace(asset.assetId, "01AAAAAAAAAAAAAAAAAAAAAAAA"),
          keyid.replace(/\d$/, (digit) => String((Number(digit) + 1) % 10)),
          keyid.replace("lz1.v1.", "lz1.v9."),
          `${keyid}.x`,
        ];
        for (const name of forged) {
          const answer = await post(heartbeatBody(), { ...asset.signer, keyid: name });
          expect([answer.status, await code(answer)]).toEqual([401, "wire.bad-signature"]);
        }
      });

      test("a session is accepted until its expiry time and rejected after it", async () => {
        const secret = fromBase64url(stack.secrets.edgeSecrets.split(":")[1]!)!;
        const key = await importHmacKey(secret, ["sign"]);
        const signerUntil = async (expiresAtSeconds: number): Promise<Signer> => {
          const keyid = sessionKeyid({
            version: "v1",
            tenantId: asset.tenantId,
            assetId: asset.assetId,
            expiresAtSeconds,
          });
          const session = await importHmacKey(await deriveSessionKey(key, keyid), ["sign"]);
          return { keyid, algorithm: "hmac-sha256", key: session };
        };
        expect((await post(heartbeatBody(), await signerUntil(nowSeconds() + 30))).status).toBe(202);
        const late = await post(heartbeatBody(), await signerUntil(nowSeconds() - 1));
        expect(await code(late)).toBe("wire.session-expired");
      });

      const malformed: [string, string][] = [
        ["not JSON", "{"],
        ["an unknown member", heartbeatBody({ extra: 1 })],
        ["a prototype member", heartbeatBody().replace('"v":1', '"v":1,"__proto__":{"a":1}')],
        ["another protocol version", heartbeatBody({ v: 2 })],
        ["a line break between tokens", heartbeatBody().replace('{"v"', '{\n"v"')],
        ["a NUL in a name", heartbeatBody({ host: { hostname: "a\u0000b", os: "x", arch: "x64" } })],
        [
          "a lone surrogate",
          heartbeatBody({ host: { hostname: "a", os: "x", arch: "x" } }).replace('"a"', '"\\ud800"'),
        ],
        ["a character SQS rejects", heartbeatBody({ host: { hostname: "a\uffff", os: "x", arch: "x64" } })],
        [
          "a text direction override",
          heartbeatBody({ host: { hostname: "a\u202eb", os: "x", arch: "x64" } }),
        ],
        ["an invalid date", heartbeatBody({ sentAt: "2026-13-40T00:00:00.000Z" })],
        ["a number that is far too large", heartbeatBody({ sequence: 1e300 })],
        ["an id with the key separator", heartbeatBody({ engines: [makeEngine({ id: "a#b" })] })],
        ["too many engines", heartbeatBody({ engines: Array.from({ length: 65 }, () => makeEngine()) })],
        ["50,000 nested arrays", "[".repeat(50_000)],
      ];
      for (const [what, body] of malformed) {
        test(`${what} is rejected with wire.malformed and a reason, although it is signed`, async () => {
          const answer = await post(body, asset.signer);
          const told = (await answer.json()) as { code: string; detail: string };
          expect([answer.status, told.code]).toEqual([400, "wire.malformed"]);
          expect(told.detail).toMatch(/\w/);
        });
      }

      test("a heartbeat with the maximum number of engines is accepted", async () => {
        const engines = Array.from({ length: LIMITS.ENGINES_MAX }, () => makeEngine());
        expect((await post(heartbeatBody({ engines }), asset.signer)).status).toBe(202);
      });

      test("invalid UTF-8 is rejected and not repaired", async () => {
        const body = new Uint8Array([0x22, 0xff, 0x22]);
        const { signRequest } = await import("../../shared/wire/signature.ts");
        const headers = await signRequest(
          asset.signer,
          { method: "POST", path: "/v1/heartbeats", body },
          nowSeconds(),
        );
        const answer = await fetch(`${stack.edgeUrl}/v1/heartbeats`, {
          method: "POST",
          headers: { "content-type": "application/json", ...headers },
          body,
        });
        expect(await code(answer)).toBe("wire.malformed");
      });
    });

    describe("admin API", () => {
      const isolate = (assetId: string, key: string, more: object = {}) =>
        stack.api(`/v1/assets/${assetId}/isolate`, {
          method: "POST",
          body: { mode: "observe", justification: "suspicious model" },
          key,
          ...more,
        });

      test("an isolation writes one record, repeating it with the same key returns 202, and a second isolation gets 409", async () => {
        const host = await enrolAsset(stack, "isolated");
        const first = await isolate(host.assetId, "key-first-0001");
        expect(first.status).toBe(202);
        expect(await first.json()).toMatchObject({
          status: "ISOLATED",
          generation: 1,
          containment: { state: "pending" },
        });
        expect((await isolate(host.assetId, "key-first-0001")).status).toBe(202);
        const second = await isolate(host.assetId, "key-second-001");
        expect(second.status).toBe(409);
        expect(await second.json()).toMatchObject({ current: { status: "ISOLATED" } });
        const custody = await stack.api(`/v1/assets/${host.assetId}/custody`);
        const { items } = (await custody.json()) as { items: { justification: string; sourceIp: string }[] };
        expect(items).toHaveLength(1);
        expect(items[0]!.justification).toBe("suspicious model");
      });

      test("a client address forged in headers appears in no record, and the custody log stays readable", async () => {
        const host = await enrolAsset(stack, "forged-address");
        const forged = "x".repeat(200);
        const answer = await fetch(`${stack.edgeUrl}/v1/assets/${host.assetId}/isolate`, {
          method: "POST",
          headers: {
            authorization: `Bearer ${stack.adminToken}`,
            "content-type": "application/json",
            "idempotency-key": "key-forged-ip-1",
            "cf-connecting-ip": forged,
            "x-forwarded-for": forged,
          },
          body: JSON.stringify({ mode: "observe", justification: "suspicious model" }),
        });
        expect(answer.status).toBe(202);
        for (const path of [`/v1/assets/${host.assetId}/custody`, "/v1/custody"]) {
          const custody = await stack.api(path);
          expect(custody.status).toBe(200);
          expect(await custody.text()).not.toContain(forged);
        }
      });

      test("a heartbeat response contains the host's own directive until the host has proven it", async () => {
        const [host, other] = [await enrolAsset(stack, "directed"), await enrolAsset(stack, "bystander")];
        await isolate(host.assetId, "key-directive-1");
        const answer = (await (await host.beat()).json()) as { directive?: string };
        const who = { tenantId: host.tenantId, assetId: host.assetId };
        const keys = await (await import("../../local/secrets.ts")).publicJwk(stack.secrets.controlKey);
        const claims = await verifyDirective(answer.directive!, { keys: [keys] }, who, Date.now());
        expect(claims).toMatchObject({ action: "isolate", mode: "observe", generation: 1 });
        expect(await (await other.beat()).json()).not.toHaveProperty("directive");
        const report = { generation: 1, action: "isolate", mode: "observe", outcome: "applied" } as const;
        const proven = await host.beat({ containment: { ...report, at: new Date().toISOString() } });
        expect(await proven.json()).not.toHaveProperty("directive");
      });

      const waitFor = async (host: SimulatedAsset, generation: number) =>
        fetch(
          await signedRequest(
            stack.edgeUrl,
            DIRECTIVE_PATH,
            JSON.stringify({ v: 1, generation }),
            host.signer,
          ),
        );

      if (runtime === "workerd") {
        test("a long poll is rejected with edge.no-polls, because workerd cannot answer it later", async () => {
          const answer = await waitFor(asset, 0);
          expect([answer.status, await code(answer)]).toEqual([404, "edge.no-polls"]);
        });
      } else {
        test("a long poll outlives the idle timeout of a connection, and gets the directive as soon as the host is isolated", async () => {
          const [host, other] = [await enrolAsset(stack, "waiting"), await enrolAsset(stack, "waiting too")];
          const answered: string[] = [];
          const [answer] = [host, other].map((each) =>
            waitFor(each, 0).finally(() => void answered.push(each.assetId)),
          );
          await Bun.sleep(12_000); // This time is longer than the idle timeout of a connection.
          expect(answered).toEqual([]);
          await isolate(host.assetId, "key-waiting-1");
          const told = await answer!;
          expect([told.status, answered]).toEqual([200, [host.assetId]]);
          const { directive } = (await told.json()) as { directive: string };
          expect(((await (await host.beat()).json()) as { directive?: string }).directive).toBe(directive);
        }, 60_000);
      }

      test("an isolation requires a justification and an idempotency key", async () => {
        for (const justification of ["", "  ", "ab"]) {
          const answer = await isolate(asset.assetId, "key-required-1", {
            body: { mode: "observe", justification },
          });
          expect(answer.status).toBe(400);
        }
        expect((await isolate(asset.assetId, "key-required-1", { body: {} })).status).toBe(400);
        expect((await isolate(asset.assetId, "short")).status).toBe(400);
        expect(await (await stack.api(`/v1/assets/${asset.assetId}`)).json()).toMatchObject({
          status: "ACTIVE",
        });
      });

      test("a viewer can list hosts, but cannot isolate a host or create an enrolment token", async () => {
        const token = stack.viewerToken;
        expect((await stack.api("/v1/assets", { token })).status).toBe(200);
        expect((await isolate(asset.assetId, "key-viewer-001", { token })).status).toBe(403);
        expect((await stack.api("/v1/enrolment-tokens", { method: "POST", body: {}, token })).status).toBe(
          403,
        );
      });

      test("an admin cannot read, isolate or list another tenant's asset, not even with a forged cursor", async () => {
        const token = await stack.issuer.mint({ userId: "eve", role: "admin" }, "org_eve");
        const stolen = base64url(
          new TextEncoder().encode(JSON.stringify({ PK: `TENANT#${asset.tenantId}`, SK: "ASSET#0" })),
        );
        for (const path of ["", "/timeline", "/custody"]) {
          expect((await stack.api(`/v1/assets/${asset.assetId}${path}`, { token })).status).toBe(404);
        }
        expect((await isolate(asset.assetId, "key-tenant-001", { token })).status).toBe(404);
        expect(await (await stack.api("/v1/assets", { token })).json()).toEqual({ items: [] });
        expect((await stack.api(`/v1/assets?cursor=${stolen}`, { token })).status).toBe(400);
      });

      test("unsigned, wrongly signed and missing sessions are rejected", async () => {
        const claims = { azp: stack.edgeUrl, sid: "s", o: { id: asset.tenantId, rol: "admin" } };
        const unsigned = (header: object) =>
          `${base64url(new TextEncoder().encode(JSON.stringify(header)))}.${base64url(
            new TextEncoder().encode(
              JSON.stringify({ ...claims, sub: "x", exp: nowSeconds() + 60, iat: nowSeconds() }),
            ),
          )}.`;
        const hmac = await new SignJWT(claims)
          .setProtectedHeader({ alg: "HS256", kid: "issuer-1" })
          .setSubject("x")
          .setIssuedAt()
          .setExpirationTime("60s")
          .sign(new TextEncoder().encode("guess"));
        for (const token of [
          unsigned({ alg: "none" }),
          unsigned({ alg: "RS256", kid: "issuer-1" }),
          hmac,
          "x",
        ]) {
          expect((await stack.api("/v1/assets", { token })).status).toBe(401);
        }
        expect((await fetch(`${stack.edgeUrl}/v1/assets`)).status).toBe(401);
        const cookie = { cookie: `__session=${stack.adminToken}` };
        expect((await fetch(`${stack.edgeUrl}/v1/assets`, { headers: cookie })).status).toBe(401);
      });

      test("following the cursors lists each asset once, and the list ends", async () => {
        const seen: string[] = [];
        let cursor: string | undefined;
        do {
          const query = `limit=2${cursor ? `&cursor=${cursor}` : ""}`;
          const page = (await (await stack.api(`/v1/assets?${query}`)).json()) as {
            items: { assetId: string }[];
            cursor?: string;
          };
          expect(page.items.length).toBeLessThanOrEqual(2);
          seen.push(...page.items.map((item) => item.assetId));
          cursor = page.cursor;
        } while (cursor);
        expect(new Set(seen).size).toBe(seen.length);
        expect(seen).toContain(asset.assetId);
      });
    });

    test("health and readiness respond with 200, an unknown path with 404, and a wrong method with an error", async () => {
      expect((await fetch(`${stack.edgeUrl}/healthz`)).status).toBe(200);
      for (const path of ["/readyz", "/readyz/admin"])
        expect((await fetch(`${stack.edgeUrl}${path}`)).status).toBe(200);
      await stack.api("/v1/me"); // On workerd, only a request with a session loads the sign-in keys.
      const ready = await (await fetch(`${stack.edgeUrl}/readyz/admin`)).json();
      expect(ready).toMatchObject({ signInKeys: "fresh" });
      const missing = await fetch(`${stack.edgeUrl}/v2/nothing`, { headers: { accept: "application/json" } });
      expect(missing.status).toBe(404);
      expect(
        (await fetch(`${stack.edgeUrl}/v1/heartbeats`, { method: "PUT" })).status,
      ).toBeGreaterThanOrEqual(401);
    });

    const UNREADABLE_HOSTS = ["[", "a:b:c", "x:99999", "%00", "a b", "a<b>", ":80", "1.2.3.4.5"];
    const ASKED_OF_THEM = [
      "GET / HTTP/1.1",
      "GET /v1/assets HTTP/1.1",
      "GET /sign-in HTTP/1.1",
      "POST /v1/heartbeats HTTP/1.1",
      "POST /sign-out HTTP/1.1",
    ];
    test("an invalid Host header is rejected at every path and is not logged as a fault", async () => {
      const asked = UNREADABLE_HOSTS.flatMap((host) => ASKED_OF_THEM.map((line) => [host, line] as const));
      const faults = await Promise.all(
        asked.map(async ([host, line]) => {
          const { answered } = await sendRaw(
            stack.edgeUrl,
            `${line}\r\nHost: ${host}\r\nAccept: text/html\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
          );
          const [status] = statusesOf(answered);
          return status === 400 || status === 401 ? [] : [host, line, status];
        }),
      );
      expect(faults.flat()).toEqual([]);
      expect(stack.lines.filter((line) => line.includes("request.failed"))).toEqual([]);
      const good = await sendRaw(
        stack.edgeUrl,
        `GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
      );
      expect(statusesOf(good.answered)).toEqual([200]);
    });

    test("a request whose body never ends gets 408 or is disconnected, with and without a Content-Length", async () => {
      const { host } = new URL(stack.edgeUrl);
      const headers = Object.entries({
        host,
        origin: stack.edgeUrl,
        authorization: `Bearer ${stack.adminToken}`,
        cookie: `__session=${stack.adminToken}`,
        "idempotency-key": "slow-body-0001",
      }).map(([name, value]) => `${name}: ${value}`);
      const asked = [
        ["/v1/enrolment-tokens", "application/json"],
        [`/assets/${asset.assetId}/isolate`, "application/x-www-form-urlencoded"],
      ].flatMap(([path, type]) =>
        [
          ["content-length: 100000", "{"],
          ["transfer-encoding: chunked", "1\r\n{\r\n"],
        ].map(([length, body]) =>
          [`POST ${path} HTTP/1.1`, ...headers, `content-type: ${type}`, length, "", body].join("\r\n"),
        ),
      );
      const answers = await Promise.all(asked.map((bytes) => sendRaw(stack.edgeUrl, bytes, 15_000)));
      // Bun closes a silent connection before the edge sends anything.
      for (const { answered, isEnded } of answers)
        expect([statusesOf(answered), isEnded]).toEqual(answered === "" ? [[], true] : [[408], isEnded]);
    }, 60_000);

    test("a signed request with an incomplete body or an invalid chunk gets 400 and is not logged as a fault", async () => {
      const device = await makeDevice();
      const enrolment = await signedRequest(
        stack.edgeUrl,
        "/v1/enroll",
        "x".repeat(50),
        device.signer(device.x),
      );
      const beat = await signedRequest(stack.edgeUrl, "/v1/heartbeats", heartbeatBody(), asset.signer);
      const broken = [enrolment, beat].flatMap((request) => {
        const { host, pathname } = new URL(request.url);
        const headers = [...request.headers].filter(([name]) => name !== "content-length");
        const head = [
          `POST ${pathname} HTTP/1.1`,
          `host: ${host}`,
          ...headers.map((each) => each.join(": ")),
        ];
        return [
          ["transfer-encoding: chunked", "", "5\r\nxxxxx\r\nzz\r\n"],
          ["content-length: 50", "", "xxxxx"],
        ].map((rest) => [...head, ...rest].join("\r\n"));
      });
      const answers = await Promise.all(broken.map((bytes) => sendRaw(stack.edgeUrl, bytes, 1000)));
      for (const { answered } of answers)
        expect(statusesOf(answered).filter((status) => status !== 400)).toEqual([]);
      expect((await asset.beat()).status).toBe(202);
      expect(stack.lines.filter((line) => line.includes("request.failed"))).toEqual([]);
    });

    // workerd rejects HTTP/1.0 requests without a Host header.
    if (runtime !== "workerd")
      test("HTTP/1.0 without a Host header is accepted for health checks only", async () => {
        for (const path of ["/healthz", "/readyz", "/readyz/admin"])
          expect((await sendRaw(stack.edgeUrl, `GET ${path} HTTP/1.0\r\n\r\n`)).answered).toMatch(
            /^HTTP\/1\.[01] 200 /,
          );
        const assets = await sendRaw(stack.edgeUrl, "GET /v1/assets HTTP/1.0\r\n\r\n");
        expect(assets.answered).toMatch(/^HTTP\/1\.[01] 40[01] /);
      });

    test("opening a session twice returns two keys that both work", async () => {
      for (let i = 0; i < 2; i++) {
        const session = await openSession(fetch, stack.edgeUrl, asset.device, asset);
        expect((await post(heartbeatBody(), await sessionSigner(session))).status).toBe(202);
      }
    });
  });
}

/** Returns the number of messages in the queue. */
async function queued(stack: TestStack): Promise<number> {
  const answer = await fetch(stack.sqsEndpoint, {
    method: "POST",
    headers: { "content-type": "application/x-amz-json-1.0", "x-amz-target": "AmazonSQS.GetQueueAttributes" },
    body: JSON.stringify({ QueueUrl: stack.queueUrl, AttributeNames: ["ApproximateNumberOfMessages"] }),
  });
  const { Attributes } = (await answer.json()) as { Attributes: { ApproximateNumberOfMessages: string } };
  return Number(Attributes.ApproximateNumberOfMessages);
}
