/**
 * Command-line options that set the path prefix of a server's API: llama.cpp (tools/server/README.md, `--api-prefix`),
 * uvicorn and vLLM (`--root-path`), SGLang (`--fastapi-root-path`), Infinity (`--url-prefix`), text-generation-webui and
 * AUTOMATIC1111 (`--subpath`), MLflow (`--static-prefix`), Streamlit and Jupyter by the names of their settings.
 */
const OPTION =
  /^--(?:api-prefix|(?:fastapi-)?root-path|(?:url|path|static)-prefix|subpath|base-(?:path|url)|server\.baseUrlPath|(?:ServerApp|NotebookApp)\.base_url)(?:=(.*))?$/i;
/** Some are given without a slash at the start. */
const PREFIX = /^\/?([\w.~-]{1,64}(?:\/[\w.~-]{1,64}){0,7})\/?$/;

/**
 * The path prefix given on a command line, with a leading slash and no trailing one. It decides where to probe and is no
 * evidence of which product answers there.
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
