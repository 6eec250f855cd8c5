/*
 * What the service control manager of Windows and a service tell each other, as bytes and numbers (winsvc.h). Nothing
 * here calls Windows, so all of it can be tested anywhere.
 */

/** dwCurrentState */
export const STATE = { stopped: 1, startPending: 2, stopPending: 3, running: 4 } as const;
export type ServiceState = (typeof STATE)[keyof typeof STATE];

/** Controls of a Handler function. */
export const CONTROL = { stop: 1, interrogate: 4, shutdown: 5 } as const;

const SERVICE_WIN32_OWN_PROCESS = 0x10;
const ACCEPT_STOP = 1;
const ACCEPT_SHUTDOWN = 4;
/** The daemon needs a moment to put away what was not sent; beyond this the manager may take it for hung. */
const STOP_HINT_MS = 10_000;
/** ERROR_SERVICE_SPECIFIC_ERROR: the code of the program is in the field after it. */
const SPECIFIC_ERROR = 1066;

/** A running service may be asked to stop; one that is starting or stopping is left alone. */
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

/** SERVICE_TABLE_ENTRYW of one service and the empty one that ends the table; addresses of a 64-bit process. */
export function serviceTable(
  nameAddress: number | bigint,
  mainAddress: number | bigint,
): Uint8Array<ArrayBuffer> {
  const fields = new DataView(new ArrayBuffer(32));
  fields.setBigUint64(0, BigInt(nameAddress), true);
  fields.setBigUint64(8, BigInt(mainAddress), true);
  return new Uint8Array(fields.buffer);
}

/** UTF-16LE with its terminating zero: a wide string of Windows. */
export function wideString(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array((text.length + 1) * 2);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < text.length; at += 1) view.setUint16(at * 2, text.charCodeAt(at), true);
  return bytes;
}

/** What a control asks for: the state to report, and whether the daemon is to end. */
export function afterControl(state: ServiceState, control: number): { report: ServiceState; ends: boolean } {
  const ends = (control === CONTROL.stop || control === CONTROL.shutdown) && state === STATE.running;
  return { report: ends ? STATE.stopPending : state, ends };
}
