import type { Host } from "../system/host.ts";

/** Host of a platform without collectors. Every scan reports all collectors as `unsupported`. */
export function unsupportedHost({ platform }: { platform: string }): Host {
  const names = ["processes", "listeners", "weights", "libraries", "gpu"];
  return {
    observe: async () => ({
      processes: new Map(),
      listeners: [],
      weights: new Map(),
      libraries: new Map(),
      gpu: new Map(),
      collectors: names.map((name) => ({
        name,
        status: "unsupported",
        detail: `no collector for ${platform}`,
      })),
    }),
    peers: () => ({ peers: new Map(), collector: { name: "clients", status: "unsupported" } }),
    workingDirectory: () => undefined,
    executableFile: () => undefined,
  };
}
