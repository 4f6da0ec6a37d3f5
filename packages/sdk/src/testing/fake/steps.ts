/** A signal by name, e.g. `SIGTERM`. */
export type SignalName = `SIG${string}`;

/**
 * One thing the fake CLI does; `do` says which. Steps run one after the other. After the last one the fake exits as the
 * real CLI does: 1 if the last result it printed was an error, else 0. Of an interactive run each message is a prompt of its own, with
 * steps or to be echoed, and after its last step the fake waits for the next one.
 */
export type FakeStep =
  | EventStep
  | InitStep
  | AssistantStep
  | ResultStep
  | RequestStep
  | WriteStep
  | FillStep
  | SpawnStep
  /** Prints one `system/fake_env` line: `argv`, `cwd`, `env`, `pid`, and what each of `stdio` is (`file`, `pipe` …). */
  | { do: 'printEnv' }
  | { do: 'sleep'; ms: number }
  /** Stays for ever. */
  | { do: 'hang' }
  /** Signals that have no effect from now on. */
  | { do: 'ignoreSignals'; signals: SignalName[] }
  /**
   * Runs steps when the signal comes, next to whatever is going on, e.g. the real CLI's late success after SIGTERM:
   * `[{ do: 'result' }, { do: 'exit', code: 0 }]`. Without an `exit` among them the fake goes on.
   */
  | { do: 'onSignal'; signal: SignalName; steps: FakeStep[] }
  /** Goes on once the file exists; its folder must exist already. */
  | { do: 'waitForFile'; path: string }
  /** Creates a file, or adds `text` to it. */
  | { do: 'touch'; path: string; text?: string }
  | { do: 'exit'; code: number }
  /** Sends itself a signal. */
  | { do: 'kill'; signal: SignalName };

/** Prints one JSON line as it is. */
export interface EventStep {
  do: 'event';
  event: object;
}

/** Prints the `system/init` line. */
export interface InitStep {
  do: 'init';
  /** @default the one given with --model, else `claude-fake` */
  model?: string;
  /** Fields on top of the usual ones. */
  extra?: object;
}

/** Prints an `assistant` line. */
export interface AssistantStep {
  do: 'assistant';
  text: string;
  /** @default as for init; `<synthetic>` when there is an `error` */
  model?: string;
  /** Marks the text as an API error, as newer CLIs do, e.g. `authentication_failed`. */
  error?: string;
  extra?: object;
}

/** Prints a `result` line with the real one's fields, in the newer CLI's order (`duration_api_ms` first). */
export interface ResultStep {
  do: 'result';
  /** @default 'success' */
  subtype?: string;
  /** @default false */
  is_error?: boolean;
  /** @default the text of the last assistant line. Left out when `errors` are given. */
  result?: string;
  errors?: string[];
  /** @default null */
  api_error_status?: number;
  /** @default 1 */
  num_turns?: number;
  /** @default 0.000032 */
  total_cost_usd?: number;
  usage?: object;
  extra?: object;
}

/**
 * Asks the API as a turn would: `POST /v1/messages` at `ANTHROPIC_BASE_URL` with the credential of the environment. Prints
 * the answer as an `assistant` line. A refusal prints what the real CLI does after its tries, and exits 1; of an
 * interactive run it ends the turn.
 */
export interface RequestStep {
  do: 'request';
  /** @default 'Hello' */
  prompt?: string;
  /** @default as for init */
  model?: string;
}

/** Writes raw bytes, with nothing added, in one write. Give `text` or `base64`. */
export interface WriteStep {
  do: 'write';
  text?: string;
  base64?: string;
  /** @default 'stdout' */
  to?: 'stdout' | 'stderr';
}

/** Prints numbered JSON lines (`n` counts from 0) as fast as the reader takes them, or at a pace. */
export interface FillStep {
  do: 'fill';
  /** How many lines; or give `bytes`. */
  lines?: number;
  /** How many bytes in all, rounded up to whole lines. */
  bytes?: number;
  /** Length of each line with its newline; short ones are made long enough for their fields. @default 1024 */
  lineBytes?: number;
  /** The lines' `type`. @default 'fill' */
  as?: 'fill' | 'assistant';
  /** Puts the time of writing into each line's `at` (epoch ms with fraction), and writes line by line. @default false */
  stamped?: boolean;
  /** Pause between lines. @default 0 */
  everyMs?: number;
  /** @default 'stdout' */
  to?: 'stdout' | 'stderr';
}

/**
 * Starts a real process that idles, and prints `{"type":"system","subtype":"fake_spawned","pid":…}` once it runs. The
 * options make it harder to find or to end.
 */
export interface SpawnStep {
  do: 'spawn';
  /** How long it lives if nobody ends it. */
  seconds: number;
  /** It keeps the fake's stdout and stderr open. @default false */
  holdStdout?: boolean;
  /** A session of its own. @default false */
  setsid?: boolean;
  /** An empty environment. @default false */
  cleanEnv?: boolean;
  /** Deaf to SIGTERM, SIGINT and SIGHUP. @default false */
  ignoreSignals?: boolean;
  /** About 20 times a second it starts its successor and exits, so its pid never stays. @default false */
  respawn?: boolean;
  /** Its parent exits at once, so that it belongs to init or a subreaper. @default false */
  doubleFork?: boolean;
}
