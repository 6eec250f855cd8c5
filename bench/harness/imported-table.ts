import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { DescribeTableCommand } from "@aws-sdk/client-dynamodb";
import { embeddedDynamodbPath } from "../../local/dynamodb.ts";
import { embeddedClient } from "../../local/table.ts";
import { marshalItem } from "../../shared/table/dynamo.ts";
import { TABLE_NAME } from "../../shared/table/keys.ts";
import { runProgram, startTable } from "./backends.ts";
import type { Scope } from "./scope.ts";

const LINES_AT_ONCE = 5000;

/**
 * Writes the table schema to a file and returns its path. The schema is read from a new database that the
 * local stack created.
 */
export async function writeSchema(scope: Scope, folder: string): Promise<string> {
  const { endpoint, stage } = await startTable(scope);
  const client = embeddedClient(endpoint);
  const { Table } = await client.send(new DescribeTableCommand({ TableName: TABLE_NAME }));
  client.destroy();
  await stage.stop();
  const schema = join(folder, "schema.json");
  await Bun.write(schema, JSON.stringify({ Table }));
  return schema;
}

/** Creates a database file from a generated DynamoDB export. An import is ten times faster than batch writes. */
export async function importTable(
  scope: Scope,
  { folder, schema, name }: { folder: string; schema: string; name: string },
  items: Iterable<object>,
): Promise<string> {
  const data = join(folder, name, TABLE_NAME, "data");
  mkdirSync(data, { recursive: true });
  const writer = Bun.file(join(data, "items.json")).writer();
  let lines: string[] = [];
  const flush = async () => {
    writer.write(lines.join(""));
    await writer.flush();
    lines = [];
  };
  for (const item of items) {
    lines.push(`${JSON.stringify({ Item: marshalItem(item) })}\n`);
    if (lines.length >= LINES_AT_ONCE) await flush();
  }
  await flush();
  await writer.end();
  const file = join(folder, `${name}.sqlite`);
  const from = ["--source", join(folder, name), "--schema", schema];
  await runProgram(scope, "the import", [embeddedDynamodbPath(), "import", ...from, "--output", file]);
  return file;
}
