/*
 * The structures and codes that a service exchanges with the Windows service control manager (winsvc.h).
 * Nothing in this file calls Windows functions, so its tests run on every system.
 */

/** Values of dwCurrentState. */
export const STATE = { stopped: 1, startPending: 2, stopPending: 3, running: 4 } as const;
export type ServiceState = (typeof STATE)[keyof typeof STATE];

/** Control codes of a Handler function. */
export const CONTROL = { stop: 1, interrogate: 4, shutdown: 5 } as const;

const SERVICE_WIN32_OWN_PROCESS = 0x10;
const ACCEPT_STOP = 1;
const ACCEPT_SHUTDOWN = 4;
/**
 * Time in milliseconds that the daemon needs to save unsent heartbeats. After that, the manager can treat the
 * service as hung.
 */
const STOP_HINT_MS = 10_000;
/** ERROR_SERVICE_SPECIFIC_ERROR means that the next field contains the program's exit code. */
const SPECIFIC_ERROR = 1066;

/** Controls that the service accepts: stop and shutdown while it runs, and none otherwise. */
const acceptedIn = (state: ServiceState): number =>
  state === STATE.running ? ACCEPT_STOP | ACCEPT_SHUTDOWN : 0;

/** SERVICE_STATUS: seven DWORDs, little-endian. */
export function serviceStatus(state: ServiceState, exitCode = 0): Uint8Array<ArrayBuffer> {
  const fields = new DataView(new ArrayBuffer(28));
  const isPending = state === STATE.startPending || state === STATE.stopPending;
  const values = [
    SERVICE_WIN32_OWN_PROCESS,
    state,
    acceptedIn(state),
    exitCode === 0 ? 0 : SPECIFIC_ERROR,
    exitCode,
    0,
    isPending ? STOP_HINT_MS : 0,
  ];
  for (const [at, value] of values.entries()) fields.setUint32(at * 4, value, true);
  return new Uint8Array(fields.buffer);
}

/**
 * An array of SERVICE_TABLE_ENTRYW that contains one service and ends with an empty entry. Addresses have 64
 * bits.
 */
export function serviceTable(
  nameAddress: number | bigint,
  mainAddress: number | bigint,
): Uint8Array<ArrayBuffer> {
  const fields = new DataView(new ArrayBuffer(32));
  fields.setBigUint64(0, BigInt(nameAddress), true);
  fields.setBigUint64(8, BigInt(mainAddress), true);
  return new Uint8Array(fields.buffer);
}

/** A Windows wide string: UTF-16LE with a terminating zero. */
export function wideString(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array((text.length + 1) * 2);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < text.length; at += 1) view.setUint16(at * 2, text.charCodeAt(at), true);
  return bytes;
}

/** Returns the state to report after a control code, and whether the daemon must end. */
export function afterControl(state: ServiceState, control: number): { report: ServiceState; ends: boolean } {
  const ends = (control === CONTROL.stop || control === CONTROL.shutdown) && state === STATE.running;
  return { report: ends ? STATE.stopPending : state, ends };
}
