import type { Store } from "../../../shared/wire/heartbeat.ts";
import { tidy } from "../../../shared/wire/text.ts";
import type { CatalogEntry } from "../../catalogue/entry.ts";
import type { ModelDirectory } from "../reader/read-request.ts";
import type { MovableStore } from "./store-variables.ts";

/** `home`: the home directory that contains the directory, or else the directory itself. They hang together. */
export type HomeDirectory = ModelDirectory & { home: string };

/** A model directory, and the store to report it under while no product that reads it is running. */
export type Place = HomeDirectory & { store: Pick<Store, "id" | "name"> };

/** The key includes the user and the layout, so that a setting of one user cannot hide the store of another. */
export const keyOf = ({ path, layout, ownerUids = [] }: ModelDirectory): string =>
  `${layout} ${ownerUids.join()} ${path}`;

/** A directory of models that a setting names. */
export type MovedDirectory = HomeDirectory & { movedStore: MovableStore };

/** Store of the cache that many products share. */
export const HUGGING_FACE = { id: "huggingface", name: "Hugging Face cache" } as const;

/** Store of models in page storage, and of built-in models of browsers. Not a product of the catalogue. */
const BROWSERS = { id: "browser", name: "Web browsers" } as const;

/** Directories of one product in all homes, and directories that settings name. */
export function directoriesOf(
  { id, directories = [] }: CatalogEntry,
  homes: readonly string[],
  moved: readonly MovedDirectory[],
): HomeDirectory[] {
  const isShared = directories.some(({ layout }) => layout === "huggingface");
  const own = directories.flatMap(({ path, layout }) =>
    path.startsWith("~")
      ? homes.map((home) => ({ path: home + path.slice(1), layout, home }))
      : [{ path, layout, home: path }],
  );
  const known = new Set(own.map(keyOf));
  const named = moved.filter(
    (one) =>
      (one.movedStore === id || (isShared && one.movedStore === HUGGING_FACE.id)) &&
      !known.has(keyOf({ path: one.path, layout: one.layout })),
  );
  return [...own, ...named];
}

/** Keys of all directories that these products read. */
export const keysOf = (
  catalogue: readonly CatalogEntry[],
  homes: readonly string[],
  moved: readonly MovedDirectory[],
  ids: ReadonlySet<string>,
): ReadonlySet<string> =>
  new Set(
    catalogue.flatMap((entry) => (ids.has(entry.id) ? directoriesOf(entry, homes, moved).map(keyOf) : [])),
  );

/** Every directory once, even if several products read it. */
export function placesOf(
  catalogue: readonly CatalogEntry[],
  homes: readonly string[],
  moved: readonly MovedDirectory[],
): Place[] {
  const places = new Map<string, Place>();
  for (const entry of catalogue) {
    const own = { id: entry.id, name: tidy(entry.name, 80) };
    for (const directory of directoriesOf(entry, homes, moved)) {
      const store = directory.layout === "huggingface" ? HUGGING_FACE : own;
      const key = keyOf(directory);
      if (!places.has(key)) places.set(key, { ...directory, store });
    }
  }
  for (const home of homes) {
    const place = { path: home, layout: "browsers", home, store: BROWSERS } as const;
    places.set(keyOf(place), place);
  }
  return [...places.values()];
}
