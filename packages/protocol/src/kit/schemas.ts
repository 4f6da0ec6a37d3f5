import { PROTOCOL_VERSIONS } from '../core/negotiate.js';
import { CLIENT_FRAME_SCHEMAS } from '../frames/client.js';
import { RESULT_SCHEMAS, SIDECAR_FRAME_SCHEMAS } from '../frames/sidecar.js';
import { toJsonSchema, type JsonSchema } from './json-schema.js';

/** The version these schemas describe, as a name of folders. */
export const VERSION_FOLDER = `v${Math.max(...PROTOCOL_VERSIONS)}`;

/** Where in `schema/` the schema of something lies. */
export const schemaPath = {
  client: (type: string) => `${VERSION_FOLDER}/client/${type}.json`,
  sidecar: (type: string) => `${VERSION_FOLDER}/sidecar/${type}.json`,
  result: (type: string) => `${VERSION_FOLDER}/result/${type}.json`,
  anyOf: (side: 'client' | 'sidecar') => `${VERSION_FOLDER}/${side}-frame.json`,
};

/**
 * Every JSON Schema of the protocol, by its path in `schema/`: one for each frame of either side, one for the `result` of each
 * request, and one for any frame of a side.
 */
export function protocolSchemas(): Record<string, JsonSchema> {
  const files: Record<string, JsonSchema> = {};
  for (const [type, schema] of Object.entries(CLIENT_FRAME_SCHEMAS)) {
    files[schemaPath.client(type)] = entitled(`${type}, client to sidecar`, toJsonSchema(schema));
  }
  for (const [type, schema] of Object.entries(SIDECAR_FRAME_SCHEMAS)) {
    files[schemaPath.sidecar(type)] = entitled(`${type}, sidecar to client`, toJsonSchema(schema));
  }
  for (const [type, schema] of Object.entries(RESULT_SCHEMAS)) {
    files[schemaPath.result(type)] = entitled(`result of a good reply to ${type}`, toJsonSchema(schema));
  }
  files[schemaPath.anyOf('client')] = anyFrame('client', Object.keys(CLIENT_FRAME_SCHEMAS));
  files[schemaPath.anyOf('sidecar')] = anyFrame('sidecar', Object.keys(SIDECAR_FRAME_SCHEMAS));
  return files;
}

function entitled(title: string, { $schema, ...schema }: JsonSchema): JsonSchema {
  return { $schema, title: `outrigger.${VERSION_FOLDER}: ${title}`, ...schema };
}

function anyFrame(side: 'client' | 'sidecar', types: string[]): JsonSchema {
  return entitled(`any frame of a ${side}`, {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    oneOf: types.map((type) => ({ $ref: `${side}/${type}.json` })),
  });
}
