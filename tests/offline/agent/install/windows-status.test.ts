import { describe, expect, test } from "bun:test";
import {
  afterControl,
  CONTROL,
  STATE,
  serviceStatus,
  serviceTable,
  wideString,
} from "../../../../agent/install/windows-status.ts";

/** The members of SERVICE_STATUS (winsvc.h, learn.microsoft.com): seven DWORDs in this order. */
const FIELDS = ["type", "state", "accepted", "exit", "specificExit", "checkPoint", "waitHint"] as const;
const fieldsOf = (bytes: Uint8Array<ArrayBuffer>) => {
  const view = new DataView(bytes.buffer);
  return Object.fromEntries(FIELDS.map((name, at) => [name, view.getUint32(at * 4, true)]));
};

describe("serviceStatus()", () => {
  test("of a running service accepts stop and shutdown, without a wait hint", () => {
    const status = serviceStatus(STATE.running);
    expect(status.byteLength).toBe(28);
    expect(fieldsOf(status)).toEqual({
      type: 0x10,
      state: 4,
      accepted: 5,
      exit: 0,
      specificExit: 0,
      checkPoint: 0,
      waitHint: 0,
    });
  });
  test.each([STATE.startPending, STATE.stopPending])(
    "of a pending service (%i) accepts no control and has a wait hint",
    (state) => {
      expect(fieldsOf(serviceStatus(state))).toMatchObject({ state, accepted: 0, waitHint: 10_000 });
    },
  );
  test("of a stopped service contains the program's exit code, and 0 after success", () => {
    expect(fieldsOf(serviceStatus(STATE.stopped, 1))).toMatchObject({
      state: 1,
      exit: 1066,
      specificExit: 1,
    });
    expect(fieldsOf(serviceStatus(STATE.stopped))).toMatchObject({ exit: 0, specificExit: 0, waitHint: 0 });
  });
});

test("serviceTable() has one entry of two addresses and an empty entry at the end", () => {
  const view = new DataView(serviceTable(0x7fff_1234_5678, 2n ** 60n).buffer);
  expect([0, 8, 16, 24].map((at) => view.getBigUint64(at, true))).toEqual([
    0x7fff_1234_5678n,
    2n ** 60n,
    0n,
    0n,
  ]);
});

test("wideString() is UTF-16LE and ends with a zero character", () => {
  expect([...wideString("Lé😀")]).toEqual([0x4c, 0, 0xe9, 0, 0x3d, 0xd8, 0x00, 0xde, 0, 0]);
});

describe("afterControl()", () => {
  test.each([
    [STATE.running, CONTROL.stop, { report: STATE.stopPending, ends: true }],
    [STATE.running, CONTROL.shutdown, { report: STATE.stopPending, ends: true }],
    [STATE.running, CONTROL.interrogate, { report: STATE.running, ends: false }],
    [STATE.running, 2, { report: STATE.running, ends: false }],
    [STATE.startPending, CONTROL.stop, { report: STATE.startPending, ends: false }],
    [STATE.stopPending, CONTROL.stop, { report: STATE.stopPending, ends: false }],
    [STATE.stopped, CONTROL.shutdown, { report: STATE.stopped, ends: false }],
  ] as const)("in state %i with control %i returns %j", (state, control, expected) => {
    expect(afterControl(state, control)).toEqual(expected);
  });
});
