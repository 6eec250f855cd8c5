import { z } from "zod";
import { tidy } from "../../shared/wire/text.ts";
import { type Connection, parseOrUndefined } from "./connect.ts";
import type { Deps } from "./deps.ts";
import { Failure } from "./faults.ts";

const TIMEOUT_MS = 15_000;
/** Timeout in milliseconds for the download of a whole custody log. */
const WHOLE_TIMEOUT_MS = 600_000;
const PAGE_ITEMS = 200;

const problem = z.object({ title: z.string(), detail: z.string().optional() });

export type Api = {
  get<Schema extends z.ZodType>(path: string, schema: Schema): Promise<z.infer<Schema>>;
  /**
   * Like `get`, with a longer timeout for a long response. Rejects with a {@link Failure} if the response is
   * truncated.
   */
  getWhole<Schema extends z.ZodType>(path: string, schema: Schema): Promise<z.infer<Schema>>;
  post<Schema extends z.ZodType>(
    path: string,
    body: unknown,
    schema: Schema,
    headers?: Record<string, string>,
  ): Promise<z.infer<Schema>>;
  /** Reads all pages of a list, up to `limit` items. `path` can contain a query. */
  list<Schema extends z.ZodType>(
    path: string,
    schema: Schema,
    limit: number,
    /** Called for each page with the page's members other than `items`. */
    onPage?: (page: { expiredLeftOut?: number | undefined }) => void,
  ): Promise<z.infer<Schema>[]>;
};

/** Creates a client of the admin API. Every error is a {@link Failure} with one line that contains no token. */
export function createApi({ url, token }: Connection, deps: Pick<Deps, "fetch">): Api {
  async function ask<Schema extends z.ZodType>(
    path: string,
    init: { method: string; headers?: Record<string, string>; body?: string },
    schema: Schema,
    timeoutMs = TIMEOUT_MS,
  ): Promise<z.infer<Schema>> {
    const request = new Request(`${url}${path}`, {
      ...init,
      headers: { authorization: `Bearer ${token}`, ...init.headers },
      redirect: "error", // the token must not be sent to another origin
      signal: AbortSignal.timeout(timeoutMs),
    });
    const response = await deps.fetch(request).catch((cause: unknown) => {
      throw new Failure(`${url} does not respond: check the URL, and that the control plane runs`, { cause });
    });
    const answer = parseOrUndefined(
      await response.text().catch((cause: unknown) => {
        throw new Failure(`the response of ${url}${path} was truncated: run the command again`, { cause });
      }),
    );
    if (!response.ok) throw new Failure(refusalText(response.status, answer));
    const parsed = schema.safeParse(answer);
    if (parsed.success) return parsed.data;
    throw new Failure(
      `${url}${path} sent an unexpected response: check that the URL is that of a LifecycleZero control plane`,
    );
  }

  return {
    get: (path, schema) => ask(path, { method: "GET" }, schema),
    getWhole: (path, schema) => ask(path, { method: "GET" }, schema, WHOLE_TIMEOUT_MS),
    post: (path, body, schema, headers = {}) =>
      ask(
        path,
        {
          method: "POST",
          headers: { "content-type": "application/json", ...headers },
          body: JSON.stringify(body),
        },
        schema,
      ),
    async list(path, schema, limit, onPage) {
      const page = z.object({
        items: z.array(schema),
        cursor: z.string().optional(),
        expiredLeftOut: z.int().optional(),
      });
      const items: z.infer<typeof schema>[] = [];
      let cursor: string | undefined;
      do {
        const query = new URLSearchParams({ limit: String(Math.min(PAGE_ITEMS, limit - items.length)) });
        if (cursor !== undefined) query.set("cursor", cursor);
        const answer = await ask(`${path}${path.includes("?") ? "&" : "?"}${query}`, { method: "GET" }, page);
        items.push(...answer.items);
        onPage?.(answer);
        cursor = answer.cursor;
      } while (cursor !== undefined && items.length < limit);
      return items;
    },
  };
}

function refusalText(status: number, answer: unknown): string {
  const parsed = problem.safeParse(answer);
  if (!parsed.success) return `rejected with ${status}`;
  const { title, detail } = parsed.data;
  return tidy(`rejected with ${status}: ${title}${detail === undefined ? "" : ` (${detail})`}`, 300);
}
