import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createDirectiveHandler, type DirectiveHandler } from "../../../../agent/contain/apply-directive.ts";
import type { Enforcer, Proof } from "../../../../agent/contain/modes/enforcer.ts";
import { readCodeResult, submitCode } from "../../../../agent/contain/release-code-file.ts";
import { isUnrecordedRelease } from "../../../../shared/containment/containment-state.ts";
import { signDirective } from "../../../../shared/wire/directive.ts";
import { containmentReport, MODES, type Mode } from "../../../../shared/wire/heartbeat.ts";
import { type ReleaseCode, signReleaseCode } from "../../../../shared/wire/release-code.ts";
import {
  ASSET,
  controlKeys,
  directiveClaims,
  removeTemporaryDirectories,
  TENANT,
  temporaryDirectory,
} from "../report/send-edge.ts";

const signal = new AbortController().signal;
const NOW_SECONDS = Math.floor(Date.now() / 1000);
let keys: Awaited<ReturnType<typeof controlKeys>>;
let directory: string;
let done: string[];
let undone: Proof;
let clockMs: number;

function open(): DirectiveHandler {
  const recorder = (mode: Mode): Enforcer => {
    const record = (verb: string, proof: () => Proof) => async () => {
      done.push(`${verb} ${mode}`);
      return proof();
    };
    const applied = (): Proof => ({
      outcome: "applied",
      probes: { controlPlaneReachable: true, forbiddenBlocked: true },
    });
    return {
      apply: record("apply", applied),
      release: record("release", () => undone),
      reassert: record("reassert", applied),
    };
  };
  return createDirectiveHandler({
    directory,
    self: () => ({ tenantId: TENANT, assetId: ASSET, jwks: keys.jwks }),
    enforcers: Object.fromEntries(MODES.map((mode) => [mode, recorder(mode)])) as Record<Mode, Enforcer>,
    clock: () => clockMs,
    since: () => clockMs,
    elapsed: () => 0,
    log: () => {},
    onReport: () => {},
  });
}

const codeOf = (claims: Partial<ReleaseCode> = {}, control = keys.control): Promise<string> =>
  signReleaseCode(control, {
    tenant: TENANT,
    asset: ASSET,
    generation: 3,
    jti: "01JD8Z000000000000000000AA",
    iat: NOW_SECONDS,
    exp: NOW_SECONDS + 3600,
    ...claims,
  });

async function isolated(): Promise<DirectiveHandler> {
  const handler = open();
  const claims = { ...directiveClaims(), generation: 3, mode: "network" as const };
  await handler.handle(await signDirective(keys.control, claims), signal);
  done.length = 0;
  return handler;
}

beforeEach(async () => {
  keys = await controlKeys();
  directory = temporaryDirectory();
  done = [];
  undone = { outcome: "applied" };
  clockMs = NOW_SECONDS * 1000;
});
afterEach(removeTemporaryDirectories);

describe("a release code", () => {
  test("releases the host without a connection, and the next heartbeat reports it", async () => {
    const handler = await isolated();
    const code = await codeOf();
    submitCode(directory, code);
    await handler.reassert(signal);
    expect(done).toEqual(["release network"]);
    expect(readCodeResult(directory, code)).toEqual({ code, freed: true });
    const report = handler.report();
    expect(report).toMatchObject({ generation: 3, action: "release", outcome: "applied" });
    expect(report.reason).toContain("01JD8Z000000000000000000AA");
    expect(isUnrecordedRelease({ generation: report.generation }, report)).toBe(true);
    expect(containmentReport.safeParse(report).success).toBe(true);
    expect(open().report()).toEqual(report);
  });

  test("submitted a second time gets its own result", async () => {
    const handler = await isolated();
    const code = await codeOf();
    submitCode(directory, code);
    await handler.reassert(signal);
    submitCode(directory, code);
    expect(readCodeResult(directory, code)).toBeUndefined();
    await handler.reassert(signal);
    expect(readCodeResult(directory, code)).toMatchObject({
      freed: false,
      reason: "the code was already used",
    });
  });

  test("submitted while the daemon was stopped is applied when the daemon starts", async () => {
    await isolated();
    submitCode(directory, await codeOf());
    await open().resume(signal);
    expect(done).toEqual(["release network"]);
  });

  test("is one-time, and is refused for a later isolation", async () => {
    const handler = await isolated();
    const code = await codeOf();
    submitCode(directory, code);
    await handler.reassert(signal);
    submitCode(directory, code);
    await handler.reassert(signal);
    expect(readCodeResult(directory, code)?.reason).toBe("the code was already used");
    const later = { ...directiveClaims(), generation: 4, mode: "network" as const };
    await handler.handle(await signDirective(keys.control, later), signal);
    const old = await codeOf({ jti: "01JD8Z000000000000000000BB" });
    submitCode(directory, old);
    await handler.reassert(signal);
    expect(readCodeResult(directory, old)?.reason).toBe("the code is older than the isolation");
    expect(done).toEqual(["release network", "apply network", "reassert network"]);
  });

  test.each([
    ["of another asset", { asset: "01JD8Z0000000000000000XXXX" }],
    ["of another tenant", { tenant: "org_other" }],
    ["that has expired", { iat: NOW_SECONDS - 7200, exp: NOW_SECONDS - 1 }],
  ])("%s is refused", async (_what, claims) => {
    const handler = await isolated();
    const code = await codeOf(claims);
    submitCode(directory, code);
    await handler.reassert(signal);
    expect(readCodeResult(directory, code)?.freed).toBe(false);
    expect(done).toEqual(["reassert network"]);
  });

  test("is refused if it is signed by an unknown key, is a directive, or is not a token", async () => {
    const handler = await isolated();
    const stranger = await codeOf({}, (await controlKeys()).control);
    const directive = await signDirective(keys.control, {
      ...directiveClaims(),
      generation: 9,
      action: "release",
    });
    for (const code of [stranger, directive, "", "a.b.c"]) {
      submitCode(directory, code);
      await handler.reassert(signal);
      expect(readCodeResult(directory, code)?.freed).toBe(false);
    }
    expect(done).not.toContain("release network");
  });

  test("can be used again after a failed release", async () => {
    const handler = await isolated();
    undone = { outcome: "failed", reason: "nft is gone" };
    const code = await codeOf();
    submitCode(directory, code);
    await handler.reassert(signal);
    expect(readCodeResult(directory, code)).toEqual({ code, freed: false, reason: "nft is gone" });
    expect(handler.report().action).toBe("isolate");
    undone = { outcome: "applied" };
    submitCode(directory, code);
    await handler.reassert(signal);
    expect(readCodeResult(directory, code)?.freed).toBe(true);
  });

  test("has no effect on a host that is not isolated", async () => {
    const code = await codeOf();
    submitCode(directory, code);
    await open().reassert(signal);
    expect(readCodeResult(directory, code)?.reason).toBe("this host is not isolated");
  });
});
