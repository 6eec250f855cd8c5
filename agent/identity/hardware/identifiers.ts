/** Identifiers of a machine before hashing. They are never sent. */
export type Identifiers = {
  strength: "board" | "machine";
  /** At least one, normalised. */
  values: readonly string[];
};

/** Identifiers as the platform reports them. A member can be absent, or a placeholder of the manufacturer. */
export type RawIdentifiers = {
  /** SMBIOS UUID, or its equivalent on the platform. */
  uuid?: string | undefined;
  serials?: readonly (string | undefined)[];
  /** Identifier of the installed operating system. */
  machineId?: string | undefined;
};

/** Placeholders that firmware reports when no serial number was set. Compared after {@link normalise}. */
const PLACEHOLDERS: ReadonlySet<string> = new Set([
  "0123456789",
  "1234567890",
  "123456789",
  "12345678",
  "base board serial number",
  "board serial number",
  "chassis serial number",
  "default string",
  "default",
  "empty",
  "invalid",
  "n/a",
  "none",
  "not applicable",
  "not available",
  "not defined",
  "not present",
  "not specified",
  "null",
  "o.e.m.",
  "oem",
  "serial number",
  "sernum0",
  "system serial number",
  "system serialnumber",
  "to be filled by o.e.m",
  "to be filled by o.e.m.",
  "to be filled by oem",
  "type2 - board serial number",
  "undefined",
  "uninitialized",
  "unknown",
  "xxxxxxxxxxx",
]);

/** UUIDs that many mainboards share, because the manufacturer never set one. */
const SHARED_UUIDS: ReadonlySet<string> = new Set([
  "00020003-0004-0005-0006-000700080009",
  "03000200-0400-0500-0006-000700080009",
  "00112233-4455-6677-8899-aabbccddeeff",
  "11111111-2222-3333-4444-555555555555",
  "12345678-1234-5678-90ab-cddeefaabbcc",
  "12345678-1234-1234-1234-123456789abc",
  "01234567-8910-1112-1314-151617181920",
]);

const CHARACTERS_MIN = 4;
const CHARACTERS_MAX = 200;

/** One spelling of an identifier. Firmware versions and operating systems differ in case, braces and spaces. */
const normalise = (text: string): string =>
  text
    .replaceAll("\0", "")
    .trim()
    .replace(/^\{(.*)\}$/, "$1")
    .replace(/\s+/g, " ")
    .toLowerCase();

/** The normalised identifier; undefined for a placeholder that many machines share. */
export function genuine(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const value = normalise(text);
  if (value.length < CHARACTERS_MIN || value.length > CHARACTERS_MAX) return undefined;
  if (PLACEHOLDERS.has(value) || SHARED_UUIDS.has(value)) return undefined;
  // One or two characters repeated: zeros, `ff`, `fe`, `xx`, dots.
  const bare = value.replace(/[-:. _]/g, "");
  if (bare === "" || /^(.)\1*$/.test(bare) || /^(..)\1+$/.test(bare)) return undefined;
  return value;
}

/**
 * The identifiers to hash: the UUID alone if there is one, else the serial numbers, else the machine id. Serial numbers do not
 * count beside a UUID, because a firmware update can fill one in. In a container the board is ignored: it belongs to the host,
 * which many containers share.
 */
export function identifiersOf(raw: RawIdentifiers, isContainer = false): Identifiers | undefined {
  if (!isContainer) {
    const uuid = genuine(raw.uuid);
    if (uuid !== undefined) return { strength: "board", values: [uuid] };
    const serials = (raw.serials ?? []).map(genuine).filter((serial) => serial !== undefined);
    if (serials.length > 0) return { strength: "board", values: [...new Set(serials)] };
  }
  const machineId = genuine(raw.machineId);
  return machineId === undefined ? undefined : { strength: "machine", values: [machineId] };
}
