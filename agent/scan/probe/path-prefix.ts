/**
 * Command-line options that set the path prefix of a server's API: `--api-prefix` of llama.cpp
 * (tools/server/README.md), `--root-path` of uvicorn and vLLM, `--fastapi-root-path` of SGLang,
 * `--url-prefix` of Infinity, `--subpath` of text-generation-webui and AUTOMATIC1111, `--static-prefix` of
 * MLflow, and the options of Streamlit and Jupyter.
 */
const OPTION =
  /^--(?:api-prefix|(?:fastapi-)?root-path|(?:url|path|static)-prefix|subpath|base-(?:path|url)|server\.baseUrlPath|(?:ServerApp|NotebookApp)\.base_url)(?:=(.*))?$/i;
/** A path prefix with one to eight segments. The leading slash is optional. */
const PREFIX = /^\/?([\w.~-]{1,64}(?:\/[\w.~-]{1,64}){0,7})\/?$/;

/**
 * The path prefix on a command line, with a leading slash and without a trailing slash. The agent uses the
 * prefix only to select the paths to probe, not as evidence for a product.
 */
export function pathPrefix(argv: readonly string[]): string | undefined {
  for (const [at, word] of argv.entries()) {
    const option = OPTION.exec(word);
    if (!option) continue;
    const [, path] = PREFIX.exec(option[1] ?? argv[at + 1] ?? "") ?? [];
    if (path !== undefined && !path.split("/").some((part) => /^\.+$/.test(part)) && !path.startsWith("-"))
      return `/${path}`;
  }
  return undefined;
}
