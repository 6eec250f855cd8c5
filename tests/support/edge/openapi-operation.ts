import Ajv2020 from "ajv/dist/2020";
import { createOpenApi } from "../../../edge/api/openapi.ts";
import { OPERATIONS } from "../../../edge/api/operations/registry.ts";

export const SPECIFICATION = createOpenApi("test") as unknown as {
  paths: Record<string, Record<string, SpecOperation>>;
  components: { schemas: Record<string, object> };
};

export type SpecOperation = {
  operationId: string;
  parameters?: { name: string; in: "path" | "query" | "header"; required?: boolean; schema: JsonSchema }[];
  requestBody?: { content: { "application/json": { schema: JsonSchema } } };
  responses: Record<string, { content?: Record<string, { schema: JsonSchema }> }>;
};
export type JsonSchema = Record<string, unknown>;

const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
ajv.addSchema({ $id: "api", ...SPECIFICATION });

/** Returns the OpenAPI operation for a request path, which contains actual ids. */
function operationFor(method: string, pathname: string) {
  const fits = (path: string) =>
    new RegExp(`^${path.replaceAll(/\{\w+\}/g, "[^/]+")}$`).test(pathname.replace(/^\/v1/, ""));
  const found = OPERATIONS.filter((each) => each.method === method.toLowerCase() && fits(each.path));
  return found.find(({ path }) => !path.includes("{")) ?? found[0];
}

/**
 * Checks a response against the OpenAPI description. Returns the undocumented status, media type or body as
 * text. Undefined if the response is documented.
 */
export async function faultOf(method: string, path: string, answer: Response): Promise<string | undefined> {
  const operation = operationFor(method, path.split("?")[0]!);
  if (!operation) return `${method} ${path} is in no specification`;
  const told = SPECIFICATION.paths[`/v1${operation.path}`]![operation.method]!.responses[answer.status];
  if (!told) return `${operation.id} may not answer ${answer.status}`;
  const [type] = (answer.headers.get("content-type") ?? "").split(";");
  if (!told.content?.[type!]) return `${operation.id} may not answer ${answer.status} as ${type}`;
  const pointer = ["paths", `/v1${operation.path}`, operation.method, "responses", String(answer.status)];
  const all = [...pointer, "content", type!, "schema"].map((part) =>
    encodeURIComponent(part.replaceAll("~", "~0").replaceAll("/", "~1")),
  );
  const validate = ajv.getSchema(`api#/${all.join("/")}`);
  if (!validate) return `${operation.id} has no schema for ${answer.status}`;
  if (validate(await answer.clone().json())) return undefined;
  return `${operation.id} ${answer.status}: ${ajv.errorsText(validate.errors)}`;
}
