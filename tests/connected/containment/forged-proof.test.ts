import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  enrolDevice,
  makeDevice,
  makeEngine,
  makeHeartbeat,
  sessionSigner,
  signedRequest,
} from "../../../lz/platform/simulated-agents.ts";
import { base64url, fromBase64url } from "../../../shared/encoding/bytes.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import type { ContainmentReport, Heartbeat } from "../../../shared/wire/heartbeat.ts";
import { deriveSessionKey, sessionKeyid } from "../../../shared/wire/keyid.ts";
import { isSignedReport } from "../../../shared/wire/report-signature.ts";
import { importHmacKey } from "../../../shared/wire/signature.ts";
import { queueDepth, sendRaw, signedPack, takeDeadLetters } from "../../support/nodes/signed-pack.ts";
import {
  enrolAsset,
  eventually,
  type SimulatedAsset,
  startTestStack,
  type TestStack,
} from "../../support/stack.ts";

/*
 * The attacker has every secret of an edge node: the queue key, and the edge secret from which all session
 * keys are derived. So the attacker can send heartbeats with valid signatures for any host. The attacker has
 * no device key, so no containment proof.
 */

type Proof = ContainmentReport & { signedBy?: string };
type Shown = { state: string; reason?: string; proof?: Proof };

const UNSIGNED = "the report is not signed by the device key of this host";
const probes = { controlPlaneReachable: true, forbiddenBlocked: true };

describe("an attacker with the edge secret and the queue key", () => {
  let stack: TestStack;
  beforeAll(async () => {
    stack = await startTestStack("bun", { visibilitySeconds: 4 });
  });
  afterAll(() => stack?.stop());

  const settled = () =>
    eventually(async () => {
      const { waiting, inFlight } = await queueDepth(stack);
      return waiting + inFlight === 0;
    }, 20_000);
  const change = async (asset: SimulatedAsset, action: "isolate" | "release", mode?: string) => {
    const body = { justification: "for the test", ...(mode && { mode }) };
    const key = crypto.randomUUID();
    const answer = await stack.api(`/v1/assets/${asset.assetId}/${action}`, { method: "POST", body, key });
    expect(answer.status).toBe(202);
  };
  const shown = async ({ assetId }: SimulatedAsset): Promise<Shown> =>
    ((await (await stack.api(`/v1/assets/${assetId}`)).json()) as { containment: Shown }).containment;
  const report = (
    generation: number,
    action: "isolate" | "release",
    more: Partial<ContainmentReport> = {},
  ): ContainmentReport => ({
    ...{ generation, action, mode: "network", outcome: "applied", at: timestamp(Date.now()), probes },
    ...more,
  });

  /** Derives a session key for any host, as the edge does. The host itself did not open this session. */
  async function forgedSession({ tenantId, assetId }: SimulatedAsset) {
    const [version, secret] = stack.secrets.edgeSecrets.split(",")[0]!.split(":");
    const expiresAtSeconds = Math.floor(Date.now() / 1000) + 3600;
    const keyid = sessionKeyid({ version: version!, tenantId, assetId, expiresAtSeconds });
    const edgeSecret = await importHmacKey(fromBase64url(secret!)!, ["sign"]);
    return sessionSigner({ keyid, key: base64url(await deriveSessionKey(edgeSecret, keyid)) });
  }

  /**
   * Two ways for the attacker to inject a heartbeat. One is an uncompromised edge node with the session key,
   * the other is the queue with the queue key.
   */
  const WAYS: Record<string, (asset: SimulatedAsset, beat: Heartbeat) => Promise<void>> = {
    "by a session key that they made": async (asset, beat) => {
      const signer = await forgedSession(asset);
      const request = await signedRequest(stack.edgeUrl, "/v1/heartbeats", JSON.stringify(beat), signer);
      expect((await fetch(request)).status).toBe(202);
    },
    "by a message that they put into the queue": async ({ tenantId, assetId }, beat) => {
      const entry = { assetId, receivedAt: timestamp(Date.now()), body: JSON.stringify(beat) };
      await sendRaw(stack, await signedPack(stack, tenantId, [entry]));
    },
  };
  const ways = Object.keys(WAYS);
  let sequence = 1_000_000;
  const forge = async (way: string, asset: SimulatedAsset, containment: ContainmentReport) => {
    const more = { containment, engines: [makeEngine({ version: `9.${++sequence}` })] };
    await WAYS[way]!(asset, makeHeartbeat(sequence, Date.now(), "forged", more));
    await settled();
  };
  const inventory = async ({ assetId }: SimulatedAsset) =>
    (await (await stack.api(`/v1/assets/${assetId}/timeline?limit=1`)).json()) as {
      items: { engines: { version: string }[] }[];
    };
  const linesOf = ({ assetId }: SimulatedAsset) =>
    stack.lines.filter((line) => line.includes("containment.unsigned") && line.includes(assetId));

  test.each(ways)("cannot make a host that is not isolated appear isolated: %s", async (way) => {
    const [asset, thief] = [await enrolAsset(stack, "open"), await enrolAsset(stack, "thief")];
    await change(asset, "isolate", "network");
    const claim = () => report(1, "isolate");
    for (const forged of [
      claim(),
      await thief.device.sign(asset, claim()),
      await thief.device.sign(thief, claim()),
    ]) {
      await forge(way, asset, forged);
      expect(await shown(asset)).toMatchObject({ state: "pending", reason: UNSIGNED });
      expect(await shown(asset)).not.toHaveProperty("proof");
    }
    // The worker records the forged heartbeat, but must ignore the containment report in it.
    expect((await inventory(asset)).items[0]?.engines[0]?.version).toBe(`9.${sequence}`);
    expect(await takeDeadLetters(stack)).toEqual([]);
    await eventually(async () => linesOf(asset).length === 3);

    await asset.beat({ containment: claim() });
    await eventually(async () => (await shown(asset)).state === "enforced");
    const { proof } = await shown(asset);
    expect(proof?.signedBy).toBe(asset.device.x);
    expect(await isSignedReport(asset.device.x, asset, proof!)).toBe(true);
  });

  test.each(ways)(
    "cannot make an isolated host appear released, or record the use of a release code: %s",
    async (way) => {
      const asset = await enrolAsset(stack, "shut");
      await change(asset, "isolate", "network");
      await asset.beat({ containment: report(1, "isolate") });
      await eventually(async () => (await shown(asset)).state === "enforced");
      const before = await shown(asset);
      const reason = "released at the host with code 01K00000000000000000000CDE";
      const { signature } = before.proof!;
      for (const forged of [
        report(1, "release", { reason }),
        report(1, "release", { reason, signature }),
        report(1, "isolate", { outcome: "failed", signature }),
      ]) {
        await forge(way, asset, forged);
        expect(await shown(asset)).toEqual(before);
      }
      await change(asset, "release");
      await forge(way, asset, report(2, "release", { signature }));
      await forge(way, asset, report(1, "release", { reason }));
      expect(await shown(asset)).toMatchObject({
        state: "releasing",
        reason: UNSIGNED,
        proof: before.proof!,
      });
      const custody = (await (await stack.api(`/v1/assets/${asset.assetId}/custody`)).json()) as {
        items: { action: string }[];
      };
      expect(custody.items.map(({ action }) => action).sort()).toEqual(["isolate", "release"]);
      await asset.beat({ containment: report(2, "release") });
      await eventually(async () => (await shown(asset)).state === "active");
      // The host stays released. The attacker replays the report of its isolation, and then sends that report
      // with a new time. Neither report changes the containment state.
      const free = await shown(asset);
      const { signedBy: _, ...old } = before.proof!;
      await forge(way, asset, old);
      await forge(way, asset, { ...old, at: timestamp(Date.now()) });
      expect(await shown(asset)).toEqual(free);
    },
  );

  test("after a key rotation only the new device key proves an isolation, even if the old session is still valid", async () => {
    const asset = await enrolAsset(stack, "rotated");
    await change(asset, "isolate", "network");
    const path = `/v1/assets/${asset.assetId}/rotate-key`;
    const key = crypto.randomUUID();
    const answer = await stack.api(path, { method: "POST", body: { justification: "it was stolen" }, key });
    const { token } = (await answer.json()) as { token: string };
    const device = await makeDevice();
    const host = { hostname: "rotated", employeeId: "dana" };
    expect(await enrolDevice(fetch, stack.edgeUrl, token, device, host)).toMatchObject({
      assetId: asset.assetId,
    });

    expect((await asset.beat({ containment: report(1, "isolate") })).status).toBe(202);
    await settled();
    expect(await shown(asset)).toMatchObject({ state: "pending", reason: UNSIGNED });
    await asset.beat({ containment: await device.sign(asset, report(1, "isolate")) });
    await eventually(async () => (await shown(asset)).state === "enforced");
    expect((await shown(asset)).proof?.signedBy).toBe(device.x);
  });

  test("a revoked host cannot prove an isolation, although its report is signed", async () => {
    const asset = await enrolAsset(stack, "revoked");
    await change(asset, "isolate", "network");
    const revoke = { method: "POST", body: { justification: "it is lost" }, key: crypto.randomUUID() };
    expect((await stack.api(`/v1/assets/${asset.assetId}/revoke`, revoke)).status).toBeLessThan(300);
    const containment = await asset.device.sign(asset, report(1, "isolate"));
    await WAYS["by a message that they put into the queue"]!(
      asset,
      makeHeartbeat(++sequence, Date.now(), "revoked", { containment }),
    );
    await settled();
    expect(await shown(asset)).not.toHaveProperty("proof");
    expect((await shown(asset)).state).toBe("pending");
  });
});
