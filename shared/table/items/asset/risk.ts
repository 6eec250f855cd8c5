import { z } from "zod";

const RISKS = ["INFO", "WARNING", "CRITICAL"] as const;

export const risk = z.enum(RISKS);
export type Risk = z.infer<typeof risk>;
