import { Hono } from "hono";
import type { Env } from "../answer.ts";
import type { Deps } from "../deps.ts";

export function dashboardRoutes(_deps: Deps): Hono<Env> {
  return new Hono<Env>();
}
