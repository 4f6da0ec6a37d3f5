import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';

const FOLDER = fileURLToPath(new URL('../schema', import.meta.url));

/** Validates with the JSON Schemas that are checked in. Returns what is wrong with a value; nothing: it is good. */
export function compileSchemas(): (path: string, value: unknown) => string[] {
  // Strict: a keyword that means nothing would be a rule that nobody keeps. A `pattern` beside it says all that `uuid` does.
  const ajv = new Ajv2020({ strict: true, strictTypes: false, strictRequired: false, formats: { uuid: true } });
  for (const path of readdirSync(FOLDER, { recursive: true, encoding: 'utf8' })) {
    if (!path.endsWith('.json')) continue;
    ajv.addSchema(JSON.parse(readFileSync(`${FOLDER}/${path}`, 'utf8')) as object, `outrigger:/${path}`);
  }
  return (path, value) => {
    const validate = ajv.getSchema(`outrigger:/${path}`);
    if (validate === undefined) throw new Error(`there is no schema ${path}`);
    void validate(value);
    return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message ?? ''}`);
  };
}
