import { type AttributeMap, DynamoFault } from "../../../shared/table/dynamo.ts";
import { GSI1, GSI2 } from "../../../shared/table/keys.ts";
import {
  bytesOf,
  checkedMap,
  ITEM_BYTES_MAX,
  itemSize,
  PARTITION_KEY_BYTES_MAX,
  SORT_KEY_BYTES_MAX,
} from "./attribute-value.ts";
import type { KeyNames } from "./key-condition.ts";
import { refuse } from "./validation-fault.ts";

/** Key attributes of the table and of its indexes. All key attributes are strings (local/table.ts). */
export const TABLE_KEYS: KeyNames = { partition: "PK", sort: "SK" };
export const INDEX_KEYS: Record<string, KeyNames> = Object.fromEntries(
  [GSI1, GSI2].map((name) => [name, { partition: `${name}PK`, sort: `${name}SK` }]),
);

export const idOf = (key: AttributeMap): string => `${key.PK!.S} | ${key.SK!.S}`;

function checkKeys(item: AttributeMap, { partition, sort }: KeyNames, isRequired: boolean): void {
  const limits = [
    [partition, PARTITION_KEY_BYTES_MAX],
    [sort, SORT_KEY_BYTES_MAX],
  ] as const;
  for (const [name, bytesMax] of limits) {
    const value = item[name];
    if (value === undefined && !isRequired) continue;
    if (value?.S === undefined) refuse(`the key ${name} must be a string`);
    if (value.S === "") refuse(`the key ${name} must not be empty`);
    if (bytesOf(value.S) > bytesMax) refuse(`the key ${name} is longer than ${bytesMax} bytes`);
  }
}

/** Validates the `Key` of a request: it must have the two key attributes and nothing else. */
export function checkedKey(key: AttributeMap | undefined): AttributeMap {
  if (!key || Object.keys(key).length !== 2) refuse("the key does not match the schema");
  checkKeys(key, TABLE_KEYS, true);
  return key;
}

/** Validates an item before it is stored. */
export function checkedItem(item: AttributeMap | undefined): AttributeMap {
  const normal = checkedMap(item ?? refuse("Item is missing"));
  checkKeys(normal, TABLE_KEYS, true);
  for (const keys of Object.values(INDEX_KEYS)) checkKeys(normal, keys, false);
  if (itemSize(normal) > ITEM_BYTES_MAX) refuse("the item is larger than 400 KB");
  return normal;
}

export const isValidation = (error: unknown): boolean =>
  error instanceof DynamoFault && error.code === "ValidationException";

/** Items by id, with an index by partition key. */
export class Items extends Map<string, AttributeMap> {
  private readonly partitions = new Map<string, Map<string, AttributeMap>>();
  override set(id: string, item: AttributeMap): this {
    const partition = item.PK!.S!;
    const members = this.partitions.get(partition) ?? new Map<string, AttributeMap>();
    this.partitions.set(partition, members.set(id, item));
    return super.set(id, item);
  }
  override delete(id: string): boolean {
    this.partitions.get(this.get(id)?.PK?.S ?? "")?.delete(id);
    return super.delete(id);
  }
  inPartition(partition: string): Iterable<AttributeMap> {
    return this.partitions.get(partition)?.values() ?? [];
  }
}
