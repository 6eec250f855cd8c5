import { Hono } from "hono/tiny";
import type { Deps } from "../deps.ts";
import type { Env } from "../request-env.ts";
import { createOpenApi, type OpenApi } from "./openapi.ts";
import { OPERATIONS } from "./operations/registry.ts";

/** Grows with the API, not with the product: what a client generated from the specification was made for. */
const API_VERSION = "1.0.0";

/** The specification and a page to read it. Both say what can be asked, and nothing about anybody. */
export function referenceRoutes(deps: Pick<Deps, "random" | "publicOrigin">): Hono<Env> {
  const app = new Hono<Env>();
  let kept: OpenApi | undefined;
  const specification = () => {
    kept ??= createOpenApi(API_VERSION, deps.publicOrigin);
    return kept;
  };
  app.get("/openapi.json", (c) => c.json(specification(), 200, { "cache-control": "public, max-age=300" }));
  app.get("/reference", (c) => {
    const nonce = Array.from(deps.random(12), (byte) => byte.toString(16).padStart(2, "0")).join("");
    c.header(
      "content-security-policy",
      `default-src 'none'; style-src 'nonce-${nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    );
    c.header("referrer-policy", "no-referrer");
    c.header("cache-control", "no-store");
    return c.html(<Reference document={specification()} nonce={nonce} />);
  });
  return app;
}

const Reference = ({ document, nonce }: { document: OpenApi; nonce: string }) => {
  const tags = [...new Set(OPERATIONS.map(({ tag }) => tag))];
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>{document.info.title}</title>
        <style nonce={nonce}>{STYLE}</style>
      </head>
      <body>
        <main>
          <h1>
            {document.info.title} <small>{document.info.version}</small>
          </h1>
          <p>{document.info.description}</p>
          <p>
            For programs: <a href="/openapi.json">openapi.json</a>
          </p>
          <nav aria-label="Resources">
            {tags.map((tag) => (
              <a href={`#${anchor(tag)}`}>{tag}</a>
            ))}
          </nav>
          {tags.map((tag) => (
            <section id={anchor(tag)} aria-labelledby={`${anchor(tag)}-title`}>
              <h2 id={`${anchor(tag)}-title`}>{tag}</h2>
              {OPERATIONS.filter((each) => each.tag === tag).map(({ method, path }) => (
                <Entry document={document} method={method} path={`/v1${path}`} />
              ))}
            </section>
          ))}
          <section aria-labelledby="schemas-title">
            <h2 id="schemas-title">Schemas</h2>
            {Object.entries(document.components?.schemas ?? {}).map(([name, schema]) => (
              <details id={`schema-${name}`}>
                <summary>{name}</summary>
                <pre>{JSON.stringify(schema, undefined, 2)}</pre>
              </details>
            ))}
          </section>
        </main>
      </body>
    </html>
  );
};

const anchor = (tag: string): string => tag.toLowerCase().replaceAll(" ", "-");

type Told = {
  operationId?: string;
  summary?: string;
  description?: string;
  parameters?: { name: string; in: string; required?: boolean; schema?: object; description?: string }[];
  requestBody?: { content: Record<string, { schema: object }> };
  responses: Record<string, { description: string }>;
};

const Entry = ({ document, method, path }: { document: OpenApi; method: string; path: string }) => {
  const told = document.paths?.[path]?.[method as "get"] as Told;
  return (
    <article id={told.operationId}>
      <h3>
        <code class={method}>{method.toUpperCase()}</code> <code>{path}</code>
      </h3>
      <p>
        <strong>{told.summary}</strong>
      </p>
      {told.description?.split("\n\n").map((paragraph) => (
        <p>{paragraph}</p>
      ))}
      {told.parameters && told.parameters.length > 0 && (
        <dl>
          {told.parameters.map((parameter) => (
            <div>
              <dt>
                <code>{parameter.name}</code>{" "}
                <small>{parameter.in + (parameter.required ? ", required" : "")}</small>
              </dt>
              <dd>
                {parameter.description} <code>{JSON.stringify(parameter.schema)}</code>
              </dd>
            </div>
          ))}
        </dl>
      )}
      {told.requestBody && (
        <details>
          <summary>Body</summary>
          <pre>{JSON.stringify(told.requestBody.content["application/json"]?.schema, undefined, 2)}</pre>
        </details>
      )}
      <details>
        <summary>Answers</summary>
        <ul>
          {Object.entries(told.responses).map(([status, { description }]) => (
            <li>
              <code>{status}</code> {description}
            </li>
          ))}
        </ul>
      </details>
    </article>
  );
};

const STYLE = `
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}
main{max-width:60rem;margin:0 auto;padding:1rem}
nav{display:flex;flex-wrap:wrap;gap:.25rem 1rem;margin:1rem 0}
article{border-top:1px solid color-mix(in srgb,currentColor 20%,transparent);padding:.5rem 0}
h3{font-size:1.05rem;margin:.5rem 0}
code,pre{font-family:ui-monospace,monospace;font-size:.9em;overflow-wrap:anywhere}
pre{overflow:auto;padding:.5rem;background:color-mix(in srgb,currentColor 7%,transparent)}
dl div{margin:.25rem 0}
dd{margin-left:1.5rem}
`;
