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

/** Facts about a file. Symbolic links are followed. Times are in epoch milliseconds. */
export type FileFacts = {
  isFile: boolean;
  isDirectory: boolean;
  sizeBytes: number;
  modifiedMs: number;
  /** `device:inode`, which identifies the file independently of its name. */
  identity: string;
  /** Numeric owner and permission bits from stat(2). On Windows the owner is 0 and Node emulates the bits. */
  ownerUid: number;
  mode: number;
};

/**
 * Bounded file reads. Collectors have no other access to the file system. The reads are synchronous, because
 * reading procfs does not wait for a disk and one `await` costs more than one such read. Every function
 * throws the system's error.
 */
export type Files = {
  list(path: string): string[];
  link(path: string): string;
  /** Reads at most `bytesMax` bytes of the file. `latin1` is faster and is suitable for procfs. Default: UTF-8. */
  text(path: string, bytesMax: number, encoding?: "utf8" | "latin1"): string;
  /**
   * Returns the result of a single read(2) as latin1. For a procfs file with one record, this is the whole
   * content.
   */
  line(path: string): string;
  /** Returns the result of a single read(2) of at most `bytesMax` bytes as UTF-8. */
  record(path: string, bytesMax: number): string;
  /**
   * Reads up to `length` bytes at `offset`, or fewer at the end of the file. Throws if the path is not a
   * regular file, even if the file is replaced during the call. With `into`, the result is a view of that
   * buffer.
   */
  bytes(path: string, offset: number, length: number, into?: Uint8Array): Uint8Array;
  facts(path: string): FileFacts;
};

/**
 * Opens without waiting. Without O_NONBLOCK, opening a FIFO that has replaced a file would block for ever
 * (open(2)). The flag has no effect on regular files. Windows has no such flag.
 */
const READ_AT_ONCE = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);
const CHUNK_BYTES = 64 * 1024;
const LINE_BYTES_MAX = 4096;

/**
 * The file system of this machine. All functions share one buffer. This is safe, because none of them is
 * re-entrant.
 */
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
        // Reading the memory maps of one process may have enlarged the buffer to megabytes, so free it.
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

/**
 * Flag of Linux that returns a descriptor of a file without opening it for reading (open(2)). Node does not
 * export the constant.
 */
const O_PATH = process.platform === "linux" ? 0o10000000 : undefined;

/**
 * Opens a regular file. Opening a device can have side effects, such as starting a watchdog. Therefore the
 * file type is checked on a descriptor first, and the file behind that descriptor is then opened.
 */
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

/** Reason why a read failed. `gone`: the process or file no longer exists, which is not an error. */
export type Miss = "gone" | "denied" | "failed";

const GONE = new Set(["ENOENT", "ESRCH", "ENOTDIR"]);
const DENIED = new Set(["EACCES", "EPERM"]);

/**
 * Runs a read and returns its value or the reason for the failure. Collectors use this function so that they
 * never throw.
 */
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

/**
 * Runs a read and returns its value, or undefined on any error. Use it for optional facts whose absence is
 * not reported.
 */
export function optional<T>(read: () => T): T | undefined {
  const result = attempt(read);
  return "value" in result ? result.value : undefined;
}

/** Decodes bytes as latin1, one character per byte. */
export const latin1Of = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
