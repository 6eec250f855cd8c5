import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { timestamp } from "../../../shared/time/clock.ts";
import type { ContainmentReport, HeartbeatAnswer } from "../../../shared/wire/heartbeat.ts";
import {
  enrolAsset,
  eventually,
  type SimulatedAsset,
  startTestStack,
  type TestStack,
} from "../../support/stack.ts";

/*
 * A table that is restored from a backup has older generations than its hosts have applied. Without
 * protection, the control plane would issue those generations again. An agent ignores a generation that it
 * has already applied, so the host would not change.
 */

const probes = { controlPlaneReachable: true, forbiddenBlocked: true };

describe("a table restored from a backup", () => {
  let stack: TestStack;
  beforeAll(async () => {
    stack = await startTestStack("bun");
  });
  afterAll(() => stack?.stop());

  const report = (generation: number, action: "isolate" | "release"): ContainmentReport => ({
    ...{ generation, action, mode: "network", outcome: "applied", at: timestamp(Date.now()), probes },
  });
  const change = async ({ assetId }: SimulatedAsset, action: "isolate" | "release"): Promise<number> => {
    const body = { justification: "for the test", ...(action === "isolate" && { mode: "network" }) };
    const key = crypto.randomUUID();
    const answer = await stack.api(`/v1/assets/${assetId}/${action}`, { method: "POST", body, key });
    expect(answer.status).toBe(202);
    return ((await answer.json()) as { generation: number }).generation;
  };
  const stateOf = async ({ assetId }: SimulatedAsset): Promise<string> => {
    const asset = (await (await stack.api(`/v1/assets/${assetId}`)).json()) as {
      containment: { state: string };
    };
    return asset.containment.state;
  };
  const isHeard = ({ assetId }: SimulatedAsset) =>
    eventually(async () =>
      stack.lines.some((line) => line.includes("containment.ahead") && line.includes(assetId)),
    );

  test("issues directives that the host applies, although the host applied newer generations before the restore", async () => {
    for (const before of ["isolate", "release"] as const) {
      const asset = await enrolAsset(stack, `restored-${before}`);
      const obeyed = report(7, before);
      await asset.beat({ containment: obeyed });
      await isHeard(asset);
      for (const action of ["isolate", "release"] as const) {
        const generation = await change(asset, action);
        expect(generation).toBe(action === "isolate" ? 8 : 9);
        const told = await eventually(async () => {
          const answer = await asset.beat({
            containment: action === "isolate" ? obeyed : report(8, "isolate"),
          });
          return ((await answer.json()) as HeartbeatAnswer).directive;
        });
        expect(told).toBeString();
        await asset.beat({ containment: report(generation, action) });
        const state = action === "isolate" ? "enforced" : "active";
        await eventually(async () => (await stateOf(asset)) === state);
      }
    }
  }, 60_000);
});
