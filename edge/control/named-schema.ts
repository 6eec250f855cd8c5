import type { z } from "zod";

/** Gives a schema its name in the OpenAPI document. Each name must be unique. */
export const named = <Schema extends z.ZodType>(id: string, schema: Schema): Schema => schema.meta({ id });
