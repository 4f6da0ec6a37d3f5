import { asyncApiDocument } from './asyncapi.js';
import { protocolSchemas } from './schemas.js';

/** Everything that is generated from the schemas in the code: texts of files, by their path in the package. */
export function kitFiles(): Record<string, string> {
  const schemas = Object.entries(protocolSchemas()).map(
    ([path, schema]) => [`schema/${path}`, textOf(schema)] as const,
  );
  return Object.fromEntries([...schemas, ['asyncapi.json', textOf(asyncApiDocument())]]);
}

function textOf(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
