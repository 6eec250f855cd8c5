import { changeContainment } from "./change-containment.ts";
import type { Verb } from "./deps.ts";

export const run: Verb = (args, deps) => changeContainment("release", args, deps);
