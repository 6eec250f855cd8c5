import { NONCE, type SecureHeadersVariables, secureHeaders } from "hono/secure-headers";
import { Hono } from "hono/tiny";
import type { Env } from "../request-env.ts";
import type { ApiDeps } from "./deps.ts";
import { createOpenApi, type OpenApi } from "./openapi.ts";
import { OPERATIONS } from "./operations/registry.ts";

/** Version of the API, independent of the product version. Generated clients depend on it. */
const API_VERSION = "1.0.0";

const PAGE_HEADERS = secureHeaders({
  contentSecurityPolicy: {
    defaultSrc: ["'none'"],
    styleSrc: [NONCE],
    baseUri: ["'none'"],
    formAction: ["'none'"],
    frameAncestors: ["'none'"],
  },
  strictTransportSecurity: false,
});

/**
 * Routes of the OpenAPI document and of the reference page that shows it. Both routes are public, because
 * they contain no tenant data.
 */
export function referenceRoutes(deps: Pick<ApiDeps, "publicOrigin">): Hono<Env> {
  const app = new Hono<Env & { Variables: SecureHeadersVariables }>();
  let kept: OpenApi | undefined;
  const specification = () => {
    kept ??= createOpenApi(API_VERSION, deps.publicOrigin);
    return kept;
  };
  app.get("/openapi.json", (c) => c.json(specification(), 200, { "cache-control": "public, max-age=300" }));
  app.get("/reference", PAGE_HEADERS, (c) => {
    c.header("cache-control", "no-store");
    return c.html(<Reference document={specification()} nonce={c.var.secureHeadersNonce ?? ""} />);
  });
  return app as unknown as Hono<Env>;
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

type DescribedOperation = {
  operationId?: string;
  summary?: string;
  description?: string;
  parameters?: { name: string; in: string; required?: boolean; schema?: object; description?: string }[];
  requestBody?: { content: Record<string, { schema: object }> };
  responses: Record<string, { description: string }>;
};

const Entry = ({ document, method, path }: { document: OpenApi; method: string; path: string }) => {
  const described = document.paths?.[path]?.[method as "get"] as DescribedOperation;
  return (
    <article id={described.operationId}>
      <h3>
        <code class={method}>{method.toUpperCase()}</code> <code>{path}</code>
      </h3>
      <p>
        <strong>{described.summary}</strong>
      </p>
      {described.description?.split("\n\n").map((paragraph) => (
        <p>{paragraph}</p>
      ))}
      {described.parameters && described.parameters.length > 0 && (
        <dl>
          {described.parameters.map((parameter) => (
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
      {described.requestBody && (
        <details>
          <summary>Body</summary>
          <pre>{JSON.stringify(described.requestBody.content["application/json"]?.schema, undefined, 2)}</pre>
        </details>
      )}
      <details>
        <summary>Responses</summary>
        <ul>
          {Object.entries(described.responses).map(([status, { description }]) => (
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
