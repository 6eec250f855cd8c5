import type { PolicyDocument } from "./policy.ts";

/** Values for the parameters, pseudo parameters and resources of a template. */
export type Names = {
  /** Values for `Ref` and `${Name}` of parameters and pseudo parameters, by name. */
  references: Readonly<Record<string, string>>;
  /** Values for `GetAtt Resource.Attribute` and `${Resource.Attribute}`, by that text. */
  attributes: Readonly<Record<string, string>>;
};

type Resource = { Type: string; Properties: Record<string, unknown> };
export type Template = { Resources: Record<string, Resource> };

const SHORT_FORM = /!(Ref|GetAtt|Sub)[ \t]+("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s,\]}]+)/g;

/** Converts short forms such as `!Ref` to mappings, because YAML parsers drop unknown tags. */
const longForms = (text: string): string =>
  text.replaceAll(SHORT_FORM, (_, name: string, argument: string) => {
    const quoted = /^["']/.test(argument) ? argument : JSON.stringify(argument);
    return `{ ${JSON.stringify(name === "Ref" ? "Ref" : `Fn::${name}`)}: ${quoted} }`;
  });

/** Reads a CloudFormation template and resolves its functions. Throws for an unknown function. */
export function readTemplate(text: string, names: Names): Template {
  const withoutComments = text.replaceAll(/(?<=^|\s)#.*$/gm, "");
  const long = longForms(withoutComments);
  const unknown = long.match(/(?<=[\s[,])!\w+/);
  if (unknown)
    throw new Error(`${unknown[0]} is a function of CloudFormation that this parser does not know`);
  return resolve(Bun.YAML.parse(long), names) as Template;
}

function resolve(value: unknown, names: Names): unknown {
  if (Array.isArray(value)) return value.map((each) => resolve(each, names));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value);
  const [[name, argument] = []] = entries;
  if (entries.length === 1 && (name === "Ref" || name?.startsWith("Fn::")))
    return call(name, argument, names);
  return Object.fromEntries(entries.map(([key, each]) => [key, resolve(each, names)]));
}

function call(name: string, argument: unknown, { references, attributes }: Names): string {
  if (typeof argument !== "string") throw new Error(`${name} takes one text here`);
  const named = (reference: string): string => {
    const value = references[reference] ?? attributes[reference];
    // A `Ref` to another resource of the template. The logical name of that resource is used as its id.
    if (value === undefined && name === "Ref") return reference;
    if (value === undefined) throw new Error(`${name} names ${reference}, which is not known`);
    return value;
  };
  if (name === "Ref" || name === "Fn::GetAtt") return named(argument);
  if (name === "Fn::Sub") return argument.replaceAll(/\$\{([^}!]+)\}/g, (_, each: string) => named(each));
  throw new Error(`${name} is a function of CloudFormation that this parser does not know`);
}

/** Returns the policy document of a managed policy in the template. */
export function policyOf(template: Template, resource: string): PolicyDocument {
  const found = template.Resources[resource];
  if (found?.Type !== "AWS::IAM::ManagedPolicy") throw new Error(`${resource} is not a managed policy`);
  return found.Properties.PolicyDocument as PolicyDocument;
}
