import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  statSync,
} from "node:fs";

/** Facts of a file after following links. Times in epoch milliseconds. */
export type FileFacts = {
  isFile: boolean;
  isDirectory: boolean;
  sizeBytes: number;
  modifiedMs: number;
  /** `device:inode`, the file's identity whatever its name. */
  identity: string;
  /** Numeric owner, and the permission bits of stat(2). Windows has neither: 0 and what Node makes up. */
  ownerUid: number;
  mode: number;
};

/**
 * The only way a collector touches the file system: reading, bounded. Synchronous, because procfs answers
 * from memory and one `await` costs more than one read of it. Every function throws what the system said.
 */
export type Files = {
  list(path: string): string[];
  link(path: string): string;
  /** At most `bytesMax` bytes, as latin1 when `encoding` says so (procfs), else UTF-8. */
  text(path: string, bytesMax: number, encoding?: "utf8" | "latin1"): string;
  /** What one read gives, as latin1: all of a procfs file that is a single record. */
  line(path: string): string;
  /** The same as UTF-8, at most `bytesMax` bytes. */
  record(path: string, bytesMax: number): string;
  /**
   * Reads up to `length` bytes at `offset`; shorter at the end of the file. Regular files only, whoever puts what in
   * their place. With `into` no memory is taken and the result is a view of it.
   */
  bytes(path: string, offset: number, length: number, into?: Uint8Array): Uint8Array;
  facts(path: string): FileFacts;
};

/**
 * A FIFO in the place of a file would have its reader wait for ever (open(2)); all else reads as without it. Windows
 * knows neither.
 */
const READ_AT_ONCE = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);
const CHUNK_BYTES = 64 * 1024;
const LINE_BYTES_MAX = 4096;

/** Files of this machine. One buffer is reused: nothing here is re-entrant, nothing needs to be. */
export function realFiles(): Files {
  let buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  const readOnce = (path: string, bytesMax: number, encoding: "utf8" | "latin1"): string => {
    const descriptor = openSync(path, READ_AT_ONCE);
    try {
      const count = readSync(descriptor, buffer, 0, Math.min(bytesMax, buffer.length), null);
      return buffer.toString(encoding, 0, count);
    } finally {
      closeSync(descriptor);
    }
  };
  return {
    list: (path) => readdirSync(path),
    link: (path) => readlinkSync(path),
    text: (path, bytesMax, encoding = "utf8") => {
      const descriptor = openSync(path, READ_AT_ONCE);
      try {
        let length = 0;
        for (;;) {
          if (length === buffer.length) buffer = grow(buffer);
          const wanted = Math.min(buffer.length, bytesMax) - length;
          const count = wanted > 0 ? readSync(descriptor, buffer, length, wanted, null) : 0;
          if (count === 0) return buffer.toString(encoding, 0, length);
          length += count;
        }
      } finally {
        closeSync(descriptor);
        // A busy process has megabytes of mappings: that memory is not kept for ever.
        if (buffer.length > CHUNK_BYTES * 16) buffer = Buffer.allocUnsafe(CHUNK_BYTES);
      }
    },
    line: (path) => readOnce(path, LINE_BYTES_MAX, "latin1"),
    record: (path, bytesMax) => readOnce(path, bytesMax, "utf8"),
    bytes: (path, offset, length, into = new Uint8Array(length)) => {
      const descriptor = openRegular(path);
      try {
        return into.subarray(0, readSync(descriptor, into, 0, length, offset));
      } finally {
        closeSync(descriptor);
      }
    },
    facts: (path) => {
      const stat = statSync(path);
      return {
        isFile: stat.isFile(),
        isDirectory: stat.isDirectory(),
        sizeBytes: stat.size,
        modifiedMs: stat.mtimeMs,
        identity: `${stat.dev}:${stat.ino}`,
        ownerUid: stat.uid,
        mode: stat.mode & 0o7777,
      };
    },
  };
}

/** Linux: takes hold of a file without opening it (open(2)). Node has no name for it. */
const O_PATH = process.platform === "linux" ? 0o10000000 : undefined;

/** A device may act on being opened, a watchdog for one: it is looked at first, and what was looked at is opened. */
function openRegular(path: string): number {
  const held = openSync(path, O_PATH ?? READ_AT_ONCE);
  let isKept = false;
  try {
    if (!fstatSync(held).isFile()) throw new Error("not a regular file");
    isKept = O_PATH === undefined;
    return isKept ? held : openSync(`/proc/self/fd/${held}`, READ_AT_ONCE);
  } finally {
    if (!isKept) closeSync(held);
  }
}

function grow(buffer: Buffer<ArrayBuffer>): Buffer<ArrayBuffer> {
  const larger = Buffer.allocUnsafe(buffer.length * 2);
  buffer.copy(larger);
  return larger;
}

/** Why something could not be read. `gone`: it ended meanwhile, which is no fault. */
export type Miss = "gone" | "denied" | "failed";

const GONE = new Set(["ENOENT", "ESRCH", "ENOTDIR"]);
const DENIED = new Set(["EACCES", "EPERM"]);

/** The value, or why there is none. Collectors degrade, they never throw. */
export function attempt<T>(read: () => T): { value: T } | { miss: Miss } {
  try {
    return { value: read() };
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    if (typeof code === "string" && GONE.has(code)) return { miss: "gone" };
    if (typeof code === "string" && DENIED.has(code)) return { miss: "denied" };
    return { miss: "failed" };
  }
}

/** The value, or undefined whatever the reason: for what is worth having but not worth a word. */
export function optional<T>(read: () => T): T | undefined {
  const result = attempt(read);
  return "value" in result ? result.value : undefined;
}
