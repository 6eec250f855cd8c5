import { dlopen } from "bun:ffi";
import { closeSync, fstatSync } from "node:fs";
import { optional } from "./files.ts";

/**
 * Device number of anonymous shared memory, formatted as in `/proc/PID/maps`, for example `00:01`. Files
 * created with memfd_create(2) and shmget(2) are on a file system that the kernel mounts internally, so no
 * mount table lists it.
 */
export function memoryDevice(platform: string): string | undefined {
  if (platform !== "linux") return undefined;
  return optional(() => {
    const { symbols, close } = dlopen("libc.so.6", {
      memfd_create: { args: ["cstring", "u32"], returns: "i32" },
    });
    const descriptor = symbols.memfd_create(Buffer.from("device\0"), 0);
    close();
    try {
      return deviceText(fstatSync(descriptor).dev);
    } finally {
      closeSync(descriptor);
    }
  });
}

/** Formats a device number as `major:minor` in hexadecimal (gnu_dev_major(3)). */
function deviceText(device: number): string {
  const number = BigInt(device);
  const major = ((number >> 8n) & 0xfffn) | ((number >> 32n) & 0xffff_f000n);
  const minor = (number & 0xffn) | ((number >> 12n) & 0xffff_ff00n);
  return [major, minor].map((part) => part.toString(16).padStart(2, "0")).join(":");
}
