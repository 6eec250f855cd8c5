import { requestText } from "../probe/http-client.ts";
import { PROBE_LIMITS, type ProbeOptions, type ProbeResult, type UnixProbe } from "../probe/probe.ts";
import type { Reader } from "../reader/file-reader.ts";
import type { UnixAddress } from "../system/host.ts";

/** Maximum number of concurrent socket requests in the reader process. File reads have to wait for these requests. */
const IN_FLIGHT_MAX = 2;
const TIMEOUT_MS_MAX = 1600;
/**
 * Time in ms to wait for a server that sends data first. This wait happens once per socket. The agent sends
 * nothing to such a server.
 */
const QUIET_MS = 100;
const KNOWN_MAX = 1024;

/**
 * Sends GET requests over unix sockets. The reader process sends them, because the file system of a socket
 * may hang.
 */
export function createUnixProbe(reader: Reader): UnixProbe {
  const quiet = new Set<UnixAddress>();
  const waiting: (() => void)[] = [];
  let inFlight = 0;

  return async (unix, path, options = {}) => {
    while (inFlight >= IN_FLIGHT_MAX) await new Promise<void>((resolve) => waiting.push(resolve));
    if (options.signal?.aborted) return { failed: "silent" };
    inFlight += 1;
    try {
      return await ask(unix, path, options);
    } finally {
      inFlight -= 1;
      waiting.shift()?.();
    }
  };

  async function ask(unix: UnixAddress, path: string, options: ProbeOptions): Promise<ProbeResult> {
    if (quiet.size > KNOWN_MAX) quiet.clear();
    const outcome = await reader.ask(
      {
        op: "socket",
        path: unix.path,
        abstract: unix.abstract,
        inside: unix.inside,
        pids: unix.pids,
        uid: unix.uid,
        quietMs: quiet.has(unix) ? 0 : QUIET_MS,
        request: requestText("localhost", path),
        bodyBytesMax: options.bodyBytesMax ?? PROBE_LIMITS.BODY_BYTES_MAX,
        timeoutMs: Math.min(options.timeoutMs ?? PROBE_LIMITS.TIMEOUT_MS, TIMEOUT_MS_MAX),
      },
      `socket ${unix.path ?? unix.abstract}`,
    );
    if ("miss" in outcome) return { failed: "silent" };
    if ("answer" in outcome.value) {
      quiet.add(unix);
      return outcome.value.answer;
    }
    const { failed } = outcome.value;
    return { failed: failed === "silent" || failed === "refused" ? failed : "not-http" };
  }
}
