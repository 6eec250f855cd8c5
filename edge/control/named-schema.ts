import type { z } from "zod";

/** Gives a schema its name in the OpenAPI document. Each name may be used once. */
export const named = <Schema extends z.ZodType>(id: string, schema: Schema): Schema => schema.meta({ id });
