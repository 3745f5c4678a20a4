import { RelayYaml } from '@tidemark/relay-server/config/relay-yaml';
import { z } from 'zod';
import { generatedFrom, page, table } from './markdown.ts';

/**
 * Generates docs/reference/relay-yaml.md, which lists every setting of relay.yaml, from the schema that validates the file.
 */

interface JsonSchema {
  type?: string;
  description?: string;
  default?: unknown;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  minLength?: number;
  maxLength?: number;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  additionalProperties?: JsonSchema | boolean;
  items?: JsonSchema;
  anyOf?: JsonSchema[];
}

/** The placeholder for the names that the administrator chooses below a key. */
const NAMES: Record<string, string> = { feeds: '<feed>', tables: '<table>', where: '<column>' };

/** Keys whose values have their own syntax. Their descriptions explain it. */
const FORMS: Record<string, string> = {
  listen: 'text, `address:port`',
  'feeds.<feed>.tables.<table>.where': 'names with values',
  'feeds.<feed>.tables.<table>.where.<column>.equals': 'value, or list of values',
  'feeds.<feed>.tables.<table>.columns': 'list of texts',
  'feeds.<feed>.tables.<table>.indexes': 'list of lists of texts',
};

export function relayYamlPage(): string {
  const schema = z.toJSONSchema(RelayYaml, { io: 'input' }) as JsonSchema;
  return page('relay.yaml', [
    'The configuration of `tidemark-relay`. The relay reads it when it starts, and refuses an unknown setting or an invalid value with its line. `<feed>` and `<table>` are names that you choose.',
    generatedFrom('`relay-server/config/relay-yaml.ts`'),
    table(['setting', 'type', 'default', 'meaning'], rowsOf(schema, [])),
    [
      'Keys of feeds and terminals are in `relay.tokens.json` beside relay.yaml; see [token add](commands.md#tidemark-relay-token-add).',
    ],
    '## Example',
    ['```yaml', ...EXAMPLE, '```'],
  ]);
}

/** The example on the page. A test validates it. */
export const EXAMPLE = [
  'listen: 127.0.0.1:4600',
  'data: ./relay-data',
  'name: Head office',
  'feeds:',
  '  shop:',
  '    tables:',
  '      product: { indexes: [[category, name]] }',
  '      price: { where: { region: $region } }',
  '      stock: { where: { branch_id: $branch, state: [open, reserved] } }',
  '      audit: { columns: [id, at, action] }',
  '    retention: { days: 30, megabytes: 2000 }',
];

function rowsOf(schema: JsonSchema, path: string[]): string[][] {
  const object = objectOf(schema);
  const named = object?.additionalProperties;
  const rows = Object.entries(object?.properties ?? {}).flatMap(([name, property]) => {
    const key = [...path, name];
    const row = [
      `\`${key.join('.')}\``,
      typeOf(property, key),
      defaultOf(property, object?.required?.includes(name) ?? false),
      meaningOf(property, key),
    ];
    return [row, ...rowsOf(property, key)];
  });
  const name = NAMES[path.at(-1) ?? ''];
  return typeof named === 'object' && name !== undefined ? [...rows, ...rowsOf(named, [...path, name])] : rows;
}

/** Returns the object schema of a key that may also be null. */
const objectOf = (schema: JsonSchema): JsonSchema | undefined =>
  schema.anyOf ? schema.anyOf.find(({ type }) => type === 'object') : schema;

function typeOf(schema: JsonSchema, key: string[]): string {
  const form = FORMS[key.join('.')];
  if (form !== undefined) return form;
  const plain = schema.anyOf?.find(({ type }) => type !== 'null') ?? schema;
  const names: Record<string, string> = { string: 'text', number: 'number', object: 'settings below' };
  return [names[plain.type ?? ''] ?? plain.type ?? 'any', ...boundsOf(plain)].join(', ');
}

function boundsOf({ type, minimum, maximum, exclusiveMinimum, minLength, maxLength }: JsonSchema): string[] {
  return [
    ...(exclusiveMinimum === undefined ? [] : [`above ${exclusiveMinimum}`]),
    ...(minimum === undefined ? [] : [`at least ${minimum}`]),
    ...(maximum === undefined ? [] : [`at most ${maximum}`]),
    ...(type === 'string' && minLength !== undefined && maxLength !== undefined
      ? [`${minLength} to ${maxLength} characters`]
      : []),
  ];
}

function defaultOf({ default: value }: JsonSchema, isRequired: boolean): string {
  if (value === undefined) return isRequired ? 'required' : 'none';
  if (typeof value !== 'object' || value === null) return `\`${String(value)}\``;
  return Object.keys(value).length === 0 ? 'none' : 'as below';
}

function meaningOf(schema: JsonSchema, key: string[]): string {
  if (schema.description === undefined) throw new Error(`relay.yaml: ${key.join('.')} has no description`);
  return schema.description;
}
