import type { Store } from "../../../shared/wire/heartbeat.ts";
import { tidy } from "../../../shared/wire/text.ts";
import type { CatalogEntry } from "../../catalogue/entry.ts";
import type { ModelDirectory } from "../reader/read-request.ts";
import type { MovableStore } from "./store-variables.ts";

/**
 * `home`: the home directory that contains the model directory. A model directory outside of home directories
 * is its own `home`. If a file system hangs, all directories with the same `home` are affected.
 */
export type HomeDirectory = ModelDirectory & { home: string };

/**
 * A model directory and its store. While no product that reads the directory is running, its models are
 * reported under this store.
 */
export type Place = HomeDirectory & { store: Pick<Store, "id" | "name"> };

/**
 * Key of a directory. The key includes the user and the layout, so that one user's setting cannot hide
 * another user's store.
 */
export const keyOf = ({ path, layout, ownerUids = [] }: ModelDirectory): string =>
  `${layout} ${ownerUids.join()} ${path}`;

/** A model directory named by a setting. */
export type MovedDirectory = HomeDirectory & { movedStore: MovableStore };

/** Store for the Hugging Face cache, which many products use. */
export const HUGGING_FACE = { id: "huggingface", name: "Hugging Face cache" } as const;

/**
 * Store for models in browser storage and built-in models of browsers. This store is not a product of the
 * catalogue.
 */
const BROWSERS = { id: "browser", name: "Web browsers" } as const;

/**
 * Model directories of one product: its default directories in all home directories, and directories named by
 * settings.
 */
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

/** Keys of all directories that the products with these ids read. */
export const keysOf = (
  catalogue: readonly CatalogEntry[],
  homes: readonly string[],
  moved: readonly MovedDirectory[],
  ids: ReadonlySet<string>,
): ReadonlySet<string> =>
  new Set(
    catalogue.flatMap((entry) => (ids.has(entry.id) ? directoriesOf(entry, homes, moved).map(keyOf) : [])),
  );

/** Lists every directory once, even if several products read it. */
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
