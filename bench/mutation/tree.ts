import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** A copy of the working tree in which mutants are applied. It includes uncommitted changes. */
export type Tree = { root: string; remove: () => void };

export function copyTree(root: string): Tree {
  const listed = Bun.spawnSync(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
  });
  if (!listed.success) throw new Error("Cannot list the files of the tree: git ls-files failed");
  const copy = mkdtempSync(join(tmpdir(), "lz-mutation-"));
  const remove = () => rmSync(copy, { recursive: true, force: true });
  try {
    for (const path of new Set(listed.stdout.toString().split("\0").filter(Boolean))) {
      mkdirSync(dirname(join(copy, path)), { recursive: true });
      // Ignore missing files: git lists a deleted file until its deletion is committed.
      cpSync(join(root, path), join(copy, path), { force: true, errorOnExist: false });
    }
    symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
  } catch (error) {
    remove();
    throw error;
  }
  return { root: copy, remove };
}
