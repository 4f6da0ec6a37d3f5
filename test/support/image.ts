import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Copy, DockerfileParser, Entrypoint, Env, From, Healthcheck, type Instruction } from 'dockerfile-ast';

export const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));

export const readDocker = (name: string): string => readFileSync(`${REPOSITORY}docker/${name}`, 'utf8');

/** A file that an image gets: from the repository, or made by the build out of it. */
export interface Copied {
  /** Below the repository's root. */
  readonly from: string;
  /** In the image, absolute. */
  readonly to: string;
}

/** What of a Dockerfile's last stage decides how it runs. */
export interface Image {
  readonly env: Readonly<Record<string, string>>;
  readonly entrypoint: readonly string[];
  readonly healthcheck: readonly string[];
  /** Option of HEALTHCHECK, e.g. `retries`. */
  readonly healthOptions: Readonly<Record<string, string>>;
  readonly instructions: readonly Instruction[];
}

export function readImage(text: string): Image {
  const instructions = stagesOf(text).at(-1) ?? [];
  const healthcheck = one(instructions, Healthcheck);
  return {
    env: Object.fromEntries(
      all(instructions, Env).flatMap((env) => env.getProperties().map((p) => [p.getName(), p.getValue() ?? ''])),
    ),
    entrypoint: one(instructions, Entrypoint)
      .getJSONStrings()
      .map((argument) => argument.getJSONValue()),
    // Its first argument is CMD.
    healthcheck: JSON.parse(/\[.*\]/s.exec(healthcheck.getArgumentsContent() ?? '')?.[0] ?? '[]') as string[],
    healthOptions: Object.fromEntries(healthcheck.getFlags().map((flag) => [flag.getName(), flag.getValue() ?? ''])),
    instructions,
  };
}

/** The files of a stage whose COPY takes them from the context, or from a stage that has the repository in `/src`. */
export function filesOf(text: string, stage: string): Copied[] {
  const lines = stagesOf(text).find(([from]) => from?.getArgumentsContent()?.endsWith(` AS ${stage}`)) ?? [];
  return all(lines, Copy).map((copy) => {
    const [from = '', to = ''] = copy.getArguments().map((argument) => argument.getValue());
    return { from: from.replace(/^\/src\//, ''), to };
  });
}

/** The instructions of each stage, its FROM first. */
function stagesOf(text: string): Instruction[][] {
  const instructions = DockerfileParser.parse(text).getInstructions();
  const starts = instructions.flatMap((instruction, n) => (instruction instanceof From ? [n] : []));
  return starts.map((start, n) => instructions.slice(start, starts[n + 1]));
}

type Class<T> = abstract new (...args: never) => T;

function all<T extends Instruction>(instructions: readonly Instruction[], kind: Class<T>): T[] {
  return instructions.filter((instruction): instruction is T => instruction instanceof kind);
}

function one<T extends Instruction>(instructions: readonly Instruction[], kind: Class<T>): T {
  const [only, ...others] = all(instructions, kind);
  if (only === undefined || others.length > 0) throw new Error(`expected one ${kind.name}`);
  return only;
}
