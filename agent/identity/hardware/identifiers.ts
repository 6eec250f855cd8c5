/** Identifiers of a machine before hashing. They are never sent. */
export type Identifiers = {
  strength: "board" | "machine";
  /** At least one normalised identifier. */
  values: readonly string[];
};

/** Identifiers as reported by the platform. An identifier can be absent or a manufacturer's placeholder. */
export type RawIdentifiers = {
  /** SMBIOS UUID, or its equivalent on the platform. */
  uuid?: string | undefined;
  serials?: readonly (string | undefined)[];
  /** Identifier of the installed operating system. */
  machineId?: string | undefined;
};

/**
 * Placeholders that firmware reports when no serial number was set. Entries have the format that {@link
 * normalise} returns.
 */
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

/** Normalises an identifier, because firmware versions and operating systems differ in case, braces and spaces. */
const normalise = (text: string): string =>
  text
    .replaceAll("\0", "")
    .trim()
    .replace(/^\{(.*)\}$/, "$1")
    .replace(/\s+/g, " ")
    .toLowerCase();

/** Returns the normalised identifier. Undefined for a placeholder that many machines share. */
export function genuine(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const value = normalise(text);
  if (value.length < CHARACTERS_MIN || value.length > CHARACTERS_MAX) return undefined;
  if (PLACEHOLDERS.has(value) || SHARED_UUIDS.has(value)) return undefined;
  // The pattern matches one or two repeated characters, such as zeros, `ff`, `fe`, `xx` or dots.
  const bare = value.replace(/[-:. _]/g, "");
  if (bare === "" || /^(.)\1*$/.test(bare) || /^(..)\1+$/.test(bare)) return undefined;
  return value;
}

/**
 * Selects the identifiers to hash: only the UUID if there is one, otherwise the serial numbers, otherwise the
 * machine id. Serial numbers are ignored if there is a UUID, because a firmware update can set a missing
 * serial number. In a container, mainboard identifiers are ignored, because other containers on the same host
 * have the same ones.
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
