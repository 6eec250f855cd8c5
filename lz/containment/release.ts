import type { Verb } from "../platform/deps.ts";
import { changeContainment } from "./change-containment.ts";

export const run: Verb = (args, deps) => changeContainment("release", args, deps);
