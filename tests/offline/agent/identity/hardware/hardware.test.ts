import { describe, expect, test } from "bun:test";
import { fingerprintFor, readHardware } from "../../../../../agent/identity/hardware/fingerprint.ts";
import { genuine, identifiersOf } from "../../../../../agent/identity/hardware/identifiers.ts";
import {
  parseIoreg,
  parseWindows,
  type ReadDeps,
} from "../../../../../agent/identity/hardware/read-identifiers.ts";
import { tenantOfToken } from "../../../../../agent/identity/token-tenant.ts";
import { signEnrolmentToken } from "../../../../../shared/wire/enrolment-token.ts";
import { hardware, isOtherMachine } from "../../../../../shared/wire/hardware.ts";
import { makeSigningKey } from "../../../../support/control/authority.ts";

const UUID = "4c4c4544-0033-4a10-8051-b4c04f4e3532";

/**
 * documented: output of `ioreg -rd1 -c IOPlatformExpertDevice`, reduced to the relevant members and their
 * neighbours.
 */
const IOREG = `+-o MacBookPro18,3  <class IOPlatformExpertDevice, id 0x10000025a, registered, matched, active, busy 0 (104 ms), retain 39>
    {
      "compatible" = <"MacBookPro18,3","AppleARM">
      "IOPlatformUUID" = "6E0B1A5C-3D2F-5A44-9C7B-0F1E2D3C4B5A"
      "IOPlatformSerialNumber" = "C02XG2JHJG5J"
      "target-type" = <"J314s">
      "manufacturer" = <"Apple Inc.">
    }
`;

const linux = (files: Record<string, string>, namespace = "pid:[4026531836]"): ReadDeps => ({
  platform: "linux",
  run: async () => ({ code: 127, stdout: "", stderr: "" }),
  read: (path) => files[path],
  readLink: (path) => (path === "/proc/self/ns/pid" ? namespace : undefined),
});

const DMI = {
  "/sys/class/dmi/id/product_uuid": `${UUID.toUpperCase()}\n`,
  "/sys/class/dmi/id/product_serial": "3J0QNT3\n",
  "/sys/class/dmi/id/board_serial": "/3J0QNT3/CNFCW0008U00FD/\n",
  "/etc/machine-id": "3d1219c7c4c5404aaa1f6d2a48adfda4\n",
};

describe("genuine()", () => {
  test.each([
    "00000000-0000-0000-0000-000000000000",
    "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
    "fefefefe-fefe-fefe-fefe-fefefefefefe",
    "03000200-0400-0500-0006-000700080009",
    "To be filled by O.E.M.",
    "  To Be Filled By O.E.M.\n",
    "Default string",
    "None",
    "Not Specified",
    "System Serial Number",
    "0123456789",
    "XXXXXXXX",
    "........",
    "0",
    "",
    "uninitialized\n",
  ])("ignores the placeholder %j", (text) => expect(genuine(text)).toBeUndefined());

  test.each([
    [`{${UUID.toUpperCase()}}\n`, UUID],
    ["100000004cf1a2b3\0", "100000004cf1a2b3"],
    ["VMware-56 4d  a1 b2 c3", "vmware-56 4d a1 b2 c3"],
    // Genuine identifiers that look similar to a placeholder of each kind.
    ["00000000-0000-0000-0000-ac1f6b0c2d1e", "00000000-0000-0000-0000-ac1f6b0c2d1e"],
    ["Default string 7", "default string 7"],
  ])("normalises %j", (text, spelt) => expect(genuine(text)).toBe(spelt));
});

describe("readHardware()", () => {
  test("on Linux: uses the UUID of the mainboard, independent of serial numbers and of the installation", async () => {
    const read = await readHardware("org_a", linux(DMI));
    expect(read).toEqual(fingerprintFor("org_a", { strength: "board", values: [UUID] }));
    const { "/etc/machine-id": _, ...reinstalled } = DMI;
    const filledIn = { ...reinstalled, "/sys/class/dmi/id/board_serial": "Default string\n" };
    expect(await readHardware("org_a", linux(filledIn))).toEqual(read!);
    expect(hardware.parse(read)).toEqual(read!);
  });

  test("differs between mainboards and between tenants, and contains no identifier", async () => {
    const one = (await readHardware("org_a", linux(DMI)))!;
    const other = await readHardware(
      "org_a",
      linux({ ...DMI, "/sys/class/dmi/id/product_uuid": UUID.replace("3", "4") }),
    );
    expect(other!.strength).toBe("board");
    expect(new Set([one.id, other!.id, (await readHardware("org_b", linux(DMI)))!.id]).size).toBe(3);
  });

  test("uses the serial numbers of a mainboard that has no UUID", async () => {
    const files = { ...DMI, "/sys/class/dmi/id/product_uuid": "03000200-0400-0500-0006-000700080009\n" };
    expect(await readHardware("org_a", linux(files))).toEqual(
      fingerprintFor("org_a", { strength: "board", values: ["3j0qnt3", "/3j0qnt3/cnfcw0008u00fd/"] }),
    );
  });

  test("on an ARM board: uses the serial number of the device tree", async () => {
    const files = { "/proc/device-tree/serial-number": "100000004cf1a2b3\0" };
    expect(await readHardware("org_a", linux(files))).toEqual(
      fingerprintFor("org_a", { strength: "board", values: ["100000004cf1a2b3"] }),
    );
  });

  test("without permission to read the mainboard, or in a container: uses the machine id, and says so in `strength`", async () => {
    const machine = fingerprintFor("org_a", {
      strength: "machine",
      values: ["3d1219c7c4c5404aaa1f6d2a48adfda4"],
    });
    expect(await readHardware("org_a", linux({ "/etc/machine-id": DMI["/etc/machine-id"] }))).toEqual(
      machine,
    );
    expect(await readHardware("org_a", linux(DMI, "pid:[4026532412]"))).toEqual(machine);
  });

  test("is undefined for a machine without identifiers", async () => {
    expect(await readHardware("org_a", linux({}))).toBeUndefined();
    expect(await readHardware("org_a", linux({ "/etc/machine-id": "uninitialized\n" }))).toBeUndefined();
    expect(await readHardware("org_a", { ...linux(DMI), platform: "freebsd" })).toBeUndefined();
  });

  test("on macOS and Windows: uses programs of the system, and is undefined if they fail", async () => {
    const by = (platform: NodeJS.Platform, stdout: string, code = 0) =>
      readHardware("org_a", { ...linux({}), platform, run: async () => ({ code, stdout, stderr: "" }) });
    expect(await by("darwin", IOREG)).toEqual(
      fingerprintFor("org_a", { strength: "board", values: ["6e0b1a5c-3d2f-5a44-9c7b-0f1e2d3c4b5a"] }),
    );
    const windows = `{"u":"${UUID.toUpperCase()}","s":"3J0QNT3","b":null,"m":"8c2f1d9e-6b0a-4c3d-9e8f-7a6b5c4d3e2f"}\r\n`;
    expect(await by("win32", windows)).toEqual(
      fingerprintFor("org_a", { strength: "board", values: [UUID] }),
    );
    expect(await by("darwin", IOREG, 1)).toBeUndefined();
    expect(await by("win32", "")).toBeUndefined();
  });
});

test("parseIoreg() and parseWindows() read the members that are present", () => {
  expect(parseIoreg(IOREG)).toEqual({
    uuid: "6E0B1A5C-3D2F-5A44-9C7B-0F1E2D3C4B5A",
    serials: ["C02XG2JHJG5J"],
  });
  expect(parseIoreg("")).toEqual({ uuid: undefined, serials: [undefined] });
  expect(parseWindows('{"u":null,"s":"None","b":"BSN12345","m":"guid"}')).toEqual({
    uuid: undefined,
    serials: ["None", "BSN12345"],
    machineId: "guid",
  });
  for (const text of ["", "null", "[1]", "Access denied"])
    expect(identifiersOf(parseWindows(text))).toBeUndefined();
});

test("isOtherMachine() compares only fingerprints of mainboards; for others the result is unknown", () => {
  const board = (id: string) => ({ id, strength: "board" as const });
  const machine = (id: string) => ({ id, strength: "machine" as const });
  expect(isOtherMachine(board("a"), board("b"))).toBe(true);
  for (const [a, b] of [
    [board("a"), board("a")],
    [board("a"), machine("b")],
    [machine("a"), board("b")],
    [machine("a"), machine("b")],
    [board("a"), undefined],
    [undefined, board("b")],
  ])
    expect(isOtherMachine(a, b)).toBe(false);
});

test("tenantOfToken() reads the tenant of a token, and rejects any other text", async () => {
  const control = await makeSigningKey("control-1");
  const token = await signEnrolmentToken(control.key, { tenant: "org_a", jti: "j", uses: 1 }, 2_000_000_000);
  expect(tenantOfToken(token)).toBe("org_a");
  for (const text of ["", "a.b.c", "no token"]) expect(tenantOfToken(text)).toBeUndefined();
});
