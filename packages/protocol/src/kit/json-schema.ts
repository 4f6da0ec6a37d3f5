import { z } from 'zod';

/** A JSON Schema, or a part of one. */
export type JsonSchema = Record<string, unknown>;

/** Formats that only say where zod's `pattern` came from. */
const OWN_FORMATS = ['starts_with', 'regex'];

/**
 * The JSON Schema (draft 2020-12) of what may be *sent*: objects of a client are closed and those of a sidecar open, and
 * text is described as it is before white space is dropped. What zod cannot tell by itself, the refinements, comes from the `meta`
 * beside them.
 */
export function toJsonSchema(schema: z.ZodType): JsonSchema {
  const { $schema, ...rest } = z.toJSONSchema(schema, {
    io: 'input',
    override: ({ zodSchema, jsonSchema }) => {
      const { def } = zodSchema._zod;
      // An object whose names are looked at before its values: what is looked at first is of any type.
      if (def.type === 'pipe' && def.in._zod.def.type === 'unknown') {
        const { $schema: _draft, ...inner } = toJsonSchema(def.out as z.ZodType);
        Object.assign(jsonSchema, inner);
      }
      Object.assign(jsonSchema, z.globalRegistry.get(zodSchema as unknown as z.ZodType));
      if (OWN_FORMATS.includes(jsonSchema.format ?? '')) delete jsonSchema.format;
    },
  });
  return { $schema, ...rest };
}
