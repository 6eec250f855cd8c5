import { expect, test } from "bun:test";
import { catalogue } from "../../../../agent/catalogue/engines/list.ts";
import { createIdentify } from "../../../../agent/scan/identify/fixtures.ts";

const identify = createIdentify(catalogue);

/** Usual names for a folder with the source code of a product. */
const foldersOf = ({ id, name }: { id: string; name: string }): string[] => [
  ...new Set([name, name.replaceAll(" ", ""), name.replaceAll(" ", "-"), id]),
];

/** Tools that developers run in a folder with source code. */
const toolsIn = (folder: string): { executable: string; argv: string[] }[] => [
  { executable: `${folder}/node_modules/@esbuild/linux-x64/bin/esbuild`, argv: ["esbuild", "--service"] },
  { executable: `${folder}/target/debug/build/tool/build-script-build`, argv: ["build-script-build"] },
  { executable: `${folder}/.venv/bin/ruff`, argv: ["ruff", "check"] },
  { executable: "/usr/bin/python3.12", argv: ["python3", `${folder}/scripts/release.py`] },
  { executable: "/usr/bin/node", argv: ["node", `${folder}/node_modules/.bin/vite`] },
];

test.each(catalogue.map((entry) => [entry.id, entry] as const))(
  "a build tool in a folder that is called like %s is not that product",
  async (_id, entry) => {
    const folders = foldersOf(entry).flatMap((name) => [`/home/ada/src/${name}`, `C:\\src\\${name}`]);
    const found: string[] = [];
    for (const process of folders.flatMap(toolsIn)) {
      const ids = await identify({ source: "made up: a build tool", process });
      if (ids.length > 0) found.push(`${process.executable} ${process.argv.join(" ")}: ${ids}`);
    }
    expect(found).toEqual([]);
  },
);
