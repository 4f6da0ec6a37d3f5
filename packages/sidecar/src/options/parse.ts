import { parseArgs } from 'node:util';
import { OptionError } from './option-error.js';
import { OPTION_ENTRIES, type OptionValues } from './table.js';

export type Environment = Readonly<Record<string, string | undefined>>;

const ASKED = { help: { type: 'boolean', short: 'h' }, version: { type: 'boolean' } } as const;

type Schema = (typeof OPTION_ENTRIES)[number][1]['schema'];
type Flags = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

/**
 * The values of all options: a flag wins over the variable, the variable over the default.
 *
 * @returns `help` or `version` when that was asked for.
 * @throws OptionError
 */
export function parseOptions(argv: readonly string[], environment: Environment): OptionValues | 'help' | 'version' {
  const flags = readFlags(argv);
  if (flags['help'] !== undefined) return 'help';
  if (flags['version'] !== undefined) return 'version';
  const values = OPTION_ENTRIES.map(([name, { schema, isList, default: fallback }]) => {
    const variable = variableOf(name);
    const [source, texts] = given(name, flags) ?? [variable, textsOf(environment[variable], isList === true)];
    const parsed = texts.map((text) => check(source, text, schema));
    if (isList === true) return [camelCase(name), parsed];
    return [camelCase(name), parsed[0] ?? (fallback === undefined ? null : check(`--${name}`, fallback, schema))];
  });
  // The table says of each name which type its schema makes.
  return Object.fromEntries(values) as OptionValues;
}

function readFlags(argv: readonly string[]): Flags {
  const options = Object.fromEntries(
    OPTION_ENTRIES.map(([name, { value, isList }]) => [
      name,
      { type: value === undefined ? ('boolean' as const) : ('string' as const), multiple: isList === true },
    ]),
  );
  try {
    return parseArgs({ args: [...argv], options: { ...options, ...ASKED }, strict: true }).values;
  } catch (error) {
    throw new OptionError((error as Error).message.split('\n', 1)[0]?.replace(/\. To specify.*$/, '') ?? 'bad option');
  }
}

/** Null: the flag was not given. */
function given(name: string, flags: Flags): [source: string, texts: string[]] | null {
  const flag = flags[name];
  return flag === undefined ? null : [`--${name}`, [flag].flat().map(String)];
}

/** A flag can be repeated; in a variable the values are parted by commas. */
function textsOf(variable: string | undefined, isList: boolean): string[] {
  if (variable === undefined) return [];
  if (!isList) return [variable];
  return variable.split(',').flatMap((text) => (text === '' ? [] : [text.trim()]));
}

function check(source: string, text: string, schema: Schema): unknown {
  const parsed = schema.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new OptionError(`${source} ${JSON.stringify(text)}: ${parsed.error.issues[0]?.message ?? 'is not valid'}`);
}

function variableOf(name: string): string {
  return `OUTRIGGER_${name.toUpperCase().replaceAll('-', '_')}`;
}

function camelCase(name: string): string {
  return name.replaceAll(/-(.)/g, (_dash, letter: string) => letter.toUpperCase());
}
