import type { Reader } from "../reader/file-reader.ts";
import { type Files, optional } from "../system/files.ts";

/** A large executable is hashed over several scans rather than in one. Budgets are processor time. */
const CHUNK_BYTES = 256 * 1024;
const BUDGET_MS = 3;
/** Who is found goes out first, with the first scan; what they are made of mostly follows with the second. */
const SECOND_MS = 15;
const BYTES_MAX = 1024 * 1024 * 1024;
const KNOWN_MAX = 512;
const REMOTE_RETRY_MS = 60_000;

type Work = { path: string; sizeBytes: number; offset: number; hasher: Bun.CryptoHasher };

export type Executables = {
  /** Starts the time budget of a scan. */
  begin(): void;
  /** SHA-256 in hexadecimal, or undefined while it is being computed or when it cannot be read. */
  sha256(path: string): string | undefined;
  /** The same of a file that may lie on a file system that does not answer; `key` names the file. */
  sha256Remote(path: string, key: string): string | undefined;
};

/**
 * Hashes executables a little at a time, each file once: it is the same while size, inode and time stay. `hashMs`: what
 * every scan may spend on it, where no later one goes on.
 */
export function createExecutables(
  deps: { files: Files; reader: Reader; elapsed: () => number; cpuMs: () => number },
  hashMs?: number,
): Executables {
  const { files } = deps;
  const done = new Map<string, string>();
  const working = new Map<string, Work>();
  /** One buffer for all: a scan that allocates per read keeps megabytes until the next collection. */
  const chunk = new Uint8Array(CHUNK_BYTES);
  const remote = new Map<string, { digest?: string; nextAtMs: number }>();
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
      const digest = optional(() => proceed({ ...work, path }, work));
      if (digest === undefined) {
        if (working.size < KNOWN_MAX) working.set(key, work);
        return undefined;
      }
      working.delete(key);
      if (done.size >= KNOWN_MAX) done.clear();
      done.set(key, digest);
      return digest;
    },
    sha256Remote: (path, key) => {
      const known = remote.get(key);
      if (known && known.nextAtMs > deps.elapsed()) return known.digest;
      if (remote.size >= KNOWN_MAX) remote.clear();
      remote.set(key, { nextAtMs: Number.POSITIVE_INFINITY });
      void deps.reader
        .ask({ op: "sha256", path, sizeBytesMax: BYTES_MAX }, `executable ${key}`)
        .then((outcome) =>
          remote.set(
            key,
            "value" in outcome
              ? { digest: outcome.value, nextAtMs: Number.POSITIVE_INFINITY }
              : { nextAtMs: deps.elapsed() + REMOTE_RETRY_MS },
          ),
        );
      return undefined;
    },
  };

  function proceed(at: Work, work: Work): string | undefined {
    while (work.offset < work.sizeBytes) {
      if (deps.cpuMs() > endAtMs) return undefined;
      const bytes = files.bytes(at.path, work.offset, CHUNK_BYTES, chunk);
      if (bytes.length === 0) throw new Error("the executable became shorter");
      work.hasher.update(bytes);
      work.offset += bytes.length;
    }
    return work.hasher.digest("hex");
  }
}
