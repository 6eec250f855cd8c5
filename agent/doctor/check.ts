/** Result of one check. A failed check says how to fix the problem. */
export type Check =
  | { name: string; status: "ok" | "skipped"; detail: string }
  | { name: string; status: "failed"; detail: string; cure: string };

export const passed = (name: string, detail: string): Check => ({ name, status: "ok", detail });
export const skipped = (name: string, detail: string): Check => ({ name, status: "skipped", detail });
export const failed = (name: string, detail: string, cure: string): Check => ({
  name,
  status: "failed",
  detail,
  cure,
});
