import type { Verb } from "../platform/deps.ts";
import { retireAssets } from "./retire-assets.ts";

export const run: Verb = (args, deps) => retireAssets("revoke", args, deps);
