import { protocolSchemas } from './schemas.js';

/** Everything that is generated from the schemas in the code: texts of files, by their path in the package. */
export function kitFiles(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(protocolSchemas()).map(([path, schema]) => [`schema/${path}`, textOf(schema)]),
  );
}

function textOf(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
