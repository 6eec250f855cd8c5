import type { Reader } from "../reader/file-reader.ts";
import { type Files, optional } from "../system/files.ts";

const CHUNK_BYTES = 256 * 1024;
/**
 * Budget of processor time for hashing in one scan, in milliseconds. Hashing a large executable continues
 * over several scans.
 */
const BUDGET_MS = 3;
/**
 * Budget of the second scan in milliseconds. The second scan hashes most executables. The first scan hashes
 * less, because it has to report the engines quickly.
 */
const SECOND_MS = 15;
const BYTES_MAX = 1024 * 1024 * 1024;
const KNOWN_MAX = 512;
const REMOTE_RETRY_MS = 60_000;

type Work = { path: string; sizeBytes: number; offset: number; hasher: Bun.CryptoHasher };

export type Executables = {
  /** Starts a scan with a new time budget. */
  begin(): void;
  /** SHA-256 in hexadecimal. Undefined if the file is not readable or the hash is not complete yet. */
  sha256(path: string): string | undefined;
  /**
   * SHA-256 of a file on a file system that may not respond. The reader process reads the file. `key`
   * is the cache key of the file.
   */
  sha256Remote(path: string, key: string): string | undefined;
};

/**
 * Hashes executables in small steps and caches the results by inode, size and modification time. `hashMs`
 * replaces the time budget of every scan. Set it if only one scan runs, because no later scan completes the
 * hashes.
 */
export function createExecutables(
  deps: { files: Files; reader: Reader; elapsed: () => number; cpuMs: () => number },
  hashMs?: number,
): Executables {
  const { files } = deps;
  const done = new Map<string, string>();
  const working = new Map<string, Work>();
  /** Shared read buffer. A new buffer per read would keep megabytes allocated until the next garbage collection. */
  const chunk = new Uint8Array(CHUNK_BYTES);
  const remote = new RemoteHashes(deps);
  let scans = 0;
  let endAtMs = 0;
  return {
    begin: () => {
      scans += 1;
      endAtMs = deps.cpuMs() + (hashMs ?? (scans === 2 ? SECOND_MS : BUDGET_MS));
    },
    sha256: (path) => {
      const facts = optional(() => files.facts(path));
      if (!facts?.isFile || facts.sizeBytes > BYTES_MAX) return undefined;
      const key = `${facts.identity} ${facts.sizeBytes} ${facts.modifiedMs}`;
      const known = done.get(key);
      if (known !== undefined) return known;
      const work = working.get(key) ?? {
        path,
        sizeBytes: facts.sizeBytes,
        offset: 0,
        hasher: new Bun.CryptoHasher("sha256"),
      };
      // The path may differ from that of the last call, because several processes have the same executable at
      // `/proc/PID/exe`.
      work.path = path;
      const digest = optional(() => proceed(work));
      if (digest === undefined) {
        if (working.size < KNOWN_MAX) working.set(key, work);
        return undefined;
      }
      working.delete(key);
      if (done.size >= KNOWN_MAX) done.clear();
      done.set(key, digest);
      return digest;
    },
    sha256Remote: (path, key) => remote.sha256(path, key),
  };

  /** Hashes until the budget is used up. Returns the digest if the file has been read completely. */
  function proceed(work: Work): string | undefined {
    while (work.offset < work.sizeBytes) {
      if (deps.cpuMs() > endAtMs) return undefined;
      const bytes = files.bytes(work.path, work.offset, CHUNK_BYTES, chunk);
      if (bytes.length === 0) throw new Error("the executable shrank while it was read");
      work.hasher.update(bytes);
      work.offset += bytes.length;
    }
    return work.hasher.digest("hex");
  }
}

/** Hashes files in the reader process. A failed read is retried after {@link REMOTE_RETRY_MS}. */
class RemoteHashes {
  readonly #deps: { reader: Reader; elapsed: () => number };
  readonly #known = new Map<string, { digest?: string; nextAtMs: number }>();

  constructor(deps: { reader: Reader; elapsed: () => number }) {
    this.#deps = deps;
  }

  sha256(path: string, key: string): string | undefined {
    const { reader, elapsed } = this.#deps;
    const known = this.#known.get(key);
    if (known && known.nextAtMs > elapsed()) return known.digest;
    if (this.#known.size >= KNOWN_MAX) this.#known.clear();
    this.#known.set(key, { nextAtMs: Number.POSITIVE_INFINITY });
    void reader.ask({ op: "sha256", path, sizeBytesMax: BYTES_MAX }, `executable ${key}`).then((outcome) => {
      const isRead = "value" in outcome;
      this.#known.set(
        key,
        isRead
          ? { digest: outcome.value, nextAtMs: Number.POSITIVE_INFINITY }
          : { nextAtMs: elapsed() + REMOTE_RETRY_MS },
      );
    });
    return undefined;
  }
}
