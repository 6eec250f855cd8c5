import type { Pointer } from "bun:ffi";
import type { Log } from "../platform/log.ts";
import { SERVICE_NAME } from "./windows-directory.ts";
import {
  afterControl,
  type ServiceState,
  STATE,
  serviceStatus,
  serviceTable,
  wideString,
} from "./windows-status.ts";

/** An address as returned by bun:ffi: a number, or a bigint if a number would not be exact. */
type Address = Pointer | bigint;

export type ServiceManager = {
  /**
   * Reports to the service control manager that the service has stopped. The manager can end the process
   * right after this call.
   */
  stopped: (exitCode: number) => void;
};

export type ManagerDeps = {
  /** Called when the system requests a stop or shuts down. */
  stop: () => void;
  log: Log;
};

/**
 * Connects to the service control manager that started this process. If the manager did not start it, this has no
 * effect. Windows only. Source: learn.microsoft.com, "Service Programs".
 *
 * The dispatcher blocks its thread until the service has stopped, so it runs in a separate thread. It has the signature of
 * a thread function (one pointer as argument, a number as result), so CreateThread can start it directly.
 *
 * Windows calls ServiceMain and Handler on its own threads. Their callbacks are queued for the event loop's thread and
 * return immediately, so both must be void. ServiceMain can return while the service runs, and
 * RegisterServiceCtrlHandlerW accepts a Handler without a result.
 */
export async function connectManager(deps: ManagerDeps): Promise<ServiceManager> {
  const windows = await openWindows();
  const name = wideString(SERVICE_NAME);
  let state: ServiceState = STATE.startPending;
  let handle: Address | undefined;

  const report = (next: ServiceState, exitCode = 0): void => {
    state = next;
    if (handle !== undefined && !windows.setServiceStatus(handle, serviceStatus(next, exitCode)))
      deps.log("error", "service.status-refused", { state: next });
  };
  const handler = windows.callback(["u32"], (control) => {
    const { report: next, ends } = afterControl(state, control);
    if (next !== state) report(next);
    if (!ends) return;
    deps.log("info", "service.stop-requested", { control });
    deps.stop();
  });
  const main = windows.callback(["u32", "ptr"], () => {
    handle = windows.registerHandler(name, handler);
    report(STATE.running);
    deps.log("info", "service.connected");
  });
  windows.startDispatcher(serviceTable(windows.addressOf(name), main));
  return { stopped: (exitCode) => report(STATE.stopped, exitCode) };
}

/** Objects whose addresses were passed to Windows. They must not be garbage-collected while the process runs. */
const held: unknown[] = [];

function hold<T>(value: T): T {
  held.push(value);
  return value;
}

/** The Windows functions that a service needs. Throws if one is missing. */
async function openWindows() {
  const { dlopen, JSCallback, ptr } = await import("bun:ffi");
  const { symbols: services } = dlopen("advapi32.dll", {
    RegisterServiceCtrlHandlerW: { args: ["ptr", "ptr"], returns: "ptr" },
    SetServiceStatus: { args: ["ptr", "ptr"], returns: "i32" },
  });
  const { symbols: kernel } = dlopen("kernel32.dll", {
    CreateThread: { args: ["ptr", "usize", "ptr", "ptr", "u32", "ptr"], returns: "ptr" },
    GetModuleHandleW: { args: ["ptr"], returns: "ptr" },
    GetProcAddress: { args: ["ptr", "ptr"], returns: "ptr" },
  });
  const given = (what: string, value: Address | null): Address => {
    if (value === null) throw new Error(`Windows did not return a ${what}`);
    return value;
  };
  return {
    addressOf: (bytes: Uint8Array) => ptr(hold(bytes)),
    callback: (args: ("u32" | "ptr")[], act: (first: number) => void): Address =>
      given("callback", hold(new JSCallback(act, { args, returns: "void", threadsafe: true })).ptr),
    registerHandler: (name: Uint8Array, handler: Address): Address =>
      given("service handle", services.RegisterServiceCtrlHandlerW(ptr(name), handler)),
    setServiceStatus: (handle: Address, status: Uint8Array): boolean =>
      services.SetServiceStatus(handle, ptr(status)) !== 0,
    startDispatcher: (table: Uint8Array): void => {
      const library = given("library", kernel.GetModuleHandleW(ptr(wideString("advapi32.dll"))));
      const symbol = new TextEncoder().encode("StartServiceCtrlDispatcherW\0");
      const entry = given("dispatcher", kernel.GetProcAddress(library, ptr(symbol)));
      given("thread", kernel.CreateThread(null, 0, entry, ptr(hold(table)), 0, null));
    },
  };
}
