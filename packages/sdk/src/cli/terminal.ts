import picocolors from 'picocolors';

/** Where a command writes to. */
export interface Terminal {
  /** Of standard output; Infinity where nobody reads it on a screen. */
  readonly columns: number;
  readonly rows: number;
  /** Whether lines that were written can be replaced. */
  readonly canRedraw: boolean;
  /** Whether somebody sees what is noted. */
  readonly isWatched: boolean;
  readonly colors: ReturnType<typeof picocolors.createColors>;
  /** For what was asked for, a line or several. */
  readonly print: (text: string) => void;
  /** For what people want to know besides. */
  readonly note: (text: string) => void;
}

type Env = Readonly<Record<string, string | undefined>>;

/** Of a terminal that does not say, or says 0, as those of `script` and of some CI do. */
const COLUMNS_DEFAULT = 80;
const ROWS_DEFAULT = 24;

export function openTerminal({ stdout, stderr }: Pick<NodeJS.Process, 'stdout' | 'stderr'>, env: Env): Terminal {
  const isDumb = env['TERM'] === 'dumb';
  const asked = Number(env['COLUMNS']);
  return {
    get columns() {
      if (Number.isInteger(asked) && asked > 0) return asked;
      return stdout.isTTY ? stdout.columns || COLUMNS_DEFAULT : Infinity;
    },
    get rows() {
      return stdout.isTTY ? stdout.rows || ROWS_DEFAULT : Infinity;
    },
    isWatched: stderr.isTTY,
    canRedraw: stdout.isTTY && !isDumb,
    colors: picocolors.createColors(stdout.isTTY && !isDumb && (env['NO_COLOR'] ?? '') === ''),
    print: (text) => void stdout.write(`${text}\n`),
    note: (text) => void stderr.write(`${text}\n`),
  };
}
